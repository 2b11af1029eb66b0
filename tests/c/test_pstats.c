/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/pstats/pstats.h"
#include "support/bytes.h"
#include "support/profiles.h"

static const hp_row *row_of(const hp_profile *profile, const char *name) {
    const hp_row *found = NULL;
    for (uint32_t i = 0; i < profile->row_count; i++) {
        if (strcmp(profile->functions[profile->rows[i].function].name, name) == 0) {
            assert_null(found);
            found = &profile->rows[i];
        }
    }
    return found;
}

static const hp_edge *edge_of(const hp_profile *profile, const char *caller, const char *callee) {
    for (uint32_t i = 0; i < profile->edge_count; i++) {
        const hp_edge *edge = &profile->edges[i];
        const char *above = edge->caller == HP_NO_FUNCTION ? "" : profile->functions[edge->caller].name;
        if (strcmp(above, caller) == 0 && strcmp(profile->functions[edge->callee].name, callee) == 0)
            return edge;
    }
    return NULL;
}

static hp_profile *written_and_read(const hp_profile *profile) {
    size_t size = 0;
    char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
    hp_profile *back = hp_test_read(&hp_format_pstats, bytes, size);
    free(bytes);
    return back;
}

static void test_golden(void **state) {
    (void)state;
    for (size_t i = 0; hp_fixtures[i].name != NULL; i++) {
        char path[128];
        size_t size = 0;
        hp_profile *profile = hp_fixtures[i].make();
        char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
        snprintf(path, sizeof path, "formats/pstats/golden/%s.pstats", hp_fixtures[i].name);
        hp_test_golden(path, bytes, size);
        free(bytes);
        hp_profile_free(profile);
    }
}

/* What is read back has the rows that were written, and written again it is the same file. Only the marker's remark on functions that are
 * both exact and sampled is lost: the file cannot say which they are. */
static void assert_round_trip(const hp_profile *profile, bool unique_keys) {
    size_t size = 0, size_again = 0;
    char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
    hp_profile *back = hp_test_read(&hp_format_pstats, bytes, size);
    bool mixed = false;
    for (uint32_t i = 0; i < profile->row_count; i++)
        mixed = mixed || profile->rows[i].measured == HP_MIXED;
    if (unique_keys) {
        assert_int_equal(back->row_count, profile->row_count);
        assert_int_equal(back->edge_count, profile->edge_count);
    }
    char *again = hp_test_export(back, &hp_format_pstats, &size_again);
    if (mixed) {
        free(bytes);
        hp_profile_free(back);
        bytes = again;
        size = size_again;
        back = hp_test_read(&hp_format_pstats, bytes, size);
        again = hp_test_export(back, &hp_format_pstats, &size_again);
    }
    assert_int_equal(size, size_again);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    hp_profile_free(back);
}

static void test_round_trip(void **state) {
    (void)state;
    for (size_t i = 0; hp_fixtures[i].name != NULL; i++) {
        hp_profile *profile = hp_fixtures[i].make();
        assert_round_trip(profile, strcmp(hp_fixtures[i].name, "same_names") != 0);
        hp_profile_free(profile);
    }
    for (uint64_t seed = 0; seed < 20; seed++) {
        hp_profile *profile = hp_fixture_random(seed, 500, 40, 20, 1 + (uint32_t)seed % 3);
        assert_round_trip(profile, true);
        hp_profile_free(profile);
    }
}

static void test_numbers_survive(void **state) {
    (void)state;
    hp_profile *profile = hp_fixture_make("mixed"), *back = written_and_read(profile);
    for (uint32_t i = 0; i < profile->row_count; i++) {
        const hp_function *function = &profile->functions[profile->rows[i].function];
        const hp_row *wrote = &profile->rows[i], *read = row_of(back, function->name);
        assert_non_null(read);
        assert_int_equal(back->functions[read->function].kind, function->kind);
        assert_int_equal(back->functions[read->function].first_line, function->first_line);
        assert_string_equal(back->functions[read->function].file, function->file);
        assert_int_equal(read->self_sampled + read->self_exact, wrote->self_sampled + wrote->self_exact);
        assert_int_equal(read->total_sampled + read->total_exact, wrote->total_sampled + wrote->total_exact);
        assert_int_equal(read->measured, wrote->measured == HP_SAMPLED ? HP_SAMPLED : HP_EXACT);
        assert_int_equal(read->calls, wrote->calls);
        assert_int_equal(read->primitive_calls, wrote->primitive_calls);
    }
    assert_int_equal(back->meta.samples_kept, profile->meta.samples_kept);
    assert_true(back->meta.rate_hz == 100.0);
    assert_int_equal(edge_of(back, "price", "loads")->calls, 240);
    assert_int_equal(edge_of(back, "", "<thread MainThread #1>")->total_sampled, UINT64_C(5000000000));
    hp_profile_free(back);
    hp_profile_free(profile);
}

