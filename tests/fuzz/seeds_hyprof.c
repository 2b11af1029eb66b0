/* SPDX-License-Identifier: MIT */
/* Writes the seeds of fuzz_hyprof into a folder: real files, those that are named and some that are made here, and the same files taken
 * apart into the chunks that the second target puts together. Fails unless every type of chunk is among them. */
#include "../c/hyprof_samples.h"
#include "formats/hyprof/chunk.h"
#include "formats/hyprof/table.h"

static bool met[HP_CHUNK_MOMENTS + 1];

static int put_file(const char *folder, const char *name, uint8_t target, const uint8_t *bytes, size_t size) {
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return 1;
    FILE *to = fopen(path, "wb");
    free(path);
    if (to == NULL)
        return 1;
    fputc(target, to);
    fwrite(bytes, 1, size, to);
    return fclose(to);
}

static bool put_chunk(hp_bytes *out, const hp_chunk *chunk, hp_inflater *inflater) {
    const uint8_t *raw = NULL;
    if (hp_chunk_inflate(chunk, inflater, &raw, NULL) != HP_OK)
        return false;
    uint8_t head[3] = {(uint8_t)chunk->type, (uint8_t)chunk->raw_size, (uint8_t)(chunk->raw_size >> 8)};
    hp_bytes_add(out, head, sizeof head);
    hp_bytes_add(out, raw, chunk->raw_size);
    return !out->failed;
}

/* Up to where a file was cut short. A commit is a chunk of type 255 there; the last one, and the end mark, the target makes. */
static int put_chunks(const char *folder, const char *name, const uint8_t *bytes, size_t size) {
    hp_bytes out = {0};
    hp_inflater inflater = {0};
    hp_chunk chunk;
    bool whole = true;
    for (size_t at = HP_FILE_HEADER_SIZE; whole && at < size && hp_chunk_read(bytes + at, size - at, &chunk) == HP_CHUNK_WHOLE;) {
        at += HP_CHUNK_HEADER_SIZE + (size_t)chunk.size;
        met[chunk.type < sizeof met ? chunk.type : 0] = true;
        if (chunk.type == HP_CHUNK_COMMIT)
            hp_bytes_add(&out, "\xff\0\0", 3);
        else if (chunk.type != HP_CHUNK_END && chunk.raw_size <= UINT16_MAX)
            whole = put_chunk(&out, &chunk, &inflater);
    }
    int failed = !whole || out.failed || put_file(folder, name, 1, out.data, out.size);
    hp_bytes_free(&out);
    hp_inflater_fini(&inflater);
    return failed;
}

static int put_both(const char *folder, const char *name, const uint8_t *bytes, size_t size) {
    char made[512];
    snprintf(made, sizeof made, "file-%s", name);
    int failed = put_file(folder, made, 0, bytes, size);
    snprintf(made, sizeof made, "chunks-%s", name);
    return failed || put_chunks(folder, made, bytes, size);
}

static int put_sample(const char *folder, uint32_t i) {
    char name[32];
    size_t size = 0;
    hp_sample_shape shape = {.seed = i,
                             .stacks = 3 + i * i * 4,
                             .functions = 4 + i * 3,
                             .threads = 1 + i % 3,
                             .depth = 3 + i,
                             .main_name = "MainThread",
                             .moments = i * i * 5};
    hp_profile *profile = sample_profile(&shape);
    uint8_t *bytes = sample_encode(profile, &size);
    snprintf(name, sizeof name, "%u", i);
    int failed = put_both(folder, name, bytes, size);
    free(bytes);
    hp_profile_free(profile);
    return failed;
}

static int put_named(const char *folder, const char *path) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    const char *slash = strrchr(path, '/');
    int failed = hp_read_file(path, 1 << 20, &bytes, &size, NULL) != HP_OK;
    failed = failed || put_both(folder, slash == NULL ? path : slash + 1, bytes, size);
    free(bytes);
    return failed;
}

static int missing(void) {
    int failed = 0;
    for (uint32_t type = 1; type < sizeof met; type++) {
        bool known = hp_layout_of(type) != NULL || type <= HP_CHUNK_STRINGS || type == HP_CHUNK_SOURCES;
        if (known && !met[type])
            fprintf(stderr, "no seed has a chunk of type %u\n", type);
        failed |= known && !met[type];
    }
    return failed;
}

int main(int count, char **arguments) {
    int failed = 0;
    if (count < 2) {
        fputs("usage: seeds_hyprof FOLDER (which must exist) [FILE...]\n", stderr);
        return 2;
    }
    for (uint32_t i = 0; i < 6; i++)
        failed |= put_sample(arguments[1], i);
    for (int i = 2; i < count; i++)
        failed |= put_named(arguments[1], arguments[i]);
    return failed | missing();
}
