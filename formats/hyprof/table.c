/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/table.h"

#include <msgpack.h>

#include "formats/hyprof/cursor.h"

static const hp_layout layouts[] = {
    [HP_CHUNK_FUNCTIONS] = {6, 0x1f, true, false},        /* kind, module, qualname, name, file | first_line */
    [HP_CHUNK_FUNCTIONS_ABSENT] = {1, 0x1, false, false}, /* function */
    [HP_CHUNK_NODES] = {2, 0x3, true, false},             /* parent, function */
    [HP_CHUNK_NODES_ABSENT] = {1, 0x1, false, false},     /* node */
    [HP_CHUNK_SAMPLED] = {3, 0x1, false, false},          /* node | samples, sampled */
    [HP_CHUNK_EXACT] = {5, 0x1, false, false},            /* node | calls, exact, overhead, flags */
    [HP_CHUNK_LINES] = {3, 0x3, true, false},             /* node, line | state */
    [HP_CHUNK_LINE_COUNTS] = {3, 0x1, false, false},      /* line row | samples, sampled */
    [HP_CHUNK_ESTIMATES] = {2, 0x3, true, false},         /* thread, function */
    [HP_CHUNK_ESTIMATE_COUNTS] = {5, 0x1, false, false},  /* estimate row | self samples, self runs, total samples, total runs */
    [HP_CHUNK_THREADS] = {11, 0x7, false,
                          false}, /* thread, name, root + 1 | native id, samples, traced, measured, sampled, exact, overhead, unresolved */
    [HP_CHUNK_ROWS] = {11, 0x1, true, false}, /* function | measured, samples, calls, primitive, self s/e, total s/e, errors */
    [HP_CHUNK_ESTIMATE_VARIANCES] = {3, 0x1, false, false}, /* estimate row | self, total */
    [HP_CHUNK_MOMENTS] = {3, 0x1, false, true},             /* time | node, weight less what is expected */
    [HP_CHUNK_EDGES] = {9, 0x3, true, false},               /* caller + 1, callee | measured, calls, primitive, self s/e, total s/e */
};

const hp_layout *hp_layout_of(uint32_t type) {
    return type < sizeof layouts / sizeof layouts[0] && layouts[type].width > 0 ? &layouts[type] : NULL;
}

void hp_table_begin(hp_table *table, hp_group *group, hp_chunk_type type, uint32_t first) {
    *table = (hp_table){.group = group, .type = (uint16_t)type, .layout = layouts[type], .first = first};
}

static void table_flush(hp_table *table) {
    hp_bytes raw = {0};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &raw, hp_bytes_pack);
    msgpack_pack_array(&packer, table->layout.width + 2u);
    msgpack_pack_uint32(&packer, table->first);
    msgpack_pack_uint32(&packer, table->rows);
    for (unsigned c = 0; c < table->layout.width; c++) {
        hp_bytes *column = &table->columns[c];
        msgpack_pack_bin(&packer, column->size);
        msgpack_pack_bin_body(&packer, column->data, column->size);
        raw.failed |= column->failed;
        column->size = 0;
        table->above[c] = 0;
    }
    if (raw.failed)
        table->group->failed = true;
    else
        hp_group_chunk(table->group, table->type, raw.data, raw.size, table->layout.dense ? (table->rows + 3) / 4 : table->rows);
    hp_bytes_free(&raw);
    table->first += table->layout.numbered ? table->rows : 0;
    table->rows = 0;
}

void hp_table_row(hp_table *table, const uint64_t *values) {
    for (unsigned c = 0; c < table->layout.width; c++) {
        bool relative = (table->layout.relative >> c & 1) != 0;
        hp_bytes_varint(&table->columns[c], hp_zigzag(relative ? values[c] - table->above[c] : values[c]));
        table->above[c] = values[c];
    }
    if (++table->rows == HP_CHUNK_ROWS_LIMIT)
        table_flush(table);
}

void hp_table_end(hp_table *table, bool even_empty) {
    if (table->rows > 0 || even_empty)
        table_flush(table);
    for (unsigned c = 0; c < table->layout.width; c++)
        hp_bytes_free(&table->columns[c]);
}

/* False unless the column holds exactly `rows` well-formed varints. */
static bool column_read(const uint8_t *at, const uint8_t *end, bool relative, uint64_t *values, uint32_t rows) {
    uint64_t above = 0;
    for (uint32_t r = 0; r < rows; r++) {
        uint64_t value = 0;
        unsigned shift = 0;
        uint8_t byte = 0x80;
        if (at < end && *at < 0x80) { /* nearly all */
            above = hp_unzigzag(*at++) + (relative ? above : 0);
            values[r] = above;
            continue;
        }
        for (; (byte & 0x80) != 0; shift += 7) {
            if (at == end || shift > 63)
                return false;
            byte = *at++;
            if (shift == 63 && byte > 1)
                return false;
            value |= (uint64_t)(byte & 0x7f) << shift;
        }
        above = hp_unzigzag(value) + (relative ? above : 0);
        values[r] = above;
    }
    return at == end;
}

static hp_status rows_room(hp_rows *rows, size_t count, hp_error *error) {
    if (count <= rows->capacity && rows->values != NULL)
        return HP_OK;
    count += count == 0; /* never NULL, not even for no rows: offsets are taken from it */
    uint64_t *values = realloc(rows->values, count * sizeof *values);
    if (values == NULL)
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to read a chunk of %zu numbers", count);
    rows->values = values;
    rows->capacity = count;
    return HP_OK;
}

hp_status hp_rows_read(hp_rows *rows, const hp_layout *layout, const hp_chunk *chunk, const uint8_t *raw, hp_error *error) {
    hp_cursor cursor = {raw, raw + chunk->raw_size, false};
    uint32_t items = hp_cursor_array(&cursor);
    rows->first = hp_cursor_u64(&cursor);
    uint64_t count = hp_cursor_u64(&cursor);
    if (cursor.bad || items < layout->width + 2u || count > HP_CHUNK_ROWS_LIMIT ||
        count > (uint64_t)chunk->size * (layout->dense ? 4 : 1) || rows->first > UINT32_MAX)
        return hp_fail(error, HP_BAD_FORMAT, 0,
                       "a chunk of type %u is not a table of %u columns and at most %d rows, one byte each or more", chunk->type,
                       layout->width, HP_CHUNK_ROWS_LIMIT);
    rows->rows = (uint32_t)count;
    hp_status status = rows_room(rows, (size_t)count * layout->width, error);
    for (unsigned c = 0; c < layout->width && status == HP_OK; c++) {
        size_t size;
        const uint8_t *bytes = hp_cursor_bytes(&cursor, &size);
        bool relative = (layout->relative >> c & 1) != 0;
        if (cursor.bad || !column_read(bytes, bytes + size, relative, rows->values + (size_t)c * rows->rows, rows->rows))
            status =
                hp_fail(error, HP_BAD_FORMAT, 0, "column %u of a chunk of type %u does not hold %u numbers", c, chunk->type, rows->rows);
    }
    return status;
}

void hp_rows_free(hp_rows *rows) {
    free(rows->values);
    *rows = (hp_rows){0};
}
