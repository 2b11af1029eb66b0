/* SPDX-License-Identifier: MIT */
/* Seeded random numbers for tests: the same on every machine. xorshift64*. The state must not be 0. */
#ifndef HP_TESTS_SUPPORT_RANDOM_H
#define HP_TESTS_SUPPORT_RANDOM_H

#include <stdint.h>

static inline uint64_t hp_test_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static inline uint32_t hp_test_below(uint64_t *state, uint32_t limit) {
    return (uint32_t)((hp_test_random(state) >> 33) % limit);
}

/* 0 to 1, without 1. */
static inline double hp_test_uniform(uint64_t *state) {
    return (double)(hp_test_random(state) >> 11) * 0x1p-53;
}

#endif
