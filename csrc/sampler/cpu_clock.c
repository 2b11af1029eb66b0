/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "sampler/private.h"

/* The clock's number is made from the thread's id as glibc's pthread_getcpuclockid does; that one would read the thread's descriptor,
 * which may be gone. Here a thread that ended is an error from the kernel. */
int64_t hp_other_thread_cpu_ns(uint64_t native_id) {
    enum { PER_THREAD = 4, SCHED = 2 };
    struct timespec t;
    clockid_t clock = (clockid_t)((~(unsigned)native_id << 3) | PER_THREAD | SCHED);
    if (native_id == 0 || clock_gettime(clock, &t) != 0)
        return -1;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
