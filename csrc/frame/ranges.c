/* SPDX-License-Identifier: MIT */
/* Invariant: `list` is sorted by address and disjoint. Guarded by: the gate.
 *
 * Static because the arena allocator is one per process and outlives every session. The gate is held for a walk (some microseconds) by the
 * sampler and for one insertion or removal by everybody else; it is never held during mmap, munmap or malloc. */
#include "frame/ranges.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "frame/frame.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static hp_range *list;
static size_t count, capacity;
static uint64_t added, removed;

/* Allocations and frees of the program that want the gate. A mutex may be taken again before whoever it woke has run, so a walk looks here
 * first: nobody waits for more than one walk. Relaxed: a hint, the gate itself orders everything. */
static atomic_uint waiting;

void hp_memory_lock(void) {
    enum { YIELDS = 64 }; /* one that does not get a CPU for so long must not hold up the sampler, and the head lock with it */
    for (int i = 0; i < YIELDS && atomic_load_explicit(&waiting, memory_order_relaxed) > 0; i++)
        sched_yield();
    pthread_mutex_lock(&gate);
}

static void program_lock(void) {
    atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed);
    pthread_mutex_lock(&gate);
    atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
}
void hp_memory_unlock(void) {
    pthread_mutex_unlock(&gate);
}

void hp_memory_after_fork(void) {
    /* The owner, if there was one, does not exist here; the list is whole because fork waits for the gate (see memory.c). */
    pthread_mutex_init(&gate, NULL);
    atomic_store_explicit(&waiting, 0, memory_order_relaxed); /* nor those who waited */
}

/* Index of the first range that ends above `address`. */
static size_t position(uintptr_t address) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list[middle].high <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool hp_range_find(uintptr_t address, size_t size, hp_range *out) {
    size_t at = position(address);
    if (at == count || address < list[at].low || list[at].high - address < size)
        return false;
    *out = list[at];
    return true;
}

bool hp_range_add_locked(uintptr_t low, size_t size) {
    size_t at = position(low);
    if (at < count && list[at].low < low + size)
        return list[at].low == low && list[at].high == low + size;
    if (count == capacity)
        return false;
    memmove(&list[at + 1], &list[at], (count - at) * sizeof *list);
    list[at] = (hp_range){low, low + size};
    count++;
    added++;
    return true;
}

bool hp_range_reserve(size_t more) {
    bool enough = false;
    while (!enough) {
        program_lock();
        size_t want = count + more;
        enough = want <= capacity;
        hp_memory_unlock();
        if (enough)
            break;
        want += want / 2 + 64;
        hp_range *larger = malloc(want * sizeof *larger), *old = NULL;
        if (larger == NULL)
            return false;
        program_lock();
        if (want > capacity) {
            if (count > 0)
                memcpy(larger, list, count * sizeof *list);
            old = list;
            list = larger;
            capacity = want;
            larger = NULL;
        }
        hp_memory_unlock();
        free(old);
        free(larger);
    }
    return true;
}

void hp_range_add(uintptr_t low, size_t size) {
    bool full;
    do {
        program_lock();
        full = !hp_range_add_locked(low, size) && count == capacity;
        hp_memory_unlock();
        /* Without memory the range stays unknown: reads there go through the kernel. */
    } while (full && hp_range_reserve(1));
}

void hp_range_remove(uintptr_t low) {
    program_lock();
    size_t at = position(low);
    if (at < count && list[at].low == low) {
        count--;
        memmove(&list[at], &list[at + 1], (count - at) * sizeof *list);
        removed++;
    }
    hp_memory_unlock();
}

void hp_range_forget_all(void) {
    hp_memory_lock();
    removed += count;
    count = 0;
    hp_memory_unlock();
}

void hp_memory_counts(uint64_t *known, uint64_t *added_out, uint64_t *removed_out) {
    hp_memory_lock();
    *known = count;
    *added_out = added;
    *removed_out = removed;
    hp_memory_unlock();
}
