/* SPDX-License-Identifier: MIT */
/* Bytes that live until the arena dies: strings and line tables. Nothing is freed singly, nothing moves.
 * Owner: one thread, or whoever holds the lock of the structure it is part of. A zeroed arena is an empty one.
 * Fork-safe in the sense of base/order.h. */
#ifndef HP_BASE_ARENA_H
#define HP_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct hp_arena {
    struct hp_arena_block *blocks; /* newest first */
    struct hp_arena_block *shared; /* the one that small pieces come from; each is twice the one before, so a small arena stays small */
} hp_arena;

/* `size` bytes without alignment; NULL when memory is short. */
void *hp_arena_take(hp_arena *arena, size_t size);
/* A copy of `size` bytes with a NUL behind it; NULL when memory is short. */
void *hp_arena_copy(hp_arena *arena, const void *bytes, size_t size);
/* What it holds of the heap, in bytes. */
size_t hp_arena_bytes(const hp_arena *arena);
void hp_arena_fini(hp_arena *arena);

#endif
