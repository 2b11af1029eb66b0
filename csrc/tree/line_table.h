/* SPDX-License-Identifier: MIT */
/* Line numbers from a code object's location table (co_linetable), whose encoding is the same from CPython 3.11 to 3.15.
 *
 * The table is a run of entries, each for 1 to 8 instruction units, with the line as a difference to the entry before: it can only be
 * read from the front. A reader therefore goes forward; who has many units of one code object sorts them first. */
#ifndef HP_TREE_LINE_TABLE_H
#define HP_TREE_LINE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Invariant: the entry last read covers the units from unit_end - its length to unit_end - 1. Owner: its caller; the table outlives it. */
typedef struct hp_line_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t unit_end;
    uint32_t entry_line; /* of the entry last read, 0 where it has none */
    int64_t line;        /* the running sum of differences */
} hp_line_reader;

void hp_line_reader_init(hp_line_reader *reader, const uint8_t *table, size_t size, uint32_t first_line);
/* The line of an instruction unit, 0 where it has none or the table ends before it. `unit` must not be below that of the last call. */
uint32_t hp_line_reader_line(hp_line_reader *reader, uint32_t unit);

#endif
