/* SPDX-License-Identifier: MIT */
#include "base/pages.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE = 128 * 1024 };

static bool is_large(size_t size) {
    return size >= LARGE;
}

static void *pages_new(size_t size) {
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

static void *pages_move(void *block, size_t size, size_t new_size) {
    void *moved = mremap(block, size, new_size, MREMAP_MAYMOVE);
    return moved == MAP_FAILED ? NULL : moved;
}

void *hp_pages_resize(void *block, size_t size, size_t new_size) {
    if (block != NULL && is_large(size) && is_large(new_size))
        return pages_move(block, size, new_size);
    if (!is_large(size) && !is_large(new_size))
        return realloc(block, new_size);
    void *fresh = is_large(new_size) ? pages_new(new_size) : malloc(new_size);
    if (fresh == NULL || block == NULL)
        return fresh;
    memcpy(fresh, block, size < new_size ? size : new_size);
    hp_pages_free(block, size);
    return fresh;
}

void hp_pages_free(void *block, size_t size) {
    if (block == NULL)
        return;
    if (is_large(size))
        (void)munmap(block, size);
    else
        free(block);
}
