/* SPDX-License-Identifier: MIT */
/* How fast .hyprof files are merged: `merge [FILES [STACKS [APPENDS [SAMPLES [FOLDER]]]]]` makes the files of eight runs of one program,
 * whose samples fall on so many different stacks, written in so many appends of so many samples, and adds FILES of them up, each time under
 * another id. CPU time: what a busy neighbour takes does not count. Making the files is not timed. With a FOLDER they are written there
 * instead, for merging.py.
 *
 * The default is an hour of a service: 2,000 stacks, 3,600 appends of 100 samples. `100 20000 1 20000` is the opposite: all nodes new. */
#include <sys/resource.h>
#include <time.h>

#include "../../tests/c/hyprof_samples.h"
#include "formats/hyprof/chunk.h"
#include "formats/hyprof/encode.h"
#include "tree/merge.h"

enum { RUNS = 8 };

static double cpu_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(hp_status status, const char *what, const hp_error *error) {
    if (status == HP_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, error->text);
    exit(1);
}

/* One run of the program: few stacks are met often. */
static hp_bytes make_file(uint64_t seed, uint32_t stacks, uint32_t appends, uint32_t samples) {
    hp_sample_shape shape = {.seed = 1, .stacks = 1, .functions = 3000, .threads = 8, .depth = 20, .main_name = "MainThread"};
    hp_profile *profile = sample_profile(&shape);
    hp_encoder encoder;
    hp_group group = {0};
    hp_error error = {0};
    uint64_t random = seed;
    hp_encoder_init(&encoder);
    hp_group_file_header(&group);
    for (uint32_t i = 0; i < appends; i++) {
        for (uint32_t n = 0; n < samples; n++) {
            double place = (double)(sample_random(&random) >> 11) * 0x1p-53;
            sample_stack(profile, &shape, samples >= stacks ? n + (uint32_t)seed * stacks : (uint32_t)(place * place * place * stacks));
        }
        check(hp_encoder_take(&encoder, profile, &error), "encoding", &error);
        hp_encoder_write(&encoder, &group);
        hp_encoder_written(&encoder);
    }
    hp_group_end(&group);
    hp_encoder_fini(&encoder);
    hp_profile_free(profile);
    hp_bytes out = group.out;
    group.out = (hp_bytes){0};
    hp_group_free(&group);
    return out;
}

/* The file of another run that happened to see the same: what the first chunk, the metadata, says of its id is exchanged. */
static hp_bytes with_id(const hp_bytes *file, const uint8_t *old_id, const uint8_t *new_id) {
    hp_chunk chunk;
    hp_inflater inflater = {0};
    hp_group group = {0};
    hp_error error = {0};
    const uint8_t *raw;
    if (hp_chunk_header(file->data + HP_FILE_HEADER_SIZE, file->size - HP_FILE_HEADER_SIZE, &chunk) != HP_CHUNK_WHOLE)
        check(HP_BAD_FORMAT, "reading", &error);
    check(hp_chunk_inflate(&chunk, &inflater, &raw, &error), "inflating", &error);
    uint8_t *changed = malloc(chunk.raw_size);
    memcpy(changed, raw, chunk.raw_size);
    uint8_t *id = memmem(changed, chunk.raw_size, old_id, 16);
    if (id == NULL)
        check(HP_BAD_FORMAT, "looking for the id", &error);
    else
        memcpy(id, new_id, 16);
    hp_group_file_header(&group);
    hp_group_chunk(&group, chunk.type, changed, chunk.raw_size, 0);
    hp_bytes_add(&group.out, chunk.payload + chunk.size, (size_t)(file->data + file->size - chunk.payload - chunk.size));
    hp_bytes out = group.out;
    group.out = (hp_bytes){0};
    hp_group_free(&group);
    hp_inflater_fini(&inflater);
    free(changed);
    return out;
}

