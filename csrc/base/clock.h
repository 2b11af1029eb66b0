/* SPDX-License-Identifier: MIT */
/* Clocks. `hp_ticks` is what hot paths read: the time-stamp counter where it is invariant, else CLOCK_MONOTONIC in ns.
 * Ticks become nanoseconds only when data is collected, by a timebase: a pair (ticks, ns) taken when the session started
 * and a second one taken now, so the ratio is better the longer the session ran. */
#ifndef HP_BASE_CLOCK_H
#define HP_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* CLOCK_MONOTONIC, ns. */
int64_t hp_now_ns(void);
/* CLOCK_REALTIME, ns since the epoch. */
int64_t hp_wall_clock_ns(void);
/* CPU time of the calling thread, ns; -1 where the system refuses. A system call (about 0.5 us): never per event. */
int64_t hp_thread_cpu_ns(void);

/* For loops that wait: gives the other thread of the core a chance. */
static inline void hp_pause(void) {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Set once by hp_clock_init, before any other thread of ours exists; read-only afterwards. */
extern bool hp_ticks_are_tsc;

/* Decides where ticks come from (cpuinfo's constant_tsc + nonstop_tsc and the kernel's clocksource). Idempotent. */
void hp_clock_init(void);

static inline uint64_t hp_ticks(void) {
#if defined(__x86_64__)
    if (hp_ticks_are_tsc)
        return __rdtsc();
#endif
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

typedef struct hp_timebase {
    uint64_t ticks;
    int64_t ns;
} hp_timebase;

/* Both clocks now, read as closely together as several tries manage. */
hp_timebase hp_timebase_now(void);
/* Nanoseconds per tick between two timebases (1.0 where ticks are ns; a 1 ms busy calibration where they lie closer than 1 ms). */
double hp_ns_per_tick(const hp_timebase *from, const hp_timebase *to);

#endif
