/* SPDX-License-Identifier: MIT */
/* A map from a pair of numbers to a number: (node, line), (thread, function), (caller, callee).
 * Owner: one thread. A zeroed map is an empty one. Values are below UINT32_MAX. */
#ifndef HP_BASE_PAIRS_H
#define HP_BASE_PAIRS_H

#include <stdint.h>

#define HP_NO_PAIR UINT32_MAX

typedef struct hp_pairs {
    uint64_t *keys;
    uint32_t *values; /* HP_NO_PAIR: the place is empty */
    uint32_t count;
    uint32_t size; /* power of two, at most half full; 0 before the first pair */
} hp_pairs;

/* The value of (a, b): the one it has, else `value`, which it has from now on. HP_NO_PAIR when memory is short. */
uint32_t hp_pairs_put(hp_pairs *pairs, uint32_t a, uint32_t b, uint32_t value);
/* HP_NO_PAIR if there is none. */
uint32_t hp_pairs_get(const hp_pairs *pairs, uint32_t a, uint32_t b);
void hp_pairs_fini(hp_pairs *pairs);

#endif
