/* SPDX-License-Identifier: MIT */
/* How much slower than asked for the sampler goes, because ticks take too long. Owner: the sampler's loop. */
#ifndef HP_SAMPLER_PACE_H
#define HP_SAMPLER_PACE_H

#include <stdint.h>

typedef struct hp_pace {
    double slower; /* a power of two */
    int64_t window_began, cpu_then;
    int64_t waited; /* of our CPU time in this window, ns: spinning */
    int64_t inside; /* wall time of this window's ticks, ns */
    uint32_t ticks;
} hp_pace;

hp_pace hp_pace_begin(double slower);
/* After each tick, which took so long. */
void hp_pace_ticked(hp_pace *pace, int64_t ns);

#endif
