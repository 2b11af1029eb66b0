/* SPDX-License-Identifier: MIT */
/* The memory gate: what is known to be mapped can be read while the gate is held, whatever other threads map and unmap. Its failure is a
 * fault here, and a data race under ThreadSanitizer. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "frame/frame.h"
#include "frame/ranges.h"
#include "support/check.h"
#include "support/random.h"

enum { PROGRAMS = 3, WALKERS = 2, OWN = 24, TURNS = 4000, PAGE = 4096 };

/* The places that a program's stacks would name. Relaxed: the walker takes them for hints, as it takes frames. */
static _Atomic uintptr_t places[PROGRAMS][OWN];
static atomic_int running;

static void map_or_unmap(_Atomic uintptr_t *place, uint64_t *random) {
    uintptr_t old = atomic_load_explicit(place, memory_order_relaxed);
    if (old != 0) {
        hp_range_remove(old);
        assert_int_equal(munmap((void *)old, PAGE), 0); // NOLINT(performance-no-int-to-ptr)
        if (hp_test_below(random, 2) == 0)
            atomic_store_explicit(place, 0, memory_order_relaxed); /* else the hint dangles for a while */
        else
            atomic_store_explicit(place, old + 1, memory_order_relaxed);
        return;
    }
    uintptr_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        abort();
    page[0] = (uintptr_t)page;
    hp_range_add((uintptr_t)page, PAGE);
    atomic_store_explicit(place, (uintptr_t)page, memory_order_relaxed);
}

static void *program(void *argument) {
    _Atomic uintptr_t *own = argument;
    uint64_t random = (uint64_t)(uintptr_t)argument;
    for (int turn = 0; turn < TURNS; turn++) {
        _Atomic uintptr_t *place = &own[hp_test_below(&random, OWN)];
        if ((atomic_load_explicit(place, memory_order_relaxed) & 1) != 0)
            atomic_store_explicit(place, 0, memory_order_relaxed);
        map_or_unmap(place, &random);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* Reads what the hints name, wherever the gate knows it. Returns how often it could. */
static void *walk(void *argument) {
    uintptr_t reads = 0;
    uint64_t random = (uint64_t)(uintptr_t)argument;
    while (atomic_load(&running) > 0) {
        hp_memory_lock();
        for (int i = 0; i < 8; i++) {
            hp_range range;
            uintptr_t at =
                atomic_load_explicit(&places[hp_test_below(&random, PROGRAMS)][hp_test_below(&random, OWN)], memory_order_relaxed);
            at &= ~(uintptr_t)1;
            if (at == 0 || !hp_range_find(at, sizeof(uintptr_t), &range))
                continue;
            if (range.low > at || range.high < at + sizeof(uintptr_t) || *(const uintptr_t *)at != at) // NOLINT(performance-no-int-to-ptr)
                abort();
            reads++;
        }
        hp_memory_unlock();
    }
    return (void *)reads; // NOLINT(performance-no-int-to-ptr)
}

static void test_nothing_is_unmapped_during_a_walk(void **state) {
    (void)state;
    pthread_t programs[PROGRAMS], walkers[WALKERS];
    uint64_t known, added, removed;
    assert_true(hp_range_reserve(PROGRAMS * OWN));
    atomic_store(&running, PROGRAMS);
    for (uintptr_t i = 0; i < WALKERS; i++)
        assert_ok(pthread_create(&walkers[i], NULL, walk, (void *)(i + 1))); // NOLINT(performance-no-int-to-ptr)
    for (int i = 0; i < PROGRAMS; i++)
        assert_ok(pthread_create(&programs[i], NULL, program, (void *)places[i]));
    for (int i = 0; i < PROGRAMS; i++)
        pthread_join(programs[i], NULL);
    uintptr_t reads = 0;
    for (int i = 0; i < WALKERS; i++) {
        void *one;
        pthread_join(walkers[i], &one);
        reads += (uintptr_t)one;
    }
    assert_true(reads > 100);
    hp_memory_counts(&known, &added, &removed);
    uint64_t left = 0;
    for (int i = 0; i < PROGRAMS * OWN; i++) {
        uintptr_t at = places[i / OWN][i % OWN];
        left += at != 0 && (at & 1) == 0;
    }
    assert_int_equal(known, left);
    assert_int_equal(added - removed, left);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_is_unmapped_during_a_walk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
