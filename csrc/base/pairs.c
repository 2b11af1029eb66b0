/* SPDX-License-Identifier: MIT */
#include "base/pairs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static uint32_t pairs_place(const hp_pairs *pairs, uint64_t key) {
    uint32_t at = (uint32_t)hp_hash_u64(key) & (pairs->size - 1);
    while (pairs->values[at] != HP_NO_PAIR && pairs->keys[at] != key)
        at = (at + 1) & (pairs->size - 1);
    return at;
}

static bool pairs_widen(hp_pairs *pairs) {
    if (pairs->count < pairs->size / 2)
        return true;
    if (pairs->size > UINT32_MAX / 4)
        return false;
    hp_pairs wider = {.count = pairs->count, .size = pairs->size == 0 ? 64 : pairs->size * 2};
    wider.keys = malloc(wider.size * sizeof *wider.keys);
    wider.values = malloc(wider.size * sizeof *wider.values);
    if (wider.keys == NULL || wider.values == NULL) {
        hp_pairs_fini(&wider);
        return false;
    }
    memset(wider.values, 0xff, wider.size * sizeof *wider.values);
    for (uint32_t i = 0; i < pairs->size; i++) {
        if (pairs->values[i] == HP_NO_PAIR)
            continue;
        uint32_t at = pairs_place(&wider, pairs->keys[i]);
        wider.keys[at] = pairs->keys[i];
        wider.values[at] = pairs->values[i];
    }
    hp_pairs_fini(pairs);
    *pairs = wider;
    return true;
}

uint32_t hp_pairs_put(hp_pairs *pairs, uint32_t a, uint32_t b, uint32_t value) {
    if (!pairs_widen(pairs))
        return HP_NO_PAIR;
    uint64_t key = (uint64_t)a << 32 | b;
    uint32_t at = pairs_place(pairs, key);
    if (pairs->values[at] == HP_NO_PAIR) {
        pairs->keys[at] = key;
        pairs->values[at] = value;
        pairs->count++;
    }
    return pairs->values[at];
}

uint32_t hp_pairs_get(const hp_pairs *pairs, uint32_t a, uint32_t b) {
    return pairs->size == 0 ? HP_NO_PAIR : pairs->values[pairs_place(pairs, (uint64_t)a << 32 | b)];
}

void hp_pairs_fini(hp_pairs *pairs) {
    free(pairs->keys);
    free(pairs->values);
    *pairs = (hp_pairs){0};
}
