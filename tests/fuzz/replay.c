/* SPDX-License-Identifier: MIT */
/* A main for fuzz targets where there is no libFuzzer: runs each file that is named, or is in a folder that is named, then N random
 * mutations of each. Not clever, but it runs with any compiler's sanitizers. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint64_t state = 1;
static long files;

static uint64_t next_random(void) {
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = (state ^ state >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void run(const uint8_t *bytes, size_t size) {
    uint8_t *own = malloc(size == 0 ? 1 : size); /* of its own size: sanitizers see a read behind it */
    if (own == NULL)
        abort();
    memcpy(own, bytes, size);
    LLVMFuzzerTestOneInput(own, size);
    free(own);
}

static size_t mutate(uint8_t *bytes, size_t size) {
    static const uint8_t tags[] = {0x00, 0x01, 0x7f, 0x80, 0x90, 0xc4, 0xc6, 0xcf, 0xdd, 0xdf, 0xe0, 0xff};
    for (uint64_t n = 1 + next_random() % 4; n > 0 && size > 1; n--) {
        size_t at = next_random() % size, count = 1 + next_random() % 8;
        switch (next_random() % 5) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << next_random() % 8);
            break;
        case 1:
            bytes[at] = tags[next_random() % sizeof tags];
            break;
        case 2:
            bytes[at] = (uint8_t)(bytes[at] + next_random() % 9 - 4);
            break;
        case 3: /* cut out */
            count = count > size - at ? size - at : count;
            memmove(bytes + at, bytes + at + count, size - at - count);
            size -= count;
            break;
        default: /* copy over */
            count = count > size - at ? size - at : count;
            memmove(bytes + at, bytes + next_random() % (size - count + 1), count);
        }
    }
    return size;
}

static uint8_t *load(const char *path, size_t *size) {
    static const size_t limit = 1 << 20;
    uint8_t *bytes = malloc(limit);
    FILE *from = fopen(path, "rb");
    if (bytes == NULL || from == NULL) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    *size = fread(bytes, 1, limit, from);
    fclose(from);
    return bytes;
}

static void replay(const char *path, long mutations) {
    size_t size = 0;
    uint8_t *bytes = load(path, &size);
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        abort();
    run(bytes, size);
    for (long m = 0; m < mutations; m++) {
        memcpy(copy, bytes, size);
        run(copy, mutate(copy, size));
    }
    free(copy);
    free(bytes);
    files++;
}

/* In the order of names, or a failure could not be had again. */
static bool replay_folder(const char *folder, long mutations) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replay(path, mutations);
        free(entries[i]);
    }
    free(entries);
    return count >= 0;
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: %s MUTATIONS FILE_OR_FOLDER...\n", arguments[0]);
        return 2;
    }
    long mutations = strtol(arguments[1], NULL, 10);
    for (int i = 2; i < count; i++) {
        if (!replay_folder(arguments[i], mutations))
            replay(arguments[i], mutations);
    }
    printf("%ld files, %ld mutations of each\n", files, mutations);
    return files == 0;
}
