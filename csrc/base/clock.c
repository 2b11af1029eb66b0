/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum { TIMEBASE_TRIES = 8, CALIBRATION_NS = 1000000 };

bool hp_ticks_are_tsc = false; /* static: hp_ticks is inlined into hot paths that have no object at hand */

/* -1 where the system refuses. Some policies do that with the clocks of threads, which are system calls; the others are read without one.
 */
static int64_t read_clock(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        return -1;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t hp_now_ns(void) {
    return read_clock(CLOCK_MONOTONIC);
}
int64_t hp_wall_clock_ns(void) {
    return read_clock(CLOCK_REALTIME);
}
int64_t hp_thread_cpu_ns(void) {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

#if defined(__x86_64__)

static bool file_has_words(const char *path, const char *const *words, size_t count) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    char line[8192];
    bool all = false;
    while (!all && fgets(line, sizeof line, file) != NULL) {
        all = true;
        for (size_t i = 0; i < count; i++)
            all = all && strstr(line, words[i]) != NULL;
    }
    fclose(file);
    return all;
}

/* The kernel drops `tsc` from the available sources when it found it unstable or not synchronous between CPUs, which no CPU flag tells.
 * It need not be the current one: a guest may prefer its hypervisor's clock, itself computed from the same counter. */
static bool tsc_is_invariant(void) {
    static const char *const flags[] = {"constant_tsc", "nonstop_tsc"};
    static const char *const source[] = {"tsc"};
    return file_has_words("/proc/cpuinfo", flags, 2) &&
           file_has_words("/sys/devices/system/clocksource/clocksource0/available_clocksource", source, 1);
}

#endif

void hp_clock_init(void) {
#if defined(__x86_64__)
    static bool decided = false; /* /proc/cpuinfo costs milliseconds on wide machines: read once a process */
    if (!decided)
        hp_ticks_are_tsc = tsc_is_invariant();
    decided = true;
#endif
}

hp_timebase hp_timebase_now(void) {
    hp_timebase best = {0, 0};
    uint64_t narrowest = UINT64_MAX;
    for (int i = 0; i < TIMEBASE_TRIES; i++) {
        uint64_t before = hp_ticks();
        int64_t ns = hp_now_ns();
        uint64_t width = hp_ticks() - before;
        if (width < narrowest) { /* an interrupt in between only makes a try wider */
            narrowest = width;
            best = (hp_timebase){before + width / 2, ns};
        }
    }
    return best;
}

static double ratio(const hp_timebase *from, const hp_timebase *to) {
    uint64_t ticks = to->ticks - from->ticks;
    return ticks == 0 ? 1.0 : (double)(to->ns - from->ns) / (double)ticks;
}

double hp_ns_per_tick(const hp_timebase *from, const hp_timebase *to) {
    if (!hp_ticks_are_tsc)
        return 1.0;
    if (to->ns - from->ns >= CALIBRATION_NS)
        return ratio(from, to);
    hp_timebase start = hp_timebase_now();
    while (hp_now_ns() - start.ns < CALIBRATION_NS)
        ;
    hp_timebase end = hp_timebase_now();
    return ratio(&start, &end);
}
