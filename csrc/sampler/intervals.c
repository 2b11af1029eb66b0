/* SPDX-License-Identifier: MIT */
#include "sampler/intervals.h"

#include <math.h>
#include <sys/random.h>

#include "base/clock.h"

static uint64_t split_mix(uint64_t *seed) {
    uint64_t z = (*seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void hp_intervals_init(hp_intervals *intervals, uint64_t seed) {
    if (seed == 0 && getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint64_t)hp_now_ns();
    intervals->state[0] = split_mix(&seed);
    intervals->state[1] = split_mix(&seed) | 1u;
}

static uint64_t rotate(uint64_t x, int by) {
    return (x << by) | (x >> (64 - by));
}

static double uniform(hp_intervals *intervals) {
    uint64_t a = intervals->state[0], b = intervals->state[1], result = a + b;
    b ^= a;
    intervals->state[0] = rotate(a, 24) ^ b ^ (b << 16);
    intervals->state[1] = rotate(b, 37);
    return ((double)(result >> 11) + 0.5) * 0x1p-53;
}

int64_t hp_intervals_next(hp_intervals *intervals, double rate_hz) {
    static const double least = 0.1, most = 5.0;
    static const double folded_mean = 0.99809947103; /* least + exp(-least) - exp(-most) */
    double x = -log(uniform(intervals));
    x = x < least ? least : x > most ? most : x;
    return (int64_t)(x / folded_mean * 1e9 / rate_hz + 0.5);
}
