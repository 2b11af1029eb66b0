/* SPDX-License-Identifier: MIT */
/* A growing block of bytes. Private to formats/hyprof. The first failure sticks: whoever fills a block checks `failed` once. */
#ifndef HP_HYPROF_BYTES_H
#define HP_HYPROF_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct hp_bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed; /* memory was short: `data` is cut, not to be used */
} hp_bytes;

bool hp_bytes_grow(hp_bytes *bytes, size_t extra);

/* Room for `extra` more bytes behind `size`. */
static inline bool hp_bytes_reserve(hp_bytes *bytes, size_t extra) {
    return bytes->capacity - bytes->size >= extra || hp_bytes_grow(bytes, extra);
}

static inline void hp_bytes_add(hp_bytes *bytes, const void *data, size_t size) {
    if (size == 0 || !hp_bytes_reserve(bytes, size))
        return;
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void hp_bytes_free(hp_bytes *bytes);

/* Little-endian, seven bits a byte, high bit: more follow. At most ten bytes. */
static inline void hp_bytes_varint(hp_bytes *bytes, uint64_t value) {
    if (!hp_bytes_reserve(bytes, 10))
        return;
    uint8_t *at = bytes->data + bytes->size;
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    bytes->size = (size_t)(at - bytes->data);
}

/* What msgpack's packer writes through. */
int hp_bytes_pack(void *bytes, const char *data, size_t size);

/* Small magnitudes of either sign become small numbers. Differences are taken modulo 2^64, so every pair of 64-bit values has one. */
static inline uint64_t hp_zigzag(uint64_t value) {
    return (value << 1) ^ (0 - (value >> 63));
}
static inline uint64_t hp_unzigzag(uint64_t value) {
    return (value >> 1) ^ (0 - (value & 1));
}

#endif
