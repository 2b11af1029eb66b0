/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_FIRST_BLOCK = 4096, ARENA_LAST_BLOCK = 1 << 18 };

struct hp_arena_block {
    struct hp_arena_block *older;
    uint8_t bytes[];
};

static uint8_t *arena_block(hp_arena *arena, size_t size) {
    if (size > SIZE_MAX - sizeof(struct hp_arena_block))
        return NULL;
    struct hp_arena_block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->older = arena->blocks;
    arena->blocks = block;
    return block->bytes;
}

void *hp_arena_take(hp_arena *arena, size_t size) {
    if ((size_t)(arena->end - arena->next) < size) {
        if (arena->block_size == 0)
            arena->block_size = ARENA_FIRST_BLOCK;
        if (size > arena->block_size / 4) /* a block of its own: the rest of the shared one stays in use */
            return arena_block(arena, size);
        uint8_t *block = arena_block(arena, arena->block_size);
        if (block == NULL)
            return NULL;
        arena->next = block;
        arena->end = block + arena->block_size;
        if (arena->block_size < ARENA_LAST_BLOCK)
            arena->block_size *= 2;
    }
    void *taken = arena->next;
    arena->next += size;
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

void hp_arena_fini(hp_arena *arena) {
    while (arena->blocks != NULL) {
        struct hp_arena_block *block = arena->blocks;
        arena->blocks = block->older;
        free(block);
    }
    *arena = (hp_arena){0};
}
