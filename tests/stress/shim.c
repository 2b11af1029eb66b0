/* SPDX-License-Identifier: MIT */
/* To be preloaded: makes the system short of memory or threads, for hybridprof's sampler alone.
 *
 *   SHIM_ALLOCATIONS=N[,COUNT]  of the allocations in the sampler's thread, those from the Nth on (COUNT of them; without: all) fail
 *   SHIM_THREADS=N[,COUNT]      pthread_create refuses from the Nth call on
 *   SHIM_CLOCK=1                the clock of the day steps by days, forth and back, at each look; for the whole process
 *
 * shim_refuse() sets the first again while the program runs, and counts from 0, as shim_refuse_threads() does the second;
 * shim_allocations() tells how many the sampler's thread asked for and how many were refused, shim_threads() how many threads were asked
 * for. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

typedef struct span {
    atomic_long first, count, asked, refused;
} span;

static span allocations, threads;
static bool clock_steps;
static __thread bool in_sampler __attribute__((tls_model("initial-exec")));

static void read_span(span *s, const char *name) {
    const char *text = getenv(name), *comma = text ? strchr(text, ',') : NULL;
    s->first = text ? atol(text) : 0;
    s->count = comma ? atol(comma + 1) : 0;
}

__attribute__((constructor)) static void begin(void) {
    read_span(&allocations, "SHIM_ALLOCATIONS");
    read_span(&threads, "SHIM_THREADS");
    clock_steps = getenv("SHIM_CLOCK") != NULL;
}

static bool refuse(span *s) {
    long number = atomic_fetch_add(&s->asked, 1) + 1;
    bool refused = s->first > 0 && number >= s->first && (s->count == 0 || number < s->first + s->count);
    atomic_fetch_add(&s->refused, refused);
    return refused;
}

static bool no_memory(void) {
    if (!in_sampler || !refuse(&allocations))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    return no_memory() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return no_memory() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return no_memory() ? NULL : __libc_realloc(old, size);
}

void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    return no_memory() ? MAP_FAILED : (void *)syscall(SYS_mmap, at, size, protection, flags, file, offset);
}

void *mremap(void *old, size_t old_size, size_t size, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    void *at = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    return no_memory() ? MAP_FAILED : (void *)syscall(SYS_mremap, old, old_size, size, flags, at);
}

/* The sampler names its thread before it allocates anything. */
int prctl(int option, ...) {
    unsigned long a[4];
    va_list arguments;
    va_start(arguments, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (option == PR_SET_NAME)
        in_sampler = strcmp((const char *)a[0], "hybridprof") == 0;
    int (*next)(int, ...) = (int (*)(int, ...))dlsym(RTLD_NEXT, "prctl");
    return next(option, a[0], a[1], a[2], a[3]);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    typedef int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    create next = (create)dlsym(RTLD_NEXT, "pthread_create");
    return refuse(&threads) ? EAGAIN : next(thread, attributes, run, argument);
}

/* Two days on, one back, and so on for a month. */
static time_t step(void) {
    static atomic_long looks;
    long turn = atomic_fetch_add(&looks, 1) % 60;
    return clock_steps ? 86400 * (turn / 2 + turn % 2 * 2) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    static int (*next)(clockid_t, struct timespec *);
    if (next == NULL)
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = next(clock, out);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        out->tv_sec += step();
    return result;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

extern void PyOS_BeforeFork(void) __attribute__((weak));
extern void PyOS_AfterFork_Parent(void) __attribute__((weak));
extern void PyOS_AfterFork_Child(void) __attribute__((weak));

/* As a C program that embeds the interpreter does it; with the GIL held. */
int shim_fork(void) {
    PyOS_BeforeFork();
    int pid = fork();
    if (pid == 0)
        PyOS_AfterFork_Child();
    else
        PyOS_AfterFork_Parent();
    return pid;
}

static void set(span *s, long first, long count) {
    atomic_store(&s->first, 0);
    atomic_store(&s->asked, 0);
    atomic_store(&s->refused, 0);
    atomic_store(&s->count, count);
    atomic_store(&s->first, first);
}

void shim_refuse(long first, long count) {
    set(&allocations, first, count);
}

void shim_refuse_threads(long first, long count) {
    set(&threads, first, count);
}

long shim_threads(void) {
    return atomic_load(&threads.asked);
}

void shim_allocations(long *asked, long *refused) {
    *asked = atomic_load(&allocations.asked);
    *refused = atomic_load(&allocations.refused);
}
