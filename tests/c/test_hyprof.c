/* SPDX-License-Identifier: MIT */
/* The native format as a whole file: what is written comes back, and what is not a whole file of this version is told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "formats/hyprof/chunk.h"
#include "hyprof_samples.h"

static const hp_sample_shape small = {.seed = 7, .stacks = 60, .functions = 20, .threads = 3, .depth = 6, .main_name = "MainThread"};

/* Writes, reads, writes again: equal text with ids as they stand, equal bytes. Returns what was read. */
static hp_profile *round_trip(const hp_profile *profile) {
    hp_error error = {0};
    hp_profile *again = NULL;
    size_t size = 0, size_again = 0;
    uint8_t *bytes = sample_encode(profile, &size);
    assert_non_null(bytes);
    assert_true(hp_format_hyprof.recognize(bytes, size));
    if (hp_format_hyprof.read(bytes, size, &again, &error) != HP_OK)
        fail_msg("%s", error.text);
    char *before = sample_dump(profile, false), *after = sample_dump(again, false);
    assert_string_equal(before, after);
    uint8_t *bytes_again = sample_encode(again, &size_again);
    assert_int_equal(size, size_again);
    assert_memory_equal(bytes, bytes_again, size);
    free(before);
    free(after);
    free(bytes);
    free(bytes_again);
    return again;
}

static void test_round_trip_small(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&small);
    hp_profile_free(round_trip(profile));
    hp_profile_free(profile);
}

/* More rows than one chunk may hold, of every kind. */
static void test_round_trip_large(void **state) {
    (void)state;
    hp_sample_shape shape = {.seed = 3, .stacks = 150000, .functions = 80000, .threads = 2, .depth = 14, .main_name = "MainThread"};
    hp_profile *profile = sample_profile(&shape);
    assert_true(profile->tree.count > HP_CHUNK_ROWS_LIMIT);
    assert_true(profile->line_count > HP_CHUNK_ROWS_LIMIT);
    size_t size = 0;
    uint8_t *bytes = sample_encode(profile, &size);
    hp_profile *again = NULL;
    hp_error error = {0};
    assert_int_equal(hp_format_hyprof.read(bytes, size, &again, &error), HP_OK);
    size_t size_again = 0;
    uint8_t *bytes_again = sample_encode(again, &size_again);
    assert_int_equal(size, size_again);
    assert_memory_equal(bytes, bytes_again, size);
    assert_int_equal(profile->tree.count, again->tree.count);
    assert_int_equal(profile->row_count, again->row_count);
    free(bytes);
    free(bytes_again);
    hp_profile_free(profile);
    hp_profile_free(again);
}

static void test_round_trip_empty(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    hp_profile_free(round_trip(profile));
    hp_profile_free(profile);
}

/* One huge value in each field: what sums up to 2^64 - 1 or more is no profile. */
static void test_round_trip_extremes(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    uint32_t thread = hp_profile_add_thread(profile, "\xe7\xba\xbf\xe7\xa8\x8b\xed\xa0\x80", UINT64_MAX);
    hp_function function = {HP_CODE_PYTHON,
                            "\xed\xb3\xbf",
                            "q",
                            "",
                            "/\xff"
                            "bytes",
                            UINT32_MAX};
    function.file = "/\xed\xb3\xbf";
    uint32_t f = hp_profile_function(profile, &function);
    uint32_t node = hp_tree_child(&profile->tree, profile->threads[thread].root, f);
    profile->tree.nodes[node].sampled = UINT64_MAX - 1;
    profile->tree.nodes[node].samples = UINT64_MAX - 1;
    profile->tree.nodes[node].flags = HP_NODE_PARTIAL | HP_NODE_OPEN;
    hp_line line = {node, HP_LINE_LIMIT - 1, HP_STATES - 1, UINT64_MAX - 1, UINT64_MAX - 1};
    assert_int_equal(hp_profile_add_line(profile, &line), HP_OK);
    hp_estimate estimate = {thread, f, UINT64_MAX - 1, 1, UINT64_MAX - 1, 1, UINT64_MAX, 3};
    assert_int_equal(hp_profile_add_estimate(profile, &estimate), HP_OK);
    hp_profile_thread *t = &profile->threads[thread];
    t->samples = t->sampled_ns = t->measured_ns = UINT64_MAX - 1;
    t->traced_samples = t->unresolved_ns = UINT64_C(1) << 63;
    profile->meta.started_ns = INT64_MIN;
    profile->meta.duration_ns = profile->meta.pid = UINT64_MAX;
    profile->tree.overflowed = UINT64_MAX;
    profile->meta.rate_hz = 1e-300;
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    hp_profile_free(round_trip(profile));
    hp_profile_free(profile);
}

