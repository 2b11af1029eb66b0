/* SPDX-License-Identifier: MIT */
/* What the reader of .hyprof files takes at most: files that no writer makes, as dense as the rules of the format allow. */
#include "support/memory.h"

#include "formats/hyprof/chunk.h"
#include "formats/hyprof/cursor.h"
#include "formats/hyprof/hyprof.h"
#include "formats/hyprof/table.h"

static void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* As few bytes as a chunk may take: deflated as far as it goes, and filled up to `least`, for zlib's end is not the payload's. */
static void forge_chunk(hp_group *group, uint16_t type, hp_bytes *raw, size_t least) {
    uint8_t header[HP_CHUNK_HEADER_SIZE] = {(uint8_t)type, 0, HP_CHUNK_DEFLATED};
    size_t raw_size = raw->size, size = 0;
    uint8_t *payload = deflated(raw, 15, &size);
    least = least < raw_size / 64 + 1 ? raw_size / 64 + 1 : least;
    if (size < least) {
        uint8_t *longer = realloc(payload, least);
        if (longer == NULL)
            abort();
        payload = longer;
        memset(payload + size, 0, least - size);
        size = least;
    }
    put32(header + 4, (uint32_t)size);
    put32(header + 8, (uint32_t)raw_size);
    put32(header + 12, (uint32_t)crc32(0, payload, (uInt)size));
    put32(header + 16, (uint32_t)crc32(0, header, 16));
    hp_bytes_add(&group->out, header, sizeof header);
    hp_bytes_add(&group->out, payload, size);
    group->chunks++;
    free(payload);
}

static size_t left(const hp_group *group) {
    return FILE_LIMIT - 64 - group->out.size;
}

static void assert_group_bounded(const char *what, hp_group *group) {
    hp_group_commit(group);
    hp_group_end(group);
    assert_bounded(what, &hp_format_hyprof, group->out.data, group->out.size);
    group->out = (hp_bytes){0};
    hp_group_free(group);
}

typedef void (*make_row)(uint32_t row, uint64_t *values);

/* A table of these rows, one byte of the file each (four rows where they may be dense), or as many as there is room for. */
static void forge_rows(hp_group *group, hp_chunk_type type, uint32_t first, uint32_t rows, make_row make) {
    for (uint32_t done = 0; done < rows;) {
        size_t before = group->out.size;
        uint32_t some = rows - done < HP_CHUNK_ROWS_LIMIT ? rows - done : HP_CHUNK_ROWS_LIMIT;
        hp_group scratch = {0};
        hp_table table;
        hp_chunk chunk;
        hp_inflater inflater = {0};
        const uint8_t *bytes = NULL;
        hp_bytes raw = {0};
        hp_table_begin(&table, &scratch, type, hp_layout_of(type)->numbered ? first + done : first);
        for (uint32_t i = 0; i < some; i++) {
            uint64_t values[HP_TABLE_WIDTH_LIMIT] = {0};
            make(done + i, values);
            hp_table_row(&table, values);
        }
        hp_table_end(&table, false);
        assert_int_equal(hp_chunk_read(scratch.out.data, scratch.out.size, &chunk), HP_CHUNK_WHOLE);
        assert_ok(hp_chunk_inflate(&chunk, &inflater, &bytes, NULL));
        hp_bytes_add(&raw, bytes, chunk.raw_size);
        forge_chunk(group, (uint16_t)type, &raw, hp_layout_of(type)->dense ? (some + 3) / 4 : some);
        hp_inflater_fini(&inflater);
        hp_group_free(&scratch);
        done = group->out.size > FILE_LIMIT - 64 ? rows : done + some;
        if (group->out.size > FILE_LIMIT - 64) { /* numbers that do not deflate to a byte each */
            group->out.size = before;
            group->chunks--;
        }
    }
}

