/* SPDX-License-Identifier: MIT */
/* Every golden file of every format that is read, cut off at every byte and with bits flipped in every byte; and files that are whole but
 * claim what no profile can have. A reader gives a sentence or a sound profile, which every format can write or refuses in a sentence. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#include "formats/collapsed/collapsed.h"
#include "formats/hyprof/hyprof.h"
#include "formats/pprof/pprof.h"
#include "formats/pstats/pstats.h"
#include "formats/text.h"
#include "hyprof_samples.h"
#include "support/bytes.h"
#include "support/messages.h"
#include "support/pstats.h"

typedef hp_status (*read_function)(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);

/* --- what must hold of anything that was read -------------------------------------------------------------------------------------- */

/* Errors go to terminals and logs: a line that says something, and no byte of the file that a terminal would obey. */
static void assert_sentence(const hp_error *error) {
    assert_int_not_equal(error->text[0], '\0');
    if (!hp_text_is_plain(error->text, strlen(error->text), 0))
        fail_msg("not one printable line: %s", error->text);
}

/* In memory of its own size: sanitizers see a read behind it. NULL: refused, in a sentence. */
static hp_profile *read_own(read_function read, const void *bytes, size_t size) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    uint8_t *own = malloc(size == 0 ? 1 : size);
    memcpy(own, bytes, size);
    hp_status status = read(own, size, &profile, &error);
    free(own);
    assert_true((status == HP_OK) == (profile != NULL));
    if (status != HP_OK)
        assert_sentence(&error);
    return profile;
}

static bool survives(const hp_format *format, const void *bytes, size_t size) {
    hp_error error = {0};
    hp_profile *profile = read_own(format->read, bytes, size);
    if (profile != NULL && hp_profile_check(profile, &error) != HP_OK)
        fail_msg("%s: what was read is not sound: %s", format->name, error.text);
    bool read = profile != NULL;
    hp_profile_free(profile);
    const read_function cheaper[] = {format->read_parts, format->read_sources};
    for (size_t i = 0; i < sizeof cheaper / sizeof *cheaper; i++) {
        if (cheaper[i] != NULL)
            hp_profile_free(read_own(cheaper[i], bytes, size));
    }
    return read;
}

/* Each format writes it whole, or says why not. */
static void expect_exports(const hp_profile *profile) {
    for (size_t i = 0; hp_formats[i] != NULL; i++) {
        hp_sink *sink = NULL;
        hp_error error = {0};
        if (hp_formats[i]->write == NULL)
            continue;
        assert_ok(hp_sink_memory(&sink));
        hp_status status = hp_formats[i]->write(sink, profile, &error);
        if (status != HP_OK && error.text[0] == '\0')
            fail_msg("%s: refused without a sentence", hp_formats[i]->name);
        hp_sink_free(sink);
    }
}

/* --- damage ------------------------------------------------------------------------------------------------------------------------ */

static void damage(const hp_format *format, uint8_t *bytes, size_t size) {
    assert_true(survives(format, bytes, size));
    for (size_t at = 0; at < size; at++) {
        survives(format, bytes, at);
        for (unsigned bit = (unsigned)(at % 3); bit < 8; bit += 3) {
            bytes[at] ^= (uint8_t)(1u << bit);
            survives(format, bytes, size);
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
}

/* Go's own source and the texts that belong to a file are no profiles: the format says which files are. */
static uint32_t damage_golden_files(const hp_format *format) {
    char folder[512], path[1024];
    const char *root = getenv("HP_SOURCE_ROOT");
    uint32_t files = 0;
    snprintf(folder, sizeof folder, "%s/formats/%s/golden", root != NULL ? root : ".", format->name);
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t size = 0;
        hp_error error = {0};
        uint8_t *bytes = NULL;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strstr(entry->d_name, ".txt") != NULL || strstr(entry->d_name, ".py") != NULL || strstr(entry->d_name, ".go") != NULL ||
            entry->d_name[0] == '.')
            continue;
        if (hp_read_file(path, 1 << 20, &bytes, &size, &error) != HP_OK)
            fail_msg("%s", error.text);
        if (!format->recognize(bytes, size))
            fail_msg("%s is not recognized", path);
        damage(format, bytes, size);
        free(bytes);
        files++;
    }
    closedir(directory);
    return files;
}

