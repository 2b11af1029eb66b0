/* SPDX-License-Identifier: MIT */
/* Two allocators of arenas such as other tools install: each stands in front of whoever was there when it came, or has its own memory. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

typedef struct allocator {
    void *context;
    void *(*alloc)(void *context, size_t size);
    void (*free)(void *context, void *arena, size_t size);
} allocator;

extern void PyObject_GetArenaAllocator(allocator *);
extern void PyObject_SetArenaAllocator(allocator *);

enum { SLOTS = 2, OWN = 65536 };

/* Guarded by: GIL. */
static struct slot {
    allocator found;
    bool own_memory;
    long calls;
    uint32_t own_count;
    void *own[OWN];
} slots[SLOTS];

static void *slot_alloc(void *context, size_t size) {
    struct slot *s = context;
    s->calls++;
    if (!s->own_memory || s->own_count == OWN)
        return s->found.alloc(s->found.context, size);
    void *arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        return NULL;
    s->own[s->own_count++] = arena;
    return arena;
}

static void slot_free(void *context, void *arena, size_t size) {
    struct slot *s = context;
    s->calls++;
    for (uint32_t i = s->own_count; i-- > 0;)
        if (s->own[i] == arena) {
            s->own[i] = s->own[--s->own_count];
            munmap(arena, size);
            return;
        }
    s->found.free(s->found.context, arena, size);
}

long neighbour_install(int slot, int own_memory) {
    struct slot *s = &slots[slot];
    allocator mine = {s, slot_alloc, slot_free};
    s->own_memory = own_memory != 0;
    PyObject_GetArenaAllocator(&s->found);
    PyObject_SetArenaAllocator(&mine);
    return 0;
}

/* As most do it: without a look at who came since. */
long neighbour_uninstall(int slot) {
    PyObject_SetArenaAllocator(&slots[slot].found);
    return 0;
}

long neighbour_calls(int slot) {
    return slots[slot].calls;
}

long neighbour_in_force(int slot) {
    allocator now;
    PyObject_GetArenaAllocator(&now);
    return now.context == &slots[slot];
}
