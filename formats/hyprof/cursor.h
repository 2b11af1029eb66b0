/* SPDX-License-Identifier: MIT */
/* Reads msgpack from bytes that nobody vouches for. Private to formats/hyprof.
 *
 * Why not msgpack-c's unpacker: it builds an object tree and believes the sizes it reads; a six-byte array32 header made it ask for 8 GB.
 * This one builds nothing and allocates nothing: each read checks what remains, and a count of items is refused unless that many bytes
 * remain. The first failure sticks, later reads return 0. */
#ifndef HP_HYPROF_CURSOR_H
#define HP_HYPROF_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hp_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
} hp_cursor;

uint32_t hp_cursor_array(hp_cursor *cursor);
/* Pairs. */
uint32_t hp_cursor_map(hp_cursor *cursor);
uint64_t hp_cursor_u64(hp_cursor *cursor);
int64_t hp_cursor_i64(hp_cursor *cursor);
double hp_cursor_double(hp_cursor *cursor);
/* bin or str; points into the bytes that are read. */
const uint8_t *hp_cursor_bytes(hp_cursor *cursor, size_t *size);
/* Passes over one value of any type, however deep: without recursion. */
void hp_cursor_skip(hp_cursor *cursor);

#endif
