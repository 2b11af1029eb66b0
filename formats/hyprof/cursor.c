/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/cursor.h"

#include <string.h>

static size_t cursor_left(const hp_cursor *cursor) {
    return (size_t)(cursor->end - cursor->at);
}

static uint8_t cursor_byte(hp_cursor *cursor) {
    if (cursor->bad || cursor->at == cursor->end) {
        cursor->bad = true;
        return 0xc1; /* the one byte msgpack never uses */
    }
    return *cursor->at++;
}

static uint64_t cursor_big_endian(hp_cursor *cursor, unsigned width) {
    uint64_t value = 0;
    if (cursor->bad || cursor_left(cursor) < width) {
        cursor->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < width; i++)
        value = value << 8 | *cursor->at++;
    return value;
}

/* Each item takes a byte at least, so a count above what remains is a lie, and is found out before anybody allocates by it. */
static uint32_t cursor_count(hp_cursor *cursor, uint64_t count, unsigned bytes_each) {
    if (cursor->bad || count * bytes_each > cursor_left(cursor)) {
        cursor->bad = true;
        return 0;
    }
    return (uint32_t)count;
}

static uint64_t cursor_fail(hp_cursor *cursor) {
    cursor->bad = true;
    return 0;
}

uint32_t hp_cursor_array(hp_cursor *cursor) {
    uint8_t tag = cursor_byte(cursor);
    uint64_t count = 0;
    if ((tag & 0xf0) == 0x90)
        count = tag & 0x0f;
    else if (tag == 0xdc || tag == 0xdd)
        count = cursor_big_endian(cursor, tag == 0xdc ? 2 : 4);
    else
        return (uint32_t)cursor_fail(cursor);
    return cursor_count(cursor, count, 1);
}

uint32_t hp_cursor_map(hp_cursor *cursor) {
    uint8_t tag = cursor_byte(cursor);
    uint64_t count = 0;
    if ((tag & 0xf0) == 0x80)
        count = tag & 0x0f;
    else if (tag == 0xde || tag == 0xdf)
        count = cursor_big_endian(cursor, tag == 0xde ? 2 : 4);
    else
        return (uint32_t)cursor_fail(cursor);
    return cursor_count(cursor, count, 2);
}

/* An integer of any msgpack width as 64 bits; `*negative` says how to take them. */
static uint64_t cursor_integer(hp_cursor *cursor, bool *negative) {
    uint8_t tag = cursor_byte(cursor);
    *negative = false;
    if (tag < 0x80)
        return tag;
    if (tag >= 0xe0) {
        *negative = true;
        return (uint64_t)(int64_t)(int8_t)tag;
    }
    if (tag >= 0xcc && tag <= 0xcf)
        return cursor_big_endian(cursor, 1u << (tag - 0xcc));
    if (tag < 0xd0 || tag > 0xd3)
        return cursor_fail(cursor);
    unsigned width = 1u << (tag - 0xd0);
    uint64_t value = cursor_big_endian(cursor, width);
    unsigned unused = 64 - 8 * width;
    *negative = (value >> (8 * width - 1) & 1) != 0;
    return *negative && unused > 0 ? value | UINT64_MAX << (8 * width) : value;
}

uint64_t hp_cursor_u64(hp_cursor *cursor) {
    bool negative;
    uint64_t value = cursor_integer(cursor, &negative);
    return negative ? cursor_fail(cursor) : value;
}

int64_t hp_cursor_i64(hp_cursor *cursor) {
    bool negative;
    uint64_t value = cursor_integer(cursor, &negative);
    if (!negative && value > INT64_MAX)
        return (int64_t)cursor_fail(cursor);
    return (int64_t)value;
}

double hp_cursor_double(hp_cursor *cursor) {
    uint64_t bits = 0;
    double value = 0;
    if (cursor_byte(cursor) != 0xcb)
        return (double)cursor_fail(cursor);
    bits = cursor_big_endian(cursor, 8);
    memcpy(&value, &bits, sizeof value);
    return value;
}

const uint8_t *hp_cursor_bytes(hp_cursor *cursor, size_t *size) {
    uint8_t tag = cursor_byte(cursor);
    uint64_t length = 0;
    *size = 0;
    if ((tag & 0xe0) == 0xa0)
        length = tag & 0x1f;
    else if (tag >= 0xc4 && tag <= 0xc6)
        length = cursor_big_endian(cursor, 1u << (tag - 0xc4));
    else if (tag >= 0xd9 && tag <= 0xdb)
        length = cursor_big_endian(cursor, 1u << (tag - 0xd9));
    else
        cursor_fail(cursor);
    if (cursor->bad || length > cursor_left(cursor)) {
        cursor->bad = true;
        return cursor->at;
    }
    const uint8_t *bytes = cursor->at;
    cursor->at += length;
    *size = (size_t)length;
    return bytes;
}

static void cursor_pass(hp_cursor *cursor, uint64_t size) {
    if (cursor->bad || size > cursor_left(cursor))
        cursor->bad = true;
    else
        cursor->at += size;
}

/* Passes over one tag and its fixed part; returns how many values follow inside it. */
static uint64_t cursor_skip_one(hp_cursor *cursor) {
    static const uint8_t fixed[] = {[0xca - 0xc0] = 4, [0xcb - 0xc0] = 8, [0xcc - 0xc0] = 1, [0xcd - 0xc0] = 2, [0xce - 0xc0] = 4,
                                    [0xcf - 0xc0] = 8, [0xd0 - 0xc0] = 1, [0xd1 - 0xc0] = 2, [0xd2 - 0xc0] = 4, [0xd3 - 0xc0] = 8,
                                    [0xd4 - 0xc0] = 2, [0xd5 - 0xc0] = 3, [0xd6 - 0xc0] = 5, [0xd7 - 0xc0] = 9, [0xd8 - 0xc0] = 17};
    uint8_t tag = cursor_byte(cursor);
    if (tag < 0x80 || tag >= 0xe0)
        return 0;
    if (tag < 0x90)
        return 2u * (tag & 0x0f);
    if (tag < 0xa0)
        return tag & 0x0f;
    if (tag < 0xc0)
        return cursor_pass(cursor, tag & 0x1f), 0;
    if (tag >= 0xdc)
        return cursor_big_endian(cursor, (tag & 1) == 0 ? 2 : 4) * (tag >= 0xde ? 2 : 1);
    if (tag >= 0xd9)
        return cursor_pass(cursor, cursor_big_endian(cursor, 1u << (tag - 0xd9))), 0;
    if (tag >= 0xc4 && tag <= 0xc6)
        return cursor_pass(cursor, cursor_big_endian(cursor, 1u << (tag - 0xc4))), 0;
    if (tag >= 0xc7 && tag <= 0xc9)
        return cursor_pass(cursor, cursor_big_endian(cursor, 1u << (tag - 0xc7)) + 1), 0;
    if (tag == 0xc1)
        return cursor_fail(cursor);
    return cursor_pass(cursor, fixed[tag - 0xc0]), 0;
}

void hp_cursor_skip(hp_cursor *cursor) {
    uint64_t pending = 1;
    while (pending > 0 && !cursor->bad) {
        pending += cursor_skip_one(cursor);
        pending--;
        if (pending > cursor_left(cursor))
            cursor->bad = true;
    }
}