/* Two lambdas of one line share a key. One calls the other through a third: their calls and self times add up, the inner one's total is
 * already in the outer one's. */
static void test_shared_key(void **state) {
    (void)state;
    hp_profile *profile = hp_fixture_make("same_names"), *back = written_and_read(profile);
    const hp_row *row = row_of(back, "<lambda>");
    assert_int_equal(row->calls, 8);
    assert_int_equal(row->primitive_calls, 2);
    assert_int_equal(row->self_exact, UINT64_C(4000000000));
    assert_int_equal(row->total_exact, UINT64_C(6000000000));
    assert_int_equal(edge_of(back, "run", "<lambda>")->calls, 2);
    assert_int_equal(edge_of(back, "run", "<lambda>")->total_exact, UINT64_C(6000000000));
    assert_int_equal(edge_of(back, "apply", "<lambda>")->calls, 6);
    assert_int_equal(edge_of(back, "apply", "<lambda>")->total_exact, UINT64_C(3000000000));
    hp_profile_free(back);
    hp_profile_free(profile);
}

/* Without a tree, at least what one calls the other directly is taken out. */
static void test_shared_key_in_table(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    hp_function function = {HP_CODE_PYTHON, "m", "outer", "f", "/srv/m.py", 3};
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    uint32_t outer = hp_profile_function(profile, &function);
    function.qualname = "inner";
    uint32_t inner = hp_profile_function(profile, &function);
    profile->rows = calloc(2, sizeof *profile->rows);
    profile->edges = calloc(2, sizeof *profile->edges);
    profile->rows[0] =
        (hp_row){.function = outer, .measured = HP_EXACT, .calls = 1, .primitive_calls = 1, .self_exact = 10, .total_exact = 40};
    profile->rows[1] =
        (hp_row){.function = inner, .measured = HP_EXACT, .calls = 3, .primitive_calls = 3, .self_exact = 30, .total_exact = 30};
    profile->edges[0] = (hp_edge){
        .caller = outer, .callee = inner, .measured = HP_EXACT, .calls = 3, .primitive_calls = 3, .self_exact = 30, .total_exact = 30};
    profile->edges[1] = (hp_edge){.caller = HP_NO_FUNCTION,
                                  .callee = outer,
                                  .measured = HP_EXACT,
                                  .calls = 1,
                                  .primitive_calls = 1,
                                  .self_exact = 10,
                                  .total_exact = 40};
    profile->row_count = profile->edge_count = 2;
    hp_profile *back = written_and_read(profile);
    const hp_row *row = row_of(back, "f");
    assert_int_equal(row->calls, 4);
    assert_int_equal(row->primitive_calls, 1);
    assert_int_equal(row->self_exact, 40);
    assert_int_equal(row->total_exact, 40);
    hp_profile_free(back);
    hp_profile_free(profile);
}

