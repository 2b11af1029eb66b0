/* SPDX-License-Identifier: MIT */
/* Writes the seeds of fuzz_hyprof into a folder: real files, and the same files taken apart into the chunks that the second target puts
 * together. */
#include "../c/hyprof_samples.h"
#include "formats/hyprof/chunk.h"

static int put_file(const char *folder, const char *name, uint8_t target, const uint8_t *bytes, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *to = fopen(path, "wb");
    if (to == NULL)
        return 1;
    fputc(target, to);
    fwrite(bytes, 1, size, to);
    return fclose(to);
}

static int put_chunks(const char *folder, const char *name, const uint8_t *bytes, size_t size) {
    hp_bytes out = {0};
    hp_inflater inflater = {0};
    for (size_t at = HP_FILE_HEADER_SIZE; at < size;) {
        hp_chunk chunk;
        const uint8_t *raw = NULL;
        if (hp_chunk_read(bytes + at, size - at, &chunk) != HP_CHUNK_WHOLE || hp_chunk_inflate(&chunk, &inflater, &raw, NULL) != HP_OK)
            return 1;
        at += HP_CHUNK_HEADER_SIZE + (size_t)chunk.size;
        if (chunk.type == HP_CHUNK_COMMIT || chunk.type == HP_CHUNK_END || chunk.raw_size > UINT16_MAX)
            continue;
        uint8_t head[3] = {(uint8_t)chunk.type, (uint8_t)chunk.raw_size, (uint8_t)(chunk.raw_size >> 8)};
        hp_bytes_add(&out, head, sizeof head);
        hp_bytes_add(&out, raw, chunk.raw_size);
    }
    int failed = out.failed || put_file(folder, name, 1, out.data, out.size);
    hp_bytes_free(&out);
    hp_inflater_fini(&inflater);
    return failed;
}

int main(int count, char **arguments) {
    int failed = count != 2;
    for (uint32_t i = 0; i < 6 && !failed; i++) {
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
        snprintf(name, sizeof name, "file-%u", i);
        failed |= put_file(arguments[1], name, 0, bytes, size);
        snprintf(name, sizeof name, "chunks-%u", i);
        failed |= put_chunks(arguments[1], name, bytes, size);
        free(bytes);
        hp_profile_free(profile);
    }
    if (failed)
        fputs("usage: seeds_hyprof FOLDER (which must exist)\n", stderr);
    return failed;
}