static void test_hyprof_files(void **state) {
    (void)state;
    assert_in_range(damage_golden_files(&hp_format_hyprof), 4, 1000);
}

static void test_pprof_files(void **state) {
    (void)state;
    assert_in_range(damage_golden_files(&hp_format_pprof), 7, 1000);
}

static void test_pstats_files(void **state) {
    (void)state;
    assert_in_range(damage_golden_files(&hp_format_pstats), 16, 1000);
}

static void test_collapsed_files(void **state) {
    (void)state;
    assert_in_range(damage_golden_files(&hp_format_collapsed), 6, 1000);
}

/* --- numbers that do not fit ------------------------------------------------------------------------------------------------------- */

#define BYTES(text) text, sizeof text - 1
#define LONG_63 "l\5\0\0\0\0\0\0\0\0\0\0\0\10\0"                /* 2^63, in digits of 15 bits */
#define LONG_90 "l\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40"           /* beyond 64 bits */
#define KEY(name) "(\3\0\0\0u\2\0\0\0/fi\3\0\0\0u\1\0\0\0" name /* ('/f', 3, name) */
#define CENTURY "g\0\0\0\0\x20\x5f\xa0\x41"                     /* 137.4e6 s: 1.37e17 ns */
#define AGES "g\0\0\0\xc8\xd9\x93\x00\x42"                      /* 8.9e9 s */
#define AGES_NS UINT64_C(8900000000000000000)
#define ENDLESS "g\x9c\x75\x00\x88\x3c\xe4\x37\x7e" /* 1e300 s */
#define ROW(calls, time) "(\5\0\0\0" calls calls time time "{0"
#define ONE "i\1\0\0\0"

static void expect_refused(const hp_format *format, const void *bytes, size_t size, const char *words) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    assert_int_equal(format->read(bytes, size, &profile, &error), HP_BAD_FORMAT);
    assert_null(profile);
    assert_sentence(&error);
    if (strstr(error.text, words) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", format->name, error.text, words);
}

static void test_pstats_numbers_that_do_not_fit(void **state) {
    (void)state;
    const hp_format *pstats = &hp_format_pstats;
    /* Below 2^64 each, and beyond it together: in one row, whose key is there twice, in one edge, and in two rows. */
    expect_refused(pstats, BYTES("{" KEY("a") ROW(LONG_63, CENTURY) KEY("a") ROW(LONG_63, CENTURY) "0"), "calls add up to 2^64");
    expect_refused(pstats, BYTES("{" KEY("a") ROW(ONE, AGES) KEY("a") ROW(ONE, AGES) KEY("a") ROW(ONE, AGES) "0"),
                   "times (ns) add up to 2^64");
    expect_refused(pstats,
                   BYTES("{" KEY("a") "(\5\0\0\0" ONE ONE CENTURY CENTURY "{" KEY("b") "(\4\0\0\0" LONG_63 ONE CENTURY CENTURY KEY(
                       "b") "(\4\0\0\0" LONG_63 ONE CENTURY CENTURY "00"),
                   "calls add up to 2^64");
    expect_refused(pstats, BYTES("{" KEY("a") ROW(LONG_63, CENTURY) KEY("b") ROW(LONG_63, CENTURY) "0"), "calls add up to 2^64");
    expect_refused(pstats, BYTES("{" KEY("a") ROW(ONE, AGES) KEY("b") ROW(ONE, AGES) KEY("c") ROW(ONE, AGES) "0"),
                   "times (ns) add up to 2^64");
    /* Beyond it alone. */
    expect_refused(pstats, BYTES("{" KEY("a") ROW(LONG_90, CENTURY) "0"), "calls add up to 2^64");
    expect_refused(pstats, BYTES("{" KEY("a") ROW(ENDLESS, CENTURY) "0"), "calls add up to 2^64");
    expect_refused(pstats, BYTES("{" KEY("a") ROW(LONG_63, ENDLESS) "0"), "below 9e9");
    /* What fits is there. */
    hp_profile *profile = read_own(hp_format_pstats.read, BYTES("{" KEY("a") ROW(LONG_63, AGES) KEY("b") ROW(ONE, AGES) "0"));
    assert_non_null(profile);
    assert_true(row_of(profile, "a")->calls == UINT64_C(1) << 63 && row_of(profile, "b")->self_exact == AGES_NS);
    expect_exports(profile);
    hp_profile_free(profile);
}