static bool holds(const char *bytes, size_t size, const char *text) {
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

static void test_marker(void **state) {
    (void)state;
    static const struct {
        const char *fixture, *words;
    } expected[] = {{"plain", "[100 % of the time was sampled only: rows without calls are estimated from 1000 samples at 100 Hz]"},
                    {"mixed", "[40 % of the time was sampled only: rows without calls are estimated from 450 samples at 100 Hz; 1 rows"},
                    {"recursive", NULL},
                    {"generators", NULL}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        size_t size = 0;
        hp_profile *profile = hp_fixture_make(expected[i].fixture);
        char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
        assert_int_equal(holds(bytes, size, "~hybridprof"), expected[i].words != NULL);
        assert_true(expected[i].words == NULL || holds(bytes, size, expected[i].words));
        free(bytes);
        hp_profile_free(profile);
    }
}

/* Several threads get one row above them; one thread does not. */
static void test_all_threads(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *one = hp_fixture_make("plain"), *three = hp_fixture_make("mixed");
    char *bytes = hp_test_export(one, &hp_format_pstats, &size);
    assert_false(holds(bytes, size, "<all threads>"));
    free(bytes);
    bytes = hp_test_export(three, &hp_format_pstats, &size);
    assert_true(holds(bytes, size, "<all threads>"));
    free(bytes);
    hp_profile_free(one);
    hp_profile_free(three);
}

/* tuna takes a file that is UTF-8 for text. Ten seconds are the bytes 00 00 00 00 00 00 24 40, and a profile can be made of such numbers.
 */
static void test_is_no_text(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    hp_function function = {HP_CODE_PYTHON, "m", "f", "f", "/srv/m.py", 3};
    for (uint64_t ns = 1000000000; ns < UINT64_C(40000000000000000); ns *= 2) {
        assert_int_equal(hp_profile_new(&profile), HP_OK);
        uint32_t thread = hp_profile_add_thread(profile, "MainThread", 1);
        uint32_t node = hp_tree_child(&profile->tree, profile->threads[thread].root, hp_profile_function(profile, &function));
        profile->tree.nodes[node].exact = ns;
        profile->tree.nodes[node].calls = 1;
        assert_int_equal(hp_profile_summarize(profile), HP_OK);
        size_t size = 0;
        char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
        bool invalid = false;
        for (size_t i = 1; i < size; i++)
            invalid = invalid || ((bytes[i] & 0xc0) == 0x80 && (bytes[i - 1] & 0x80) == 0) || ((uint8_t)bytes[i] > 0xf4) ||
                      ((uint8_t)bytes[i - 1] >= 0xc0 && (bytes[i] & 0xc0) != 0x80);
        assert_true(invalid);
        hp_profile *back = hp_test_read(&hp_format_pstats, bytes, size);
        uint64_t read = row_of(back, "f")->total_exact;
        assert_int_equal(read, ns);
        hp_profile_free(back);
        free(bytes);
        hp_profile_free(profile);
    }
}

static void test_empty(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    hp_profile *back = written_and_read(profile);
    assert_int_equal(back->row_count, 0);
    assert_round_trip(back, true);
    hp_profile_free(back);
    hp_profile_free(profile);
}

/* cProfile's own files, by the interpreter that wrote them: golden/cprofile.py made them. */
static void test_cprofile(void **state) {
    (void)state;
    static const char *const versions[] = {"3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        char path[128];
        size_t size = 0;
        snprintf(path, sizeof path, "formats/pstats/golden/cprofile-%s.prof", versions[i]);
        char *bytes = hp_test_source_file(path, &size);
        assert_non_null(bytes);
        assert_true(hp_format_pstats.recognize((const uint8_t *)bytes, size));
        hp_profile *profile = hp_test_read(&hp_format_pstats, bytes, size);
        assert_int_equal(profile->meta.warning_count, 0);
        assert_int_equal(row_of(profile, "fib")->calls, 177);
        assert_int_equal(row_of(profile, "fib")->primitive_calls, 1);
        assert_int_equal(row_of(profile, "fib")->measured, HP_EXACT);
        assert_int_equal(edge_of(profile, "main", "fib")->calls, 1);
        assert_int_equal(edge_of(profile, "fib", "fib")->calls, 176);
        assert_int_equal(row_of(profile, "numbers")->calls, 11);
        const hp_row *built_in = row_of(profile, "<built-in method builtins.sum>");
        assert_int_equal(profile->functions[built_in->function].kind, HP_CODE_C);
        assert_int_equal(built_in->calls, 3);
        assert_round_trip(profile, true);
        hp_profile_free(profile);
        free(bytes);
    }
}

/* One row ('/f', 3, 'g'): (2, 2, 0.5, 0.75, {}) as each version writes it, with `key` and `value` to be replaced. */
#define TEXT(size, text) "u" size "\0\0\0" text
#define INT(byte) "i" byte "\0\0\0"
#define KEY "(\3\0\0\0" TEXT("\2", "/f") INT("\3") TEXT("\1", "g")
#define HALF "g\0\0\0\0\0\0\xe0\x3f"
#define MORE "g\0\0\0\0\0\0\xe8\x3f"
#define VALUE "(\5\0\0\0" INT("\2") INT("\2") HALF MORE "{0"
#define BYTES(text) text, sizeof text - 1

static void assert_one_row(const char *bytes, size_t size, uint64_t calls) {
    hp_profile *profile = hp_test_read(&hp_format_pstats, bytes, size);
    const hp_row *row = row_of(profile, "g");
    assert_int_equal(profile->row_count, 1);
    assert_string_equal(profile->functions[row->function].file, "/f");
    assert_int_equal(profile->functions[row->function].first_line, 3);
    assert_int_equal(row->calls, calls);
    assert_int_equal(row->self_exact, 500000000);
    assert_int_equal(row->total_exact, 750000000);
    hp_profile_free(profile);
}

static void test_marshal_forms(void **state) {
    (void)state;
    assert_one_row(BYTES("{" KEY VALUE "0"), 2);
    /* Flags, small tuples, short ASCII, interned, references to an int, a float and a key. */
    assert_one_row(BYTES("\xfb\xa9\3\xfa\2/f\xe9\3\0\0\0\xda\1g\xa9\5\xe9\2\0\0\0r\6\0\0\0\xe7\0\0\0\0\0\0\xe0\x3f" MORE
                         "\xfbr\1\0\0\0\xa9\4" INT("\1") INT("\1") "r\7\0\0\0" HALF "00"),
                   2);
    /* Version 0 and 1: floats as text, longs of 64 bits. */
    assert_one_row(BYTES("{" KEY "(\5\0\0\0I\2\0\0\0\0\0\0\0I\2\0\0\0\0\0\0\0f\3"
                         "0.5f\6"
                         "7.5e-1{00"),
                   2);
    /* Lists for tuples; counts beyond 31 bits: 2^45 + 7. */
    assert_one_row(BYTES("{" KEY "[\5\0\0\0l\4\0\0\0\7\0\0\0\0\0\1\0l\4\0\0\0\7\0\0\0\0\0\1\0" HALF MORE "{00"), (UINT64_C(1) << 45) + 7);
    /* The same key again is summed: 1 + 1 calls, half the time each. */
    assert_one_row(BYTES("{" KEY "(\5\0\0\0" INT("\1") INT("\1") "g\0\0\0\0\0\0\0\0"
                                                                 "g\0\0\0\0\0\0\xd0\x3f"
                                                                 "{0" KEY "(\5\0\0\0" INT("\1") INT("\1") HALF HALF "{00"),
                   2);
}

static void assert_refused(const char *bytes, size_t size, const char *words) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    /* Of its own size, so that sanitizers see a read behind it. */
    char *own = malloc(size);
    memcpy(own, bytes, size);
    assert_int_equal(hp_format_pstats.read((const uint8_t *)own, size, &profile, &error), HP_BAD_FORMAT);
    assert_null(profile);
    if (strstr(error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
    free(own);
}

static void test_refusals(void **state) {
    (void)state;
    assert_refused(BYTES("{"), "cut short");
    assert_refused(BYTES("{" KEY), "cut short");
    assert_refused(BYTES("i\0\0\0\0"), "no dict");
    assert_refused(BYTES("{i\0\0\0\0"), "(file, line, name)");
    assert_refused(BYTES("{(\3\0\0\0{0{0{0"), "(file, line, name)");
    assert_refused(BYTES("{" KEY "(\4\0\0\0" INT("\2") INT("\2") HALF MORE "0"), "a row is not");
    assert_refused(BYTES("{" KEY "(\5\0\0\0" TEXT("\1", "x") INT("\2") HALF MORE "{00"), "number of calls");
    assert_refused(BYTES("{" KEY "(\5\0\0\0" INT("\2") INT("\2") "N" MORE "{00"), "a time is no number");
    assert_refused(BYTES("{" KEY "(\5\0\0\0" INT("\2") INT("\2") "g\0\0\0\0\0\0\xf8\x7f" MORE "{00"), "number of seconds");
    assert_refused(BYTES("{" KEY "(\5\0\0\0" INT("\2") INT("\2") "g\0\0\0\0\0\0\xf0\x7f" MORE "{00"), "number of seconds");
    assert_refused(BYTES("{" KEY "(\5\0\0\0" INT("\2") INT("\2") "f\3"
                                                                 "1,5" MORE "{00"),
                   "number that is none");
    assert_refused(BYTES("{" KEY "(\5\0\0\0" INT("\2") INT("\2") HALF MORE "N0"), "no dict of callers");
    assert_refused(BYTES("{" KEY "(\5\0\0\0" INT("\2") INT("\2") HALF MORE "{" KEY "(\3\0\0\0NNN"), "a caller's value");
    assert_refused(BYTES("{(\xff\xff\xff\x7f"), "cut short");
    assert_refused(BYTES("{(\3\0\0\0u\xff\xff\xff\xff"), "cut short");
    assert_refused(BYTES("{(\3\0\0\0l\0\0\0\x80"), "cut short");
    assert_refused(BYTES("{r\0\0\0\0"), "leads nowhere");
    assert_refused(BYTES("{c"), "type 0x63");
    /* A tuple that holds itself. */
    assert_refused(BYTES("{(\1\0\0\0N\xa8\1\0\0\0r\0\0\0\0"), "leads in circles");
}

/* ('0042', 1, 'f') */
static char *put_key(char *at, uint32_t number) {
    memcpy(at, "(\3\0\0\0" TEXT("\4", ""), 10);
    snprintf(at + 10, 5, "%04u", number);
    memcpy(at + 14, INT("\1") TEXT("\1", "f"), 11);
    return at + 25;
}

/* A dict of callers that thousands of rows refer to would unfold to far more than the file: bounded by the file's size. */
static void test_unfolding(void **state) {
    (void)state;
    enum { CALLERS = 2000, ROWS = 2000 };
    char *bytes = malloc(1 << 20), *at = bytes;
    assert_non_null(bytes);
    *at++ = '{';
    for (uint32_t row = 0; row < ROWS; row++) {
        at = put_key(at, row);
        memcpy(at, "(\5\0\0\0" INT("\2") INT("\2") HALF MORE, 33);
        at += 33;
        if (row != 0) {
            memcpy(at, "r\0\0\0\0", 5);
            at += 5;
            continue;
        }
        *at++ = (char)0xfb;
        for (uint32_t caller = 0; caller < CALLERS; caller++) {
            at = put_key(at, caller);
            memcpy(at, INT("\1"), 5);
            at += 5;
        }
        *at++ = '0';
    }
    *at++ = '0';
    assert_refused(bytes, (size_t)(at - bytes), "unfold to more");
    free(bytes);
}

/* Tachyon's marker: what stands where calls should be are samples, and a caller is a bare count of them. */
static void test_tachyon(void **state) {
    (void)state;
    static const char bytes[] = "{" KEY "(\5\0\0\0" INT("\2") INT("\3") HALF MORE "{(\3\0\0\0" TEXT("\2", "/f") INT("\1") TEXT("\1", "h")
        INT("\2") "0"
                  "(\1\0\0\0" TEXT("\x0b", "__sampled__") "T0";
    hp_profile *profile = hp_test_read(&hp_format_pstats, bytes, sizeof bytes - 1);
    assert_int_equal(profile->row_count, 2);
    assert_int_equal(row_of(profile, "g")->measured, HP_SAMPLED);
    assert_int_equal(row_of(profile, "g")->samples, 2);
    assert_int_equal(row_of(profile, "g")->calls, 0);
    assert_int_equal(row_of(profile, "g")->total_sampled, 750000000);
    assert_int_equal(edge_of(profile, "h", "g")->total_sampled, 500000000);
    assert_int_equal(profile->meta.samples_kept, 2);
    assert_true(profile->meta.rate_hz == 4.0);
    assert_round_trip(profile, true);
    hp_profile_free(profile);
}

static void test_cut_short(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = hp_fixture_make("recursive");
    char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
    uint32_t before = 0;
    for (size_t cut = 200; cut < size; cut++) {
        hp_profile *back = hp_test_read(&hp_format_pstats, bytes, cut);
        assert_int_equal(back->meta.warning_count, 1);
        assert_non_null(strstr(back->meta.warnings[0], "cut short"));
        assert_true(back->row_count >= before || before == 0);
        before = back->row_count;
        hp_profile_free(back);
    }
    assert_int_equal(before, profile->row_count);
    free(bytes);
    hp_profile_free(profile);
}

/* Names from outside: NULs and bytes that are no UTF-8 cannot stand in a profile. */
static void test_strange_names(void **state) {
    (void)state;
    static const char bytes[] = "{(\3\0\0\0" TEXT("\3", "a\0b") INT("\3") "s\2\0\0\0\xff\xe9" VALUE "0tail";
    hp_profile *profile = hp_test_read(&hp_format_pstats, bytes, sizeof bytes - 1);
    const hp_row *row = row_of(profile, "\\xff\\xe9");
    assert_non_null(row);
    assert_string_equal(profile->functions[row->function].file, "a\\x00b");
    assert_int_equal(profile->meta.warning_count, 1);
    assert_string_equal(profile->meta.warnings[0], "4 bytes after the end of the pstats data were ignored");
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_numbers_survive),
        cmocka_unit_test(test_shared_key),
        cmocka_unit_test(test_shared_key_in_table),
        cmocka_unit_test(test_marker),
        cmocka_unit_test(test_all_threads),
        cmocka_unit_test(test_is_no_text),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_cprofile),
        cmocka_unit_test(test_marshal_forms),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unfolding),
        cmocka_unit_test(test_tachyon),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_strange_names),
    };
    return cmocka_run_group_tests_name("pstats", tests, NULL, NULL);
}