static void write_files(const hp_bytes *made, uint32_t files, const char *folder) {
    hp_error error = {0};
    hp_profile *profile = NULL;
    for (uint32_t i = 0; i < files; i++) {
        char path[4096];
        uint8_t id[16] = {1};
        check(hp_hyprof_read_sources(made[i % RUNS].data, made[i % RUNS].size, &profile, &error), "reading", &error);
        memcpy(id + 4, &i, sizeof i);
        hp_bytes file = with_id(&made[i % RUNS], profile->meta.id, id);
        snprintf(path, sizeof path, "%s/run-%06u.hyprof", folder, i);
        FILE *to = fopen(path, "wb");
        if (to == NULL || fwrite(file.data, 1, file.size, to) != file.size || fclose(to) != 0) {
            perror(path);
            exit(1);
        }
        hp_bytes_free(&file);
        hp_profile_free(profile);
    }
}

/* What zlib takes of the reading: no reader of these files is faster than that. */
static double inflating_ms(const hp_bytes *file, hp_inflater *inflater) {
    double begun = cpu_ms();
    hp_chunk chunk;
    for (size_t at = HP_FILE_HEADER_SIZE; at < file->size; at += HP_CHUNK_HEADER_SIZE + (size_t)chunk.size) {
        const uint8_t *raw;
        hp_error error = {0};
        if (hp_chunk_header(file->data + at, file->size - at, &chunk) != HP_CHUNK_WHOLE)
            break;
        check(hp_chunk_inflate(&chunk, inflater, &raw, &error), "inflating", &error);
    }
    return cpu_ms() - begun;
}

static uint32_t argument(int count, char **arguments, int at, uint32_t otherwise) {
    return count > at ? (uint32_t)strtoul(arguments[at], NULL, 10) : otherwise;
}

int main(int count, char **arguments) {
    uint32_t files = argument(count, arguments, 1, 1000), stacks = argument(count, arguments, 2, 2000);
    uint32_t appends = argument(count, arguments, 3, 3600), samples = argument(count, arguments, 4, 100);
    hp_bytes made[RUNS];
    hp_merge *merge = NULL;
    hp_profile *out = NULL;
    hp_error error = {0};
    hp_inflater inflater = {0};
    double reading = 0, adding = 0, inflating = 0, bytes = 0;
    for (uint32_t i = 0; i < RUNS; i++)
        made[i] = make_file(i + 1, stacks, appends, samples);
    if (count > 5) {
        write_files(made, files, arguments[5]);
        return 0;
    }
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    check(hp_merge_new(&merge), "merging", &error);
    for (uint32_t i = 0; i < files; i++) {
        const hp_bytes *file = &made[i % RUNS];
        hp_profile *profile = NULL;
        bool added;
        double begun = cpu_ms();
        check(hp_hyprof_read_parts(file->data, file->size, &profile, &error), "reading", &error);
        reading += cpu_ms() - begun;
        memcpy(profile->meta.id, &(uint32_t){i + 1}, sizeof(uint32_t));
        begun = cpu_ms();
        check(hp_merge_add(merge, profile, &added, &error), "adding", &error);
        adding += cpu_ms() - begun;
        bytes += (double)file->size;
        hp_profile_free(profile);
    }
    double begun = cpu_ms();
    check(hp_merge_finish(merge, &out, &error), "finishing", &error);
    double finishing = cpu_ms() - begun;
    getrusage(RUSAGE_SELF, &after);
    for (uint32_t i = 0; i < files; i++)
        inflating += inflating_ms(&made[i % RUNS], &inflater);
    printf("%u files of %.2f MB, %u appends each; the result has %u nodes\n", files, bytes / 1e6 / files, appends, out->tree.count);
    printf("read %.0f ms, add %.0f ms, finish %.0f ms: %.1f MB/s of CPU time\n", reading, adding, finishing,
           bytes / 1e3 / (reading + adding + finishing));
    printf("inflating alone %.0f ms, %.0f %% of it all: %.1f MB/s\n", inflating, 100 * inflating / (reading + adding + finishing),
           bytes / 1e3 / inflating);
    printf("memory grew by %ld MB at most\n", (after.ru_maxrss - before.ru_maxrss) / 1024);
    hp_profile_free(out);
    hp_merge_free(merge);
    hp_inflater_fini(&inflater);
    for (uint32_t i = 0; i < RUNS; i++)
        hp_bytes_free(&made[i]);
    return 0;
}
