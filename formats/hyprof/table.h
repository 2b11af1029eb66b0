/* SPDX-License-Identifier: MIT */
/* Rows of 64-bit numbers as columns of bytes. Private to formats/hyprof.
 *
 * A column is one msgpack bin of varints, not a msgpack array: a varint takes the bytes a number needs where msgpack rounds up to 2, 3, 5
 * or 9, and the loop that reads has no tag to branch on. Measured on a tree of 324,000 nodes: 16 % smaller, 8 % smaller deflated, read 2.4
 * times as fast. Columns lie one behind another, which deflates better than rows. Every number is a zigzag varint, so a signed difference
 * modulo 2^64 needs no case of its own. */
#ifndef HP_HYPROF_TABLE_H
#define HP_HYPROF_TABLE_H

#include "formats/hyprof/chunk.h"

enum { HP_TABLE_WIDTH_LIMIT = 12 };

/* What a chunk type looks like: part of the file format. */
typedef struct hp_layout {
    uint8_t width;
    uint16_t relative; /* bit c: column c holds the difference to the row above */
    bool numbered;     /* the chunk makes ids, or items of a list: `first` is that of its first row */
    bool dense;        /* four rows may take one byte */
} hp_layout;

/* NULL for types that are no tables. */
const hp_layout *hp_layout_of(uint32_t type);

/* Rows waiting to become a chunk. */
typedef struct hp_table {
    hp_group *group;
    uint16_t type;
    hp_layout layout;
    uint32_t first;
    uint32_t rows;
    uint64_t above[HP_TABLE_WIDTH_LIMIT];
    hp_bytes columns[HP_TABLE_WIDTH_LIMIT];
} hp_table;

/* `first`: the number of the first row where rows are numbered, else what the chunk type means by it. */
void hp_table_begin(hp_table *table, hp_group *group, hp_chunk_type type, uint32_t first);
void hp_table_row(hp_table *table, const uint64_t *values);
/* Writes what is left (nothing if there were no rows, unless `even_empty`) and frees. */
void hp_table_end(hp_table *table, bool even_empty);

/* What was read: column c of row r is values[c * rows + r]. The block is reused from chunk to chunk. */
typedef struct hp_rows {
    uint64_t first;
    uint32_t rows;
    uint64_t *values;
    size_t capacity;
} hp_rows;

/* Checks everything about the columns and nothing about what the numbers mean. */
hp_status hp_rows_read(hp_rows *rows, const hp_layout *layout, const hp_chunk *chunk, const uint8_t *raw, hp_error *error);
void hp_rows_free(hp_rows *rows);

#endif
