/* SPDX-License-Identifier: MIT */
#include "tree/line_table.h"

/* Location kinds: bits 3 to 6 of an entry's first byte. Below ONE_LINE_0 the line is the one before; columns are of no interest here. */
enum { ONE_LINE_0 = 10, ONE_LINE_2 = 12, NO_COLUMNS = 13, LONG = 14, NO_LOCATION = 15 };

void hp_line_reader_init(hp_line_reader *reader, const uint8_t *table, size_t size, uint32_t first_line) {
    *reader = (hp_line_reader){.at = table, .end = table ? table + size : table, .line = first_line};
}

/* Six bits a byte, least significant first; 0x40 says that more follow. Bits past 64 are dropped, so a damaged table cannot shift too far.
 */
static uint64_t read_varint(hp_line_reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; reader->at < reader->end; shift += 6) {
        uint8_t byte = *reader->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 63u) << shift;
        if (!(byte & 64u))
            break;
    }
    return value;
}

static int64_t read_signed_varint(hp_line_reader *reader) {
    uint64_t value = read_varint(reader);
    int64_t magnitude = (int64_t)(value >> 1);
    return value & 1u ? -magnitude : magnitude;
}

static int64_t line_difference(hp_line_reader *reader, unsigned kind) {
    if (kind == NO_COLUMNS || kind == LONG)
        return read_signed_varint(reader);
    return kind >= ONE_LINE_0 && kind <= ONE_LINE_2 ? (int64_t)kind - ONE_LINE_0 : 0;
}

/* Every first byte, and no other, has its top bit set: what an entry holds beside the line needs no decoding. */
static void read_entry(hp_line_reader *reader) {
    uint8_t first = *reader->at++;
    unsigned kind = (first >> 3) & 15u;
    int64_t difference = line_difference(reader, kind);
    while (reader->at < reader->end && !(*reader->at & 128u))
        reader->at++;
    reader->unit_end += (first & 7u) + 1u;
    reader->line = (int64_t)((uint64_t)reader->line + (uint64_t)difference); /* unsigned: a damaged table may overflow */
    reader->entry_line = kind != NO_LOCATION && reader->line > 0 && reader->line < UINT32_MAX ? (uint32_t)reader->line : 0;
}

uint32_t hp_line_reader_line(hp_line_reader *reader, uint32_t unit) {
    while (unit >= reader->unit_end) {
        if (reader->at >= reader->end)
            return 0;
        read_entry(reader);
    }
    return reader->entry_line;
}
