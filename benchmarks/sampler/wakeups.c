/* SPDX-License-Identifier: MIT */
/* What any profiler with a thread of its own costs before it does anything: a thread that only sleeps and wakes, beside a busy one.
 *
 *   wakeups [SECONDS]
 *
 * For each rate: CPU time of one wake-up, and by how much the process's CPU time for a fixed piece of work grows (pairs in turn, median).
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

enum { PAIRS = 31, BYTES = 256 * 1024 };

static unsigned char touched[BYTES];

typedef struct waker {
    double rate_hz;
    _Atomic uint32_t wanted;
    uint64_t wakes;
    int64_t cpu_ns;
} waker;

static void *wake(void *argument) {
    waker *w = argument;
    int64_t due = hp_now_ns(), before = hp_thread_cpu_ns();
    while (atomic_load(&w->wanted) == 1) {
        due += (int64_t)(1e9 / w->rate_hz);
        struct timespec t = {due / 1000000000, due % 1000000000};
        syscall(SYS_futex, &w->wanted, FUTEX_WAIT_BITSET_PRIVATE, 1, &t, NULL, FUTEX_BITSET_MATCH_ANY);
        w->wakes++;
    }
    w->cpu_ns = hp_thread_cpu_ns() - before;
    return NULL;
}

/* Arithmetic with some memory behind it, as an interpreter has. */
static void work(long rounds) {
    for (long i = 0; i < rounds; i++)
        for (size_t at = 0; at < BYTES; at += 64)
            touched[(at * 7) % BYTES] = (unsigned char)(touched[at] * 3 + (unsigned char)i);
}

static int64_t process_cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double cost_of_work(long rounds) {
    int64_t before = process_cpu_ns();
    work(rounds);
    return (double)(process_cpu_ns() - before);
}

static double beside(waker *w, long rounds) {
    pthread_t thread;
    atomic_store(&w->wanted, 1);
    if (pthread_create(&thread, NULL, wake, w) != 0)
        exit(1);
    int64_t begin = process_cpu_ns();
    work(rounds);
    atomic_store(&w->wanted, 0);
    syscall(SYS_futex, &w->wanted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    pthread_join(thread, NULL);
    return (double)(process_cpu_ns() - begin);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(double rate_hz, long rounds) {
    double slower[PAIRS];
    uint64_t wakes = 0;
    int64_t cpu = 0;
    for (int i = 0; i < PAIRS; i++) {
        waker w = {.rate_hz = rate_hz};
        double before = cost_of_work(rounds), with = beside(&w, rounds), after = cost_of_work(rounds);
        slower[i] = 100 * (2 * with / (before + after) - 1);
        wakes += w.wakes;
        cpu += w.cpu_ns;
    }
    qsort(slower, PAIRS, sizeof *slower, compare);
    printf("| %g Hz | %.1f us | %+.2f %% | %+.2f to %+.2f %% |\n", rate_hz, (double)cpu / 1e3 / (double)wakes, slower[PAIRS / 2],
           slower[PAIRS / 4], slower[PAIRS * 3 / 4]);
}

int main(int count, char **arguments) {
    static const double rates[] = {100, 1000, 10000};
    double seconds = count > 1 ? atof(arguments[1]) : 0.3;
    double once = cost_of_work(20);
    long rounds = (long)(seconds * 1e9 / (once / 20)) + 1;
    printf("| a thread that only wakes, at | CPU time of a wake-up | slowdown, median of %d pairs | quartiles |\n|---|---|---|---|\n",
           PAIRS);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        measure(rates[i], rounds);
    return 0;
}
