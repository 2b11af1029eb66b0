/* SPDX-License-Identifier: MIT */
/* The bytes of Python's marshal that a pstats file is made of. Written is version 2: without references, so equal data gives equal bytes.
 */
#ifndef HP_FORMATS_PSTATS_MARSHAL_H
#define HP_FORMATS_PSTATS_MARSHAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    HP_MARSHAL_NULL = '0', /* ends a dict */
    HP_MARSHAL_NONE = 'N',
    HP_MARSHAL_TRUE = 'T',
    HP_MARSHAL_FALSE = 'F',
    HP_MARSHAL_INT = 'i',
    HP_MARSHAL_INT64 = 'I',
    HP_MARSHAL_LONG = 'l',  /* digits of 15 bits */
    HP_MARSHAL_FLOAT = 'f', /* as text */
    HP_MARSHAL_BINARY_FLOAT = 'g',
    HP_MARSHAL_BYTES = 's',
    HP_MARSHAL_INTERNED = 't',
    HP_MARSHAL_UNICODE = 'u',
    HP_MARSHAL_ASCII = 'a',
    HP_MARSHAL_ASCII_INTERNED = 'A',
    HP_MARSHAL_SHORT_ASCII = 'z',
    HP_MARSHAL_SHORT_ASCII_INTERNED = 'Z',
    HP_MARSHAL_TUPLE = '(',
    HP_MARSHAL_SMALL_TUPLE = ')',
    HP_MARSHAL_LIST = '[',
    HP_MARSHAL_DICT = '{',
    HP_MARSHAL_REF = 'r',
    HP_MARSHAL_FLAG_REF = 0x80, /* this object may be referred to later */
};

/* Each returns where the next byte goes. The most bytes: u32 4, count 15, seconds 9, head 5. */
static inline uint8_t *hp_marshal_u32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++)
        *out++ = (uint8_t)(value >> (8 * i));
    return out;
}

static inline uint8_t *hp_marshal_head(uint8_t *out, char type, uint32_t size) {
    *out++ = (uint8_t)type;
    return hp_marshal_u32(out, size);
}

static inline uint8_t *hp_marshal_count(uint8_t *out, uint64_t value) {
    if (value <= INT32_MAX)
        return hp_marshal_head(out, HP_MARSHAL_INT, (uint32_t)value);
    uint32_t digits = 0;
    for (uint64_t left = value; left != 0; left >>= 15)
        digits++;
    out = hp_marshal_head(out, HP_MARSHAL_LONG, digits);
    for (; value != 0; value >>= 15) {
        *out++ = (uint8_t)(value & 0xff);
        *out++ = (uint8_t)(value >> 8 & 0x7f);
    }
    return out;
}

static inline uint8_t *hp_marshal_double(uint8_t *out, double value) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    *out++ = HP_MARSHAL_BINARY_FLOAT;
    out = hp_marshal_u32(out, (uint32_t)bits);
    return hp_marshal_u32(out, (uint32_t)(bits >> 32));
}

#endif
