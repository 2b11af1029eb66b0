/* SPDX-License-Identifier: MIT */
#include "sampler/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc 2.35 on; weak, so that an older one still loads us. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

enum { RSEQ_CPU_ID = 4 }; /* offset of cpu_id in struct rseq, an ABI of the kernel */

static int load_cpu(uintptr_t area) {
    return __atomic_load_n((const int *)(area + RSEQ_CPU_ID), __ATOMIC_ACQUIRE);
}

static void find_rseq(hp_follow *follow) {
    if (&__rseq_offset == NULL || &__rseq_size == NULL || __rseq_size == 0)
        return;
    /* pthread_t is the thread pointer on x86-64 and a constant away from it elsewhere. */
    follow->rseq_offset = (char *)__builtin_thread_pointer() - (char *)pthread_self() + __rseq_offset;
    int cpu = load_cpu((uintptr_t)pthread_self() + (uintptr_t)follow->rseq_offset);
    follow->has_rseq = cpu >= 0 && cpu < HP_CPU_LIMIT;
}

/* /proc's word for it: field 39. Some 10 us, and the name may hold anything, so we look behind the last parenthesis. */
static int cpu_from_proc(uint64_t native_id) {
    char text[1024], *at;
    snprintf(text, sizeof text, "/proc/self/task/%llu/stat", (unsigned long long)native_id);
    int file = open(text, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    if (size <= 0)
        return -1;
    text[size] = '\0';
    at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 39; field++)
        at = strchr(at + 1, ' ');
    long cpu = at == NULL ? -1 : strtol(at, NULL, 10);
    return cpu >= 0 && cpu < HP_CPU_LIMIT ? (int)cpu : -1;
}

int hp_follow_cpu_of(const hp_follow *follow, uint64_t pthread, uint64_t native_id) {
    int cpu = follow->has_rseq && pthread != 0 ? load_cpu((uintptr_t)pthread + (uintptr_t)follow->rseq_offset) : -1;
    return cpu >= 0 && cpu < HP_CPU_LIMIT ? cpu : cpu_from_proc(native_id);
}

void hp_follow_init(hp_follow *follow, bool wanted) {
    memset(follow, 0, sizeof *follow);
    follow->pinned = -1;
    follow->reason = "";
    if (!wanted)
        return;
    find_rseq(follow);
    long size = syscall(SYS_sched_getaffinity, 0, sizeof follow->original, follow->original);
    follow->possible = size > 0;
    if (!follow->possible)
        follow->reason = "the system does not tell the thread's CPU affinity";
    else
        follow->mask_size = (size_t)size;
}

bool hp_follow_is_there(const hp_follow *follow) {
    return follow->pinned >= 0 && sched_getcpu() == follow->pinned;
}

static bool failed(hp_follow *follow, const char *reason, bool for_good) {
    follow->reason = reason;
    if (++follow->failures < HP_FOLLOW_FAILURES && !for_good)
        return false;
    follow->possible = false;
    hp_follow_release(follow);
    return false;
}

bool hp_follow_go(hp_follow *follow, int cpu) {
    unsigned long mask[HP_CPU_WORDS] = {0};
    if (cpu < 0 || cpu >= HP_CPU_LIMIT)
        return failed(follow, "the CPU of a running thread cannot be found out", false);
    if (cpu == follow->pinned && hp_follow_is_there(follow))
        return true;
    mask[(unsigned)cpu / (8 * sizeof *mask)] |= 1ul << ((unsigned)cpu % (8 * sizeof *mask));
    if (syscall(SYS_sched_setaffinity, 0, sizeof mask, mask) != 0)
        return errno == EINVAL ? failed(follow, "a thread runs on a CPU that the sampler may not use", false)
                               : failed(follow, "the system refuses to move the sampler to another CPU", true);
    follow->pinned = cpu;
    follow->failures = 0;
    follow->reason = "";
    return true;
}

void hp_follow_release(hp_follow *follow) {
    unsigned long every[HP_CPU_WORDS];
    memset(every, 0xff, sizeof every);
    /* The kernel cuts a mask to the cpuset; the original one may have nothing left in common with a cpuset that was changed since. */
    if (follow->pinned >= 0 && syscall(SYS_sched_setaffinity, 0, follow->mask_size, follow->original) != 0)
        (void)syscall(SYS_sched_setaffinity, 0, sizeof every, every);
    follow->pinned = -1;
}
