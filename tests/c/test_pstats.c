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
#include "support/pstats.h"

static hp_profile *written_and_read(const hp_profile *profile) {
    size_t size = 0;
    char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
    hp_profile *back = hp_test_read(&hp_format_pstats, bytes, size);
    free(bytes);
    return back;
}

static void test_golden(void **state) {
    (void)state;
    hp_test_goldens(&hp_format_pstats, "pstats", NULL);
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

/* What would end the script of snakeviz's page, in a name; a path must lead to its file. */
static void test_script_in_names(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    hp_function function = {HP_CODE_PYTHON, "m", "a</ScRipt>", "a</ScRipt>", "/srv/</script>/m.py", 3};
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    uint32_t id = hp_profile_function(profile, &function);
    profile->rows = calloc(1, sizeof *profile->rows);
    profile->rows[0] = (hp_row){.function = id, .measured = HP_EXACT, .calls = 1, .primitive_calls = 1, .self_exact = 9, .total_exact = 9};
    profile->row_count = 1;
    size_t size = 0;
    char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
    assert_true(holds(bytes, size, "a<\\/ScRipt>"));
    assert_false(holds(bytes, size, "a</ScRipt>"));
    assert_true(holds(bytes, size, "/srv/</script>/m.py"));
    free(bytes);
    hp_profile_free(profile);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),          cmocka_unit_test(test_round_trip),          cmocka_unit_test(test_numbers_survive),
        cmocka_unit_test(test_shared_key),      cmocka_unit_test(test_shared_key_in_table), cmocka_unit_test(test_marker),
        cmocka_unit_test(test_all_threads),     cmocka_unit_test(test_is_no_text),          cmocka_unit_test(test_empty),
        cmocka_unit_test(test_script_in_names),
    };
    return cmocka_run_group_tests_name("pstats", tests, NULL, NULL);
}
