/* SPDX-License-Identifier: MIT */
/* Hashing for the open-addressing tables: all bits of the result are good, so a table masks the low ones. */
#ifndef HP_BASE_HASH_H
#define HP_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Two rounds of xor-shift and multiply: node numbers and addresses come in strides, one multiplication would leave them clustered. */
static inline uint64_t hp_hash_u64(uint64_t x) {
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

static inline uint64_t hp_hash_pair(uint32_t a, uint32_t b) {
    return hp_hash_u64((uint64_t)a << 32 | b);
}

static inline uint64_t hp_hash_bytes(uint64_t seed, const void *bytes, size_t size) {
    const uint8_t *next = bytes;
    uint64_t hash = hp_hash_u64(seed ^ size);
    for (; size >= 8; size -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        hash = hp_hash_u64(hash ^ word);
    }
    uint64_t tail = 0;
    if (size > 0)
        memcpy(&tail, next, size);
    return hp_hash_u64(hash ^ tail);
}

#endif
