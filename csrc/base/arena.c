/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"

enum { ARENA_FIRST_BLOCK = 4096, ARENA_LAST_BLOCK = 1 << 18 };

struct hp_arena_block {
    struct hp_arena_block *older;
    size_t used;
    size_t size;
    uint8_t bytes[];
};

/* Whole before it is reachable: see base/order.h. */
static struct hp_arena_block *arena_block(hp_arena *arena, size_t size, size_t used) {
    if (size > SIZE_MAX - sizeof(struct hp_arena_block))
        return NULL;
    struct hp_arena_block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    *block = (struct hp_arena_block){arena->blocks, used, size};
    hp_order_stores();
    arena->blocks = block;
    return block;
}

static size_t block_size(const hp_arena *arena) {
    if (arena->shared == NULL)
        return ARENA_FIRST_BLOCK;
    return arena->shared->size < ARENA_LAST_BLOCK ? arena->shared->size * 2 : ARENA_LAST_BLOCK;
}

void *hp_arena_take(hp_arena *arena, size_t size) {
    struct hp_arena_block *shared = arena->shared;
    if (shared == NULL || shared->size - shared->used < size) {
        size_t next = block_size(arena);
        bool alone = size > next / 4; /* a block of its own: the rest of the shared one stays in use */
        struct hp_arena_block *block = arena_block(arena, alone ? size : next, alone ? size : 0);
        if (block == NULL || alone)
            return block == NULL ? NULL : block->bytes;
        arena->shared = shared = block;
    }
    void *taken = shared->bytes + shared->used;
    shared->used += size;
    return taken;
}

void *hp_arena_copy(hp_arena *arena, const void *bytes, size_t size) {
    if (size == SIZE_MAX)
        return NULL;
    uint8_t *copy = hp_arena_take(arena, size + 1);
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = 0;
    return copy;
}

size_t hp_arena_bytes(const hp_arena *arena) {
    size_t bytes = 0;
    for (const struct hp_arena_block *block = arena->blocks; block != NULL; block = block->older)
        bytes += sizeof *block + block->size;
    return bytes;
}

void hp_arena_fini(hp_arena *arena) {
    while (arena->blocks != NULL) {
        struct hp_arena_block *block = arena->blocks;
        arena->blocks = block->older;
        free(block);
    }
    *arena = (hp_arena){0};
}