/* A file of the profile. */
static void expect_file_refused(const hp_profile *profile, const char *words) {
    size_t size = 0;
    uint8_t *bytes = sample_encode(profile, &size);
    assert_non_null(bytes);
    expect_refused(&hp_format_hyprof, bytes, size, words);
    hp_profile *parts = NULL;
    hp_error error = {0};
    if (profile->tree.count > 1 && hp_format_hyprof.read_parts(bytes, size, &parts, &error) == HP_OK)
        fail_msg("merging would take it: %s", words);
    free(bytes);
}

static hp_profile *small_sample(void) {
    return sample_profile(&(hp_sample_shape){.seed = 3, .stacks = 12, .functions = 9, .threads = 2, .depth = 4, .main_name = "MainThread"});
}

/* Each kind of number, of two nodes or threads: no reader of ours takes their sum for a small one without a word. */
static void test_hyprof_sums_that_do_not_fit(void **state) {
    (void)state;
    static const size_t of_node[] = {offsetof(hp_node, samples), offsetof(hp_node, calls), offsetof(hp_node, sampled),
                                     offsetof(hp_node, exact), offsetof(hp_node, overhead)};
    static const size_t of_thread[] = {offsetof(hp_profile_thread, samples),      offsetof(hp_profile_thread, traced_samples),
                                       offsetof(hp_profile_thread, measured_ns),  offsetof(hp_profile_thread, sampled_ns),
                                       offsetof(hp_profile_thread, exact_ns),     offsetof(hp_profile_thread, overhead_ns),
                                       offsetof(hp_profile_thread, unresolved_ns)};
    static const char *const words[] = {"samples", "calls", "times (ns)", "times (ns)", "times (ns)"};
    const uint64_t half = UINT64_C(1) << 63;
    for (size_t i = 0; i < sizeof of_node / sizeof *of_node; i++) {
        hp_profile *profile = small_sample();
        for (uint32_t n = 3; n < 5; n++)
            memcpy((char *)&profile->tree.nodes[n] + of_node[i], &half, sizeof half);
        expect_exports(profile);
        expect_file_refused(profile, words[i]);
        hp_profile_free(profile);
    }
    for (size_t i = 0; i < sizeof of_thread / sizeof *of_thread; i++) {
        hp_profile *profile = small_sample();
        for (uint32_t n = 0; n < 2; n++)
            memcpy((char *)&profile->threads[n] + of_thread[i], &half, sizeof half);
        expect_file_refused(profile, i < 2 ? "samples" : "times (ns)");
        hp_profile_free(profile);
    }
}

/* Exact and sampled time are shown as one number. */
static void test_sums_of_both_times(void **state) {
    (void)state;
    hp_profile *profile = small_sample(), *back = NULL;
    size_t size = 0;
    uint64_t all = 0;
    for (uint32_t n = 1; n < profile->tree.count; n++)
        all += profile->tree.nodes[n].sampled + profile->tree.nodes[n].exact + profile->tree.nodes[n].overhead;
    profile->tree.nodes[3].sampled += UINT64_C(1) << 63;
    profile->tree.nodes[4].exact += (UINT64_C(1) << 63) - 2 - all;
    uint8_t *bytes = sample_encode(profile, &size);
    back = read_own(hp_format_hyprof.read, bytes, size);
    assert_non_null(back);
    expect_exports(back);
    hp_profile_free(back);
    free(bytes);
    profile->tree.nodes[4].exact++;
    expect_file_refused(profile, "times (ns)");
    hp_profile_free(profile);
}

static void test_tables_that_do_not_fit(void **state) {
    (void)state;
    const uint64_t half = UINT64_C(1) << 63;
    for (int kind = 0; kind < 6; kind++) {
        hp_profile *profile = sample_flat();
        for (uint32_t n = 0; n < 2; n++) {
            hp_row *row = &profile->rows[n];
            hp_edge *edge = &profile->edges[n];
            uint64_t *const numbers[] = {&row->samples,    &row->calls,         &row->self_sampled,
                                         &row->self_exact, &row->total_sampled, &edge->total_sampled};
            *numbers[kind] = half;
        }
        profile->rows[1].total_exact = kind == 4 ? half : profile->rows[1].total_exact;
        profile->edges[1].total_exact = kind == 5 ? half : profile->edges[1].total_exact;
        expect_file_refused(profile, kind == 0 ? "samples" : kind == 1 ? "calls" : "times (ns)");
        hp_profile_free(profile);
    }
}

