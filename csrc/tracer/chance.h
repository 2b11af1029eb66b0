/* SPDX-License-Identifier: MIT */
/* splitmix64: its first word is as good as any other, whatever the seed, and seeds that lie side by side have nothing in common. A session
 * may draw once only, so that a generator which takes its time to mix a small seed would choose by the seed and not by chance. */
#ifndef HP_TRACER_CHANCE_H
#define HP_TRACER_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t hp_chance_word(uint64_t *state) {
    uint64_t x = *state += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* True for a share of threshold / 2^32 of all words. */
static inline bool hp_chance_draw(uint64_t *state, uint64_t threshold) {
    return (hp_chance_word(state) >> 32) < threshold;
}

#endif