/* bin 32 */
static void put_bin(hp_bytes *raw, const void *bytes, size_t size) {
    uint8_t head[5] = {0xc6, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
    hp_bytes_add(raw, head, sizeof head);
    hp_bytes_add(raw, bytes, size);
}

static void forge_strings(hp_group *group, uint32_t first, uint32_t count, size_t size, int fill) {
    hp_bytes raw = {0}, sizes = {0}, texts = {0};
    char *text = malloc(size + 16);
    for (uint32_t i = 0; i < count; i++) {
        char number[16];
        int digits = snprintf(number, sizeof number, "%u", first + i);
        memset(text, fill, size);
        memcpy(text, number, (size_t)digits < size ? (size_t)digits : size);
        hp_bytes_varint(&sizes, 2 * size);
        hp_bytes_add(&texts, text, size);
    }
    hp_bytes_add(&raw, "\x94\xce", 2);
    hp_bytes_add(&raw, (uint8_t[]){(uint8_t)(first >> 24), (uint8_t)(first >> 16), (uint8_t)(first >> 8), (uint8_t)first}, 4);
    hp_bytes_add(&raw, "\xce\0", 2);
    hp_bytes_add(&raw, (uint8_t[]){(uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)count}, 3);
    put_bin(&raw, sizes.data, sizes.size);
    put_bin(&raw, texts.data, texts.size);
    forge_chunk(group, HP_CHUNK_STRINGS, &raw, count);
    hp_bytes_free(&sizes);
    hp_bytes_free(&texts);
    free(text);
}

static void function_row(uint32_t row, uint64_t *values) {
    values[5] = row; /* "", "", "", "" and a line */
}

static void later_function_row(uint32_t row, uint64_t *values) {
    values[5] = row + 1;
}

/* One string, `functions` functions. */
static hp_group begun(uint32_t functions) {
    hp_group group = {0};
    hp_group_file_header(&group);
    hp_bytes raw = {0};
    hp_bytes_add(&raw, "\x94\x00\x01\xc4\x01\x00\xc4\x00", 8);
    forge_chunk(&group, HP_CHUNK_STRINGS, &raw, 1);
    forge_rows(&group, HP_CHUNK_FUNCTIONS, 0, functions, function_row);
    return group;
}

static void test_hyprof_texts(void **state) {
    (void)state;
    for (int fill = 'x'; fill < 0x100; fill += 0xff - 'x') {
        for (uint32_t chunks = 1; chunks <= 16; chunks *= 16) {
            hp_group group = {0};
            hp_group_file_header(&group);
            for (uint32_t i = 0; i < chunks; i++)
                forge_strings(&group, i, 1, (size_t)(60 << 20) / chunks, fill);
            assert_group_bounded(fill == 'x' ? "strings" : "bad strings", &group);
        }
        hp_group group = {0};
        hp_group_file_header(&group);
        for (uint32_t i = 0; left(&group) > 70000; i++)
            forge_strings(&group, i * 65000, 65000, 60, fill);
        assert_group_bounded(fill == 'x' ? "short strings" : "bad short strings", &group);
    }
}

/* Texts elsewhere: a warning, a fact, a fact of a source. */
static void test_hyprof_bad_facts(void **state) {
    static const hp_chunk_type types[] = {HP_CHUNK_WARNINGS, HP_CHUNK_META, HP_CHUNK_SOURCES};
    static const char *const heads[] = {"\x91", "\x81\xa6python", "\x92\x00\x81\xa6python"};
    size_t head_sizes[] = {1, 8, 10};
    char *text = malloc(60 << 20);
    (void)state;
    memset(text, 0xff, 60 << 20);
    for (unsigned i = 0; i < 3; i++) {
        hp_group group = {0};
        hp_bytes raw = {0};
        hp_group_file_header(&group);
        hp_bytes_add(&raw, heads[i], head_sizes[i]);
        put_bin(&raw, text, 60 << 20);
        forge_chunk(&group, (uint16_t)types[i], &raw, 16);
        assert_group_bounded("a bad text among the facts", &group);
    }
    free(text);
}

static void chain_row(uint32_t row, uint64_t *values) {
    values[0] = row;
}
static void line_row(uint32_t row, uint64_t *values) {
    values[0] = 1;
    values[1] = row;
}
static void count_row(uint32_t row, uint64_t *values) {
    values[0] = row;
    values[1] = values[2] = values[3] = values[4] = 1;
}
static void rich_row(uint32_t row, uint64_t *values) {
    values[0] = row + 1;
    values[1] = values[2] = 1 << 30;
}
static void estimate_row(uint32_t row, uint64_t *values) {
    values[0] = row / 1000;
    values[1] = row % 1000;
}
static void moment_row(uint32_t row, uint64_t *values) {
    (void)row;
    values[1] = 1;
}
static void thread_row(uint32_t row, uint64_t *values) {
    values[0] = row;
}
static void row_row(uint32_t row, uint64_t *values) {
    values[0] = row;
}
static void edge_row(uint32_t row, uint64_t *values) {
    values[0] = row / 1000 + 1;
    values[1] = row % 1000;
}

/* `share`: of what is left of the file, in percent. A little more than a power of two makes arrays twice as large as they must be. */
static uint32_t rows_for(const hp_group *group, uint32_t share) {
    uint32_t rows = (uint32_t)((uint64_t)left(group) * share / 100);
    return rows - rows / 1000;
}

static void test_hyprof_tables(void **state) {
    (void)state;
    for (uint32_t share = 52; share <= 100; share += 48) {
        hp_group group = begun(1);
        forge_rows(&group, HP_CHUNK_NODES, 1, rows_for(&group, share), chain_row);
        assert_group_bounded("nodes", &group);
        group = begun(1);
        forge_rows(&group, HP_CHUNK_FUNCTIONS, 1, rows_for(&group, share), later_function_row);
        assert_group_bounded("functions", &group);
        group = begun(1);
        forge_rows(&group, HP_CHUNK_NODES, 1, 2, chain_row);
        forge_rows(&group, HP_CHUNK_LINES, 0, rows_for(&group, share), line_row);
        assert_group_bounded("lines", &group);
        group = begun(1000);
        forge_rows(&group, HP_CHUNK_ESTIMATES, 0, rows_for(&group, share), estimate_row);
        assert_group_bounded("estimates", &group);
        group = begun(1);
        forge_rows(&group, HP_CHUNK_NODES, 1, 2, chain_row);
        forge_rows(&group, HP_CHUNK_MOMENTS, 0, 4 * rows_for(&group, share), moment_row);
        assert_group_bounded("moments", &group);
        group = begun(1);
        forge_rows(&group, HP_CHUNK_THREADS, UINT32_MAX, rows_for(&group, share), thread_row);
        assert_group_bounded("threads", &group);
        group = begun(1);
        forge_rows(&group, HP_CHUNK_ROWS, 0, rows_for(&group, share), moment_row);
        assert_group_bounded("rows", &group);
        group = begun(1000);
        forge_rows(&group, HP_CHUNK_EDGES, 0, rows_for(&group, share), edge_row);
        assert_group_bounded("edges", &group);
    }
}

/* Half of the file makes ids, the other half numbers that make them count. */
static void test_hyprof_two_tables(void **state) {
    (void)state;
    hp_group group = begun(1);
    uint32_t half = rows_for(&group, 49);
    forge_rows(&group, HP_CHUNK_NODES, 1, 2, chain_row);
    forge_rows(&group, HP_CHUNK_SAMPLED, 0, 1, rich_row);
    forge_rows(&group, HP_CHUNK_LINES, 0, half, line_row);
    forge_rows(&group, HP_CHUNK_LINE_COUNTS, 0, half, count_row);
    assert_group_bounded("counted lines", &group);
    group = begun(1000);
    half = rows_for(&group, 49);
    forge_rows(&group, HP_CHUNK_THREADS, UINT32_MAX, 600, thread_row);
    forge_rows(&group, HP_CHUNK_ESTIMATES, 0, half, estimate_row);
    forge_rows(&group, HP_CHUNK_ESTIMATE_COUNTS, 0, half, count_row);
    assert_group_bounded("counted estimates", &group);
    group = begun(1);
    half = rows_for(&group, 49);
    forge_rows(&group, HP_CHUNK_FUNCTIONS, 1, half, later_function_row);
    forge_rows(&group, HP_CHUNK_ROWS, 0, half, row_row);
    assert_group_bounded("rows of functions", &group);
    group = begun(1);
    half = rows_for(&group, 49);
    forge_rows(&group, HP_CHUNK_NODES, 1, half, chain_row);
    forge_rows(&group, HP_CHUNK_EXACT, 0, half, count_row);
    assert_group_bounded("counted nodes", &group);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hyprof_texts),
        cmocka_unit_test(test_hyprof_bad_facts),
        cmocka_unit_test(test_hyprof_tables),
        cmocka_unit_test(test_hyprof_two_tables),
    };
    return MEMORY_IS_SHADOWED ? TEST_IS_SKIPPED : cmocka_run_group_tests_name("memory of the .hyprof reader", tests, NULL, NULL);
}