static void test_round_trip_flat(void **state) {
    (void)state;
    hp_profile *profile = sample_flat();
    hp_profile *again = round_trip(profile);
    assert_int_equal(again->tree.count, 1);
    assert_int_equal(again->row_count, 3);
    hp_profile_free(again);
    hp_profile_free(profile);
}

/* --- versions, foreign files, what later versions may add ----------------------------------------------------------------------------- */

static void expect_refused(const uint8_t *bytes, size_t size, hp_status status, const char *words) {
    hp_error error = {0};
    hp_profile *profile = NULL;
    assert_int_equal(hp_format_hyprof.read(bytes, size, &profile, &error), status);
    assert_null(profile);
    if (strstr(error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
}

static void seal_header(uint8_t *bytes) {
    uint32_t checksum = (uint32_t)crc32(0, bytes, 12);
    for (int i = 0; i < 4; i++)
        bytes[12 + i] = (uint8_t)(checksum >> 8 * i);
}

static void test_other_files(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = sample_profile(&small), *read = NULL;
    uint8_t *bytes = sample_encode(profile, &size);
    expect_refused((const uint8_t *)"# callgrind format\n", 19, HP_BAD_FORMAT, "not a .hyprof file");
    expect_refused(bytes, 0, HP_BAD_FORMAT, "not a .hyprof file");
    expect_refused(bytes, 9, HP_BAD_FORMAT, "cut short");
    bytes[8] = HP_HYPROF_MAJOR + 1;
    expect_refused(bytes, size, HP_BAD_FORMAT, "checksum");
    seal_header(bytes);
    expect_refused(bytes, size, HP_UNSUPPORTED, "version 2.2");
    bytes[8] = HP_HYPROF_MAJOR;
    bytes[10] = 200;
    seal_header(bytes);
    assert_int_equal(hp_format_hyprof.read(bytes, size, &read, NULL), HP_OK);
    hp_profile_free(read);
    memmove(bytes + 4, bytes + 5, size - 5); /* CR LF became LF */
    assert_true(hp_format_hyprof.recognize(bytes, size));
    expect_refused(bytes, size - 1, HP_BAD_FORMAT, "binary mode");
    bytes[0] &= 0x7f;
    expect_refused(bytes, size - 1, HP_BAD_FORMAT, "binary mode");
    free(bytes);
    hp_profile_free(profile);
}

/* A file with one group that `fill` writes. */
static hp_status read_crafted(void (*fill)(hp_group *), hp_profile **out, hp_error *error) {
    hp_group group = {0};
    hp_group_file_header(&group);
    fill(&group);
    hp_group_commit(&group);
    hp_group_end(&group);
    assert_int_equal(hp_group_status(&group, error), HP_OK);
    hp_status status = hp_format_hyprof.read(group.out.data, group.out.size, out, error);
    hp_group_free(&group);
    return status;
}

static void reseal_chunk(uint8_t *header) {
    uint32_t checksum = (uint32_t)crc32(0, header, 16);
    for (int i = 0; i < 4; i++)
        header[16 + i] = (uint8_t)(checksum >> 8 * i);
}

static void fill_unknown(hp_group *group) {
    hp_group_chunk(group, 900, "something of the future", 23, 1);
}

static void fill_unknown_vital(hp_group *group) {
    size_t at = group->out.size;
    fill_unknown(group);
    group->out.data[at + 2] |= HP_CHUNK_MUST_UNDERSTAND;
    reseal_chunk(group->out.data + at);
}

static void fill_unknown_flag(hp_group *group) {
    static const uint8_t empty_map = 0x80;
    size_t at = group->out.size;
    hp_group_chunk(group, HP_CHUNK_META, &empty_map, 1, 0);
    group->out.data[at + 3] |= 0x40;
    reseal_chunk(group->out.data + at);
}

/* Keys and columns that this version does not know. */
static void fill_additions(hp_group *group) {
    static const char map[] = "\x82\xa5later\x93\x01\x81\xa1k\xc0\xc7\x02\x05xx\xa3pid\x2a";
    static const char strings[] = "\x94\x00\x02\xc4\x02\x00\x04\xc4\x02mn";
    static const char functions[] = "\x99\x00\x01\xc4\x01\x00\xc4\x01\x00\xc4\x01\x02\xc4\x01\x02\xc4\x01\x00\xc4\x01\x0e\xa3new";
    hp_group_chunk(group, HP_CHUNK_META, map, sizeof map - 1, 0);
    hp_group_chunk(group, HP_CHUNK_STRINGS, strings, sizeof strings - 1, 2);
    hp_group_chunk(group, HP_CHUNK_FUNCTIONS, functions, sizeof functions - 1, 1);
}

static void test_what_later_versions_add(void **state) {
    (void)state;
    hp_error error = {0};
    hp_profile *profile = NULL;
    assert_int_equal(read_crafted(fill_unknown, &profile, &error), HP_OK);
    assert_int_equal(profile->meta.warning_count, 0);
    hp_profile_free(profile);
    assert_int_equal(read_crafted(fill_unknown_vital, &profile, &error), HP_UNSUPPORTED);
    assert_non_null(strstr(error.text, "chunk type 900"));
    assert_int_equal(read_crafted(fill_unknown_flag, &profile, &error), HP_UNSUPPORTED);
    if (read_crafted(fill_additions, &profile, &error) != HP_OK)
        fail_msg("%s", error.text);
    assert_int_equal(profile->meta.pid, 42);
    assert_int_equal(profile->function_count, 2); /* the one each profile has, and this */
    assert_string_equal(profile->functions[1].qualname, "mn");
    assert_int_equal(profile->functions[1].first_line, 7);
    hp_profile_free(profile);
}

/* Bytes that are no UTF-8 become lone surrogates, as Python's surrogateescape makes them. */
static void fill_bad_text(hp_group *group) {
    static const char map[] = "\x81\xa7program\xc4\x06"
                              "a\xff\xe4\xbd"
                              "bc";
    hp_group_chunk(group, HP_CHUNK_META, map, sizeof map - 1, 0);
}

static void fill_nul_text(hp_group *group) {
    hp_group_chunk(group, HP_CHUNK_META,
                   "\x81\xa7program\xc4\x03"
                   "a\0b",
                   14, 0);
}

static void test_bad_text(void **state) {
    (void)state;
    hp_error error = {0};
    hp_profile *profile = NULL;
    assert_int_equal(read_crafted(fill_bad_text, &profile, &error), HP_OK);
    assert_string_equal(profile->meta.program, "a\xed\xb3\xbf\xed\xb3\xa4\xed\xb2\xbd"
                                               "bc");
    hp_profile_free(profile);
    assert_int_equal(read_crafted(fill_nul_text, &profile, &error), HP_BAD_FORMAT);
    assert_non_null(strstr(error.text, "NUL"));
}

static void test_text_too_long(void **state) {
    (void)state;
    hp_error error = {0};
    hp_profile *profile = sample_profile(&small);
    hp_sink *sink = NULL;
    char *text = malloc(HP_CHUNK_RAW_LIMIT + 2);
    memset(text, 'x', HP_CHUNK_RAW_LIMIT + 1);
    text[HP_CHUNK_RAW_LIMIT + 1] = '\0';
    profile->meta.program = hp_profile_string(profile, text);
    assert_int_equal(hp_sink_memory(&sink), HP_OK);
    assert_int_equal(hp_format_hyprof.write(sink, profile, &error), HP_BAD_VALUE);
    assert_non_null(strstr(error.text, "more than"));
    hp_sink_free(sink);
    free(text);
    hp_profile_free(profile);
}

/* A field that the format does not carry would be lost silently: whoever adds one adds it to facts.c, take.c or decode_counts.c, and here.
 */
static void test_every_field_is_carried(void **state) {
    (void)state;
    assert_int_equal(sizeof(hp_meta), 16 + 4 * 8 + 8 + 8 + 8 + 8 + 8 + 3 * 8 + 7 * 8 + (1 + HP_CAUSES) * 8 + 7 * 8 + 8 + 8);
    assert_int_equal(sizeof(hp_function), 8 + 4 * 8 + 8);
    assert_int_equal(sizeof(hp_line), 3 * 4 + 4 + 8 + 8);
    assert_int_equal(sizeof(hp_estimate), 4 + 4 + 6 * 8);
    assert_int_equal(sizeof(hp_profile_thread), 10 * 8);
    assert_int_equal(sizeof(hp_row), 4 + 4 + 9 * 8);
    assert_int_equal(sizeof(hp_edge), 16 + 6 * 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_small),        cmocka_unit_test(test_round_trip_large), cmocka_unit_test(test_round_trip_empty),
        cmocka_unit_test(test_round_trip_extremes),     cmocka_unit_test(test_round_trip_flat),  cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_what_later_versions_add), cmocka_unit_test(test_bad_text),         cmocka_unit_test(test_text_too_long),
        cmocka_unit_test(test_every_field_is_carried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
