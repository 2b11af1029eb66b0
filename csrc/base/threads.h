/* SPDX-License-Identifier: MIT */
/* The threads of the session: one record for each Python thread that the sampler or the tracer has met.
 *
 * Invariant: a record never moves and is never freed before the registry; `index` is dense. A thread is known by its interpreter's id and
 * PyThreadState.id, which CPython never reuses, not by its address. A thread of C code that comes back to Python has a new PyThreadState
 * and goes on with its record. Where a program has made very many threads, a new one takes over the record of one that has ended: they
 * never live at the same time, so all accounts of a thread hold for the two. */
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
    int64_t first_seen_ns; /* CLOCK_MONOTONIC; guarded by the registry's mutex, like the next two */
    int64_t earlier_ns;    /* how long the states lived that had the record before */
    uint32_t earlier;      /* of how many other threads they were */
    _Atomic int64_t last_seen_ns;

    /* Time beneath targets so far, in ticks, as one word so that the sampler reads flag and time together:
     *   bit 0 clear: not beneath a target; the word is the time spent there so far;
     *   bit 0 set:   beneath one;          word + now is the time spent there so far (modulo 2^64).
     * Written with the GIL held (release), by the thread itself or by who ends its extent from outside; read by the sampler (acquire).
     * Bit 0 costs each extent at most one tick, as often one too many as one too few. */
    _Atomic uint64_t traced_clock;

    /* Beneath a target: the node of the tracer's tree that has the time since the last event. A number that stands for itself, written with
     * the GIL held as the clock above, read by the sampler (relaxed: who reads it has stopped the thread, or knows that it may be one off).
     */
    _Atomic uint32_t traced_node;

    /* 3.11: the target (address of its code object) whose call has a hook of its own, for the thread, switched on while its extent is not
     * open: before the hook meets it and after it has left it. 0: none. Written by the thread itself or by who ends its extent (release),
     * read by the sampler (acquire). */
    _Atomic uintptr_t edge_code;

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
/* What the target runs from here on is not the hook's time but its own. */
static inline void hp_thread_forget_edge(hp_thread *thread) {
    atomic_store_explicit(&thread->edge_code, 0, memory_order_release);
}
/* It lived at `now`. Sampler and module say so with clocks read a moment ago: the later one stays, or a thread just seen alive would look
 * as if it had ended. Relaxed: a number that stands for itself. */
static inline void hp_thread_seen(hp_thread *thread, int64_t now) {
    int64_t known = atomic_load_explicit(&thread->last_seen_ns, memory_order_relaxed);
    while (known < now &&
           !atomic_compare_exchange_weak_explicit(&thread->last_seen_ns, &known, now, memory_order_relaxed, memory_order_relaxed))
        continue;
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
/* The record of a thread that was met, else NULL. */
hp_thread *hp_threads_find(hp_threads *threads, uint64_t interpreter_id, uint64_t state_id);
/* A new state takes over the record of one that has ended: another thread's, or its own earlier one (`same_thread`). NULL when memory is
 * short, where the new one has a record, and where the old one's must stay what it is: the tracer has one for it, it is beneath a target,
 * or it is kept. */
hp_thread *hp_threads_take_over(hp_threads *threads, hp_thread *ended, uint64_t interpreter_id, uint64_t state_id, bool same_thread);
/* It was there at `now` already, a moment before its record was made. Returns since when it is known to be there, which may be earlier. */
int64_t hp_threads_seen_first(hp_threads *threads, hp_thread *thread, int64_t now);
/* From now on nobody may take over its record. */
void hp_threads_keep(hp_threads *threads, hp_thread *thread);
/* What it and those before it lived in all, ns, where the last of them lived from `began` to `ended`. */
int64_t hp_threads_lived_ns(hp_threads *threads, const hp_thread *thread, int64_t began, int64_t ended);
uint32_t hp_threads_count(hp_threads *threads);
/* The record by index, NULL past the end. */
hp_thread *hp_threads_at(hp_threads *threads, uint32_t index);
/* Names outlive threads: kept here (copied), the last one said wins. hp_threads_name returns NULL while unknown; valid until the next
 * rename. */
hp_status hp_threads_set_name(hp_threads *threads, uint32_t index, const char *name);
/* The same for a thread that has no name yet: nobody's pointer to one is made invalid, so that the sampler may call it without the GIL. */
hp_status hp_threads_suggest_name(hp_threads *threads, uint32_t index, const char *name);
const char *hp_threads_name(hp_threads *threads, uint32_t index);
/* In a forked child only: usable whatever another thread was doing in here as the fork came. */
void hp_threads_after_fork(hp_threads *threads);

#endif
