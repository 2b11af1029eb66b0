/* SPDX-License-Identifier: MIT */
/* The threads of the session: one record for each Python thread that the sampler or the tracer has met.
 *
 * Invariant: a record never moves and is never freed before the registry; `index` is dense and never reused. A thread is known by
 * its interpreter's id and PyThreadState.id, which CPython never reuses, not by its address. */
#ifndef HP_BASE_THREADS_H
#define HP_BASE_THREADS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct hp_thread {
    uint32_t index;
    uint64_t interpreter_id; /* PyInterpreterState id */
    uint64_t state_id;       /* PyThreadState.id */
    uint64_t native_id;      /* tid of the kernel */
    uint64_t pthread;        /* pthread_t, as threading.get_ident() shows it */
    bool existed_at_start;
    int64_t first_seen_ns; /* CLOCK_MONOTONIC; guarded by the registry's mutex */
    _Atomic int64_t last_seen_ns;

    /* Time beneath targets so far, in ticks, as one word so that the sampler reads flag and time together:
     *   bit 0 clear: not beneath a target; the word is the time spent there so far;
     *   bit 0 set:   beneath one;          word + now is the time spent there so far (modulo 2^64).
     * Written with the GIL held (release), by the thread itself or by who ends its extent from outside; read by the sampler (acquire).
     * Bit 0 costs each extent at most one tick, as often one too many as one too few. */
    _Atomic uint64_t traced_clock;

    void *recorder; /* the tracer's, guarded by: GIL */
} hp_thread;

static inline void hp_thread_enter_traced(hp_thread *thread, uint64_t now) {
    uint64_t word = atomic_load_explicit(&thread->traced_clock, memory_order_relaxed);
    atomic_store_explicit(&thread->traced_clock, (word - now) | 1u, memory_order_release);
}
static inline void hp_thread_leave_traced(hp_thread *thread, uint64_t now) {
    uint64_t word = atomic_load_explicit(&thread->traced_clock, memory_order_relaxed);
    atomic_store_explicit(&thread->traced_clock, ((word & ~(uint64_t)1) + now + 1) & ~(uint64_t)1, memory_order_release);
}
/* Ticks beneath targets until `now`; `*inside` says whether the thread is beneath one. Any thread. */
static inline uint64_t hp_thread_traced_ticks(const hp_thread *thread, uint64_t now, bool *inside) {
    uint64_t word = atomic_load_explicit(&thread->traced_clock, memory_order_acquire);
    *inside = (word & 1u) != 0;
    return *inside ? (word & ~(uint64_t)1) + now : word;
}

typedef struct hp_threads hp_threads;

hp_status hp_threads_new(hp_threads **out);
void hp_threads_free(hp_threads *threads);
/* The record of a thread, made if it is new (then `*created`, if not NULL, is true). NULL when memory is short. Guarded by a mutex of its
 * own. */
hp_thread *hp_threads_get(hp_threads *threads, uint64_t interpreter_id, uint64_t state_id, bool *created);
uint32_t hp_threads_count(hp_threads *threads);
/* The record by index, NULL past the end. */
hp_thread *hp_threads_at(hp_threads *threads, uint32_t index);
/* Names outlive threads: kept here (copied), the last one said wins. hp_threads_name returns NULL while unknown; valid until the next
 * rename. */
hp_status hp_threads_set_name(hp_threads *threads, uint32_t index, const char *name);
const char *hp_threads_name(hp_threads *threads, uint32_t index);
/* In a forked child only: usable whatever another thread was doing in here as the fork came. */
void hp_threads_after_fork(hp_threads *threads);

#endif
