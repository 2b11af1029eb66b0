/* SPDX-License-Identifier: MIT */
/* The newest samples in the order of time, where that was asked for. Owner: as all of the sampler. */
#ifndef HP_SAMPLER_MOMENTS_H
#define HP_SAMPLER_MOMENTS_H

#include "tree/timeline.h"

/* 16 MiB, of which the system gives what is written to. 8 busy threads at 100 Hz fill it in 21 minutes; who writes the session to a file
 * while it runs takes what is new each second, and the others have the newest. */
enum { HP_MOMENTS_HELD = 1 << 20 };

typedef struct hp_moments {
    uint64_t begin_ns; /* the session's */
    uint64_t count;    /* so far; the newest HP_MOMENTS_HELD of them are there */
    hp_moment ring[HP_MOMENTS_HELD];
} hp_moments;

static inline uint64_t hp_moment_time(uint64_t ns) {
    return ns / HP_MOMENT_NS;
}

/* Weights are differences of rounded times: rounding never adds up. */
static inline void hp_moments_add(hp_moments *moments, int64_t now, uint32_t node, uint64_t weight_ns) {
    uint64_t since = (uint64_t)now > moments->begin_ns ? (uint64_t)now - moments->begin_ns : 0;
    uint64_t weight = hp_moment_time(since) - hp_moment_time(since > weight_ns ? since - weight_ns : 0);
    moments->ring[moments->count++ % HP_MOMENTS_HELD] =
        (hp_moment){hp_moment_time(since), node, weight > UINT32_MAX ? UINT32_MAX : (uint32_t)weight};
}

/* Those from number `first` on. HP_NO_MEMORY: `out` is empty. */
hp_status hp_moments_copy(const hp_moments *moments, uint64_t first, hp_timeline *out);

#endif