static void test_sums_of_others_that_do_not_fit(void **state) {
    (void)state;
    const hp_format *collapsed = &hp_format_collapsed;
    expect_refused(collapsed, BYTES("a;b 900000000000000000\na;c 900000000000000000\n"), "makes the sum 2^63");
    expect_refused(collapsed, BYTES("a;b 99999999999999999999999999999999\n"), "does not end in a space and a number");
    expect_refused(collapsed, BYTES("# interval: 99999999999999999999\na;b 9000000000000000000\n"), "makes the sum 2^63");
    hp_message m = small_profile(small_strings, small_types, (uint64_t[]){INT64_MAX - 1}, 1);
    message_sample(&m, true, (uint64_t[4]){1}, (uint64_t[]){INT64_MAX - 1}, 1, 0, 0);
    assert_message(&m, HP_BAD_FORMAT, "add up to 2^63");
}

/* --- texts of the file in sentences ------------------------------------------------------------------------------------------------ */

#define ESCAPES "\x1b[31mred\nline\x9b\xff"
#define ESCAPED "\\x1b[31mred\\nline\\x9b\\xff"

static void test_texts_in_sentences(void **state) {
    (void)state;
    expect_refused(&hp_format_collapsed, BYTES("a;b 1\n" ESCAPES "\n"), "line 2, \"\\x1b[31mred\", does not end");
    expect_refused(&hp_format_pstats, BYTES("{" KEY("a") "(\5\0\0\0" ONE ONE "f\x0f" ESCAPES), "none: \"" ESCAPED "\"");
    hp_message m = small_profile((const char *const[]){"", "f", "f.py", ESCAPES, "by\tes", NULL}, small_types, (uint64_t[]){1}, 1);
    hp_profile *profile = NULL;
    hp_error error = {0};
    assert_int_equal(hp_format_pprof.read(m.bytes.data, m.bytes.size, &profile, &error), HP_UNSUPPORTED);
    assert_sentence(&error);
    assert_non_null(strstr(error.text, "no time but " ESCAPED " (by\\tes)"));
    hp_bytes_free(&m.bytes);
    /* What is long is cut between characters. */
    expect_refused(&hp_format_collapsed, BYTES("a;b 1\n1234567890123456789012345678901234567\xf0\x9f\x90\x8d and more\n"),
                   "34567\xf0\x9f\x90\x8d...\", does not end");
}

/* --- circles ----------------------------------------------------------------------------------------------------------------------- */

#define CALLED_BY(name) "(\5\0\0\0i\1\0\0\0i\1\0\0\0" CENTURY CENTURY "{" KEY(name) "(\4\0\0\0i\1\0\0\0i\1\0\0\0" CENTURY CENTURY "0"

/* a calls b, b calls c, c calls a, and nobody calls them; d calls itself. A tree cannot have such links: its file is refused ("node before
 * its parent" in test_hyprof_damage.c). */
static void test_circles_of_callers(void **state) {
    (void)state;
    hp_profile *profile = read_own(hp_format_pstats.read, BYTES("{" KEY("a") CALLED_BY("c") KEY("b") CALLED_BY("a") KEY("c") CALLED_BY("b")
                                                                    KEY("d") CALLED_BY("d") "0"));
    assert_non_null(profile);
    assert_ok(hp_profile_check(profile, NULL));
    assert_int_equal(profile->row_count, 4);
    assert_int_equal(edge_of(profile, "c", "a")->calls, 1);
    assert_int_equal(edge_of(profile, "d", "d")->calls, 1);
    expect_exports(profile);
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hyprof_files),
        cmocka_unit_test(test_pprof_files),
        cmocka_unit_test(test_pstats_files),
        cmocka_unit_test(test_collapsed_files),
        cmocka_unit_test(test_pstats_numbers_that_do_not_fit),
        cmocka_unit_test(test_hyprof_sums_that_do_not_fit),
        cmocka_unit_test(test_sums_of_both_times),
        cmocka_unit_test(test_tables_that_do_not_fit),
        cmocka_unit_test(test_sums_of_others_that_do_not_fit),
        cmocka_unit_test(test_texts_in_sentences),
        cmocka_unit_test(test_circles_of_callers),
    };
    return cmocka_run_group_tests_name("damage of golden files", tests, NULL, NULL);
}
