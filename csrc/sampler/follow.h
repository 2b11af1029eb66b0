/* SPDX-License-Identifier: MIT */
/* Going to another thread's CPU.
 *
 * A thread that runs user code on CPU c has c in its rseq area: the kernel writes it before it returns to user code. So while we run on c
 * and the area says c, the thread is not running; if it still says c afterwards and we were not preempted, it did not run in between. */
#ifndef HP_SAMPLER_FOLLOW_H
#define HP_SAMPLER_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HP_CPU_WORDS = 128, HP_CPU_LIMIT = HP_CPU_WORDS * 64 };

/* Owner: the sampler thread. */
typedef struct hp_follow {
    bool possible;
    const char *reason;    /* why not, or why it failed last; "" */
    uint32_t failures;     /* moves in a row that failed */
    ptrdiff_t rseq_offset; /* from a pthread_t to its rseq area */
    bool has_rseq;
    int pinned;                           /* CPU we are bound to, or -1 */
    size_t mask_size;                     /* bytes of `original` that the kernel uses */
    unsigned long original[HP_CPU_WORDS]; /* our affinity before we moved */
} hp_follow;

/* On the sampler's own thread. */
void hp_follow_init(hp_follow *follow, bool wanted);
/* CPU a living thread runs on or ran on last; -1 unknown. */
int hp_follow_cpu_of(const hp_follow *follow, uint64_t pthread, uint64_t native_id);
/* False if it fails, and `reason` says why: the CPU is unknown (-1) or not ours to use, which may pass (a cpuset that is being changed, a
 * thread that is just ending), or the system refuses. After a refusal, or HP_FOLLOW_FAILURES failures in a row, `possible` is false. */
enum { HP_FOLLOW_FAILURES = 1000 };
bool hp_follow_go(hp_follow *follow, int cpu);
/* We are on the CPU that we went to: others may change our affinity too (`taskset -a`, a cpuset that shrinks). Some ns, no system call. */
bool hp_follow_is_there(const hp_follow *follow);
/* Gives the original affinity back. */
void hp_follow_release(hp_follow *follow);

#endif
