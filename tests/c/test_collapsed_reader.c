/* SPDX-License-Identifier: MIT */
/* Collapsed stacks read back: ours, other programs', and text that only looks like it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#include "formats/collapsed/collapsed.h"
#include "support/bytes.h"
#include "support/profiles.h"
#include "support/pstats.h"

static hp_profile *read_text(const char *text) {
    assert_true(hp_format_collapsed.recognize((const uint8_t *)text, strlen(text)));
    return hp_test_read(&hp_format_collapsed, text, strlen(text));
}

static const hp_function *function_of(const hp_profile *profile, const char *name) {
    const hp_row *row = row_of(profile, name);
    assert_non_null(row);
    return &profile->functions[row->function];
}

static int compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines stand in the order of the tree, which is another when it was built from them. */
static void assert_same_lines(char *a, char *b) {
    char *text[2] = {a, b}, **lines[2];
    size_t count[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        lines[i] = calloc(strlen(text[i]) + 1, sizeof **lines);
        for (char *line = strtok(text[i], "\n"); line != NULL; line = strtok(NULL, "\n"))
            lines[i][count[i]++] = line;
        qsort(lines[i], count[i], sizeof **lines, compare_lines);
    }
    assert_int_equal(count[0], count[1]);
    for (size_t i = 0; i < count[0]; i++)
        assert_string_equal(lines[0][i], lines[1][i]);
    free(lines[0]);
    free(lines[1]);
}

/* What is read back is written as the same lines, and has the same rows but for what the format cannot say. */
static void assert_round(const hp_profile *profile) {
    size_t size = 0;
    char *text = hp_test_export(profile, &hp_format_collapsed, &size);
    assert_true(hp_format_collapsed.recognize((const uint8_t *)text, size));
    hp_profile *back = hp_test_read(&hp_format_collapsed, text, size);
    char *again = hp_test_export(back, &hp_format_collapsed, &size);
    assert_int_equal(back->meta.warning_count, 0);
    assert_same_lines(text, again);
    free(text);
    free(again);
    hp_profile_free(back);
}

static void test_round_trip(void **state) {
    (void)state;
    for (size_t i = 0; hp_fixtures[i].name != NULL; i++) {
        hp_profile *profile = hp_fixtures[i].make();
        assert_round(profile);
        hp_profile_free(profile);
    }
    for (uint64_t seed = 0; seed < 10; seed++) {
        hp_profile *profile = hp_fixture_random(seed, 2000, 50, 60, 3);
        assert_round(profile);
        hp_profile_free(profile);
    }
}

/* Functions as they were, not only their labels. */
static void test_own_functions(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = hp_fixture_make("plain");
    char *text = hp_test_export(profile, &hp_format_collapsed, &size);
    hp_profile *back = hp_test_read(&hp_format_collapsed, text, size);
    assert_int_equal(back->row_count, profile->row_count);
    for (uint32_t i = 0; i < profile->row_count; i++) {
        const hp_function *had = &profile->functions[profile->rows[i].function];
        const hp_row *row = row_of(back, had->name);
        assert_non_null(row);
        const hp_function *has = &back->functions[row->function];
        assert_int_equal(has->kind, had->kind);
        assert_string_equal(has->module, had->module);
        assert_string_equal(has->qualname, had->qualname);
        assert_string_equal(has->file, had->file);
        assert_int_equal(has->first_line, had->first_line);
        assert_int_equal(row->self_sampled, profile->rows[i].self_sampled);
        assert_int_equal(row->total_sampled, profile->rows[i].total_sampled);
        assert_int_equal(row->measured, HP_SAMPLED);
        assert_int_equal(row->total_error_ns == 0, had->kind == HP_CODE_SYNTHETIC); /* a thread's total is its clock's */
    }
    assert_string_equal(back->threads[0].name, "MainThread");
    free(text);
    hp_profile_free(back);
    hp_profile_free(profile);
}

/* The second thread's lines may come first. */
static void test_own_threads(void **state) {
    (void)state;
    hp_profile *p = read_text("<thread b #2>;m.f (/m.py:3) 5\n<thread a #b> #1>;m.f (/m.py:3) 7\n<thread #3>;<block x\\x3by> 1\n");
    assert_int_equal(p->thread_count, 3);
    assert_string_equal(p->threads[0].name, "a #b>");
    assert_string_equal(p->threads[1].name, "b");
    assert_string_equal(p->threads[2].name, "");
    assert_int_equal(p->threads[0].measured_ns, 7);
    assert_int_equal(row_of(p, "f")->self_sampled, 12);
    assert_int_equal(function_of(p, "f")->first_line, 3);
    assert_int_equal(function_of(p, "x;y")->kind, HP_CODE_BLOCK);
    hp_profile_free(p);
}

/* The file of a frozen module says where its name ends. */
static void test_own_frozen_modules(void **state) {
    (void)state;
    hp_profile *p =
        read_text("<thread M #1>;runpy._run_code (<frozen runpy>:87);importlib._bootstrap._find_and_load (<frozen importlib._bootstrap>:"
                  "1349);importlib._bootstrap_external.SourceLoader.get_code (<frozen importlib._bootstrap_external>:1089) 5\n");
    assert_string_equal(function_of(p, "_run_code")->module, "runpy");
    assert_string_equal(function_of(p, "_find_and_load")->module, "importlib._bootstrap");
    assert_string_equal(function_of(p, "get_code")->module, "importlib._bootstrap_external");
    assert_string_equal(function_of(p, "get_code")->qualname, "SourceLoader.get_code");
    hp_profile_free(p);
}

static void test_py_spy(void **state) {
    (void)state;
    hp_profile *p = read_text("<module> (app.py:30);main (app.py:12);load (shop/store.py:21) 30\n"
                              "<module> (app.py:30);main (app.py:14);load (shop/store.py:23) 12\n"
                              " 1\n"
                              "<module> (app.py:30);main (app.py:12);PyEval_Call (python3.8) 7\n");
    const hp_row *load = row_of(p, "load");
    assert_int_equal(load->samples, 42);
    assert_int_equal(load->self_sampled, 420000000);
    assert_int_equal(row_of(p, "main")->total_sampled, 490000000);
    assert_string_equal(function_of(p, "load")->file, "shop/store.py");
    assert_int_equal(function_of(p, "load")->first_line, 0); /* the numbers are the lines that ran */
    assert_int_equal(function_of(p, "PyEval_Call (python3.8)")->kind, HP_CODE_C);
    assert_int_equal(p->line_count, 2);
    assert_int_equal(p->lines[0].line + p->lines[1].line, 44);
    assert_int_equal(p->meta.samples_kept, 50);
    assert_int_equal(p->thread_count, 1);
    assert_int_equal(p->threads[0].measured_ns, 500000000);
    assert_int_equal(p->meta.warning_count, 1);
    assert_non_null(strstr(p->meta.warnings[0], "10 ms"));
    hp_profile_free(p);
}

static void test_austin(void **state) {
    (void)state;
    hp_profile *p = read_text("# austin: 3.7.0\n# interval: 100\n# mode: cpu\n\n"
                              "P42;T0:4a;/srv/app.py:<module>:30;/srv/app.py:main:12 250\n"
                              "P42;T0:4b;/srv/app.py:main:14 1000\n\n# duration: 1250\n");
    assert_int_equal(p->meta.clock, HP_CLOCK_CPU);
    assert_int_equal(row_of(p, "main")->self_sampled, 1250000);
    assert_int_equal(row_of(p, "main")->samples, 13);
    assert_true(p->meta.rate_hz == 10000.0);
    assert_int_equal(p->thread_count, 2);
    assert_string_equal(p->threads[0].name, "P42;T0:4a");
    assert_int_equal(p->threads[1].measured_ns, 1000000);
    assert_int_equal(p->meta.warning_count, 0);
    hp_profile_free(p);
}

static void test_others(void **state) {
    (void)state;
    hp_profile *p =
        read_text("\xef\xbb\xbftid:7;app.py:main:3;json.loads 2\r\ntid:7;app.py:main:4 1.5\r\n"); /* Tachyon; a fraction is rounded */
    assert_string_equal(p->threads[0].name, "tid:7");
    assert_int_equal(row_of(p, "main")->samples, 2);
    assert_int_equal(row_of(p, "main")->total_sampled, 40000000);
    hp_profile_free(p);
    p = read_text("swapper;start_kernel;[unknown];std::vec::push:12 3\nswapper 1"); /* perf; no end at the end */
    assert_int_equal(row_of(p, "swapper")->total_sampled, 40000000);
    assert_non_null(row_of(p, "std::vec::push:12"));
    assert_int_equal(p->line_count, 0);
    assert_int_equal(p->meta.warning_count, 2);
    assert_non_null(strstr(p->meta.warnings[1], "no end"));
    hp_profile_free(p);
    p = read_text("a;;b 1\na;b 2\n"); /* an empty frame is none */
    assert_int_equal(p->tree.count, 4);
    assert_int_equal(row_of(p, "b")->samples, 3);
    hp_profile_free(p);
}

static void assert_refused(const char *text, bool recognized, const char *words) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    size_t size = strlen(text);
    char *own = malloc(size == 0 ? 1 : size); /* of its own size: sanitizers see a read behind it */
    memcpy(own, text, size);                  /* NOLINT(bugprone-not-null-terminated-result): these are bytes */
    assert_int_equal(hp_format_collapsed.recognize((uint8_t *)own, size), recognized);
    assert_int_equal(hp_format_collapsed.read((uint8_t *)own, size, &profile, &error), HP_BAD_FORMAT);
    assert_null(profile);
    if (strstr(error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
    free(own);
}

/* Text is refused with the line that is none. */
static void test_refusals(void **state) {
    (void)state;
    assert_refused("", false, "none holds two frames");
    assert_refused("\n\n", false, "none holds two frames");
    assert_refused("# a title\nChapter 1\nOf stacks.\n", false, "line 3, \"Of stacks.\", does not end in a space and a number");
    assert_refused("Chapter 1\nChapter 2\n", true, "none holds two frames");
    assert_refused("a;b 1\na;b 1\na;b 1\na;b 1\na;b 1\na;b 1\na;b 1\na;b 1\na;b 1\na;b 1\na;b\tone\n", true, "line 11, \"a;b\\tone\"");
    assert_refused("a;b 1,5\n", false, "does not end");
    assert_refused("a;b 1.5.2\n", false, "does not end");
    assert_refused("a;b\xc2\xa0\x33\n", false, "does not end");
    assert_refused("a;b -3\n", false, "does not end");
    assert_refused("a;b 1e9\n", false, "does not end");
    assert_refused("a;b.5\n", false, "does not end");
    assert_refused("7\n", false, "does not end");
    assert_refused("a;b 9223372036854775807\n", false, "does not end"); /* nobody counted to that */
    assert_refused("a;b 922337203685477000\n", true, "2^63 ns or more");
    assert_refused("# mode: memory\na;b 1\n", true, "memory");
    assert_refused("{\"a\": 1}", false, "none holds two frames"); /* one line, and cut short */
}

/* Whatever is cut off: a profile with a warning, or a sentence; and never more than there was. */
static void test_damage(void **state) {
    (void)state;
    for (size_t i = 0; hp_fixtures[i].name != NULL; i++) {
        size_t size = 0;
        hp_profile *profile = hp_fixtures[i].make();
        char *text = hp_test_export(profile, &hp_format_collapsed, &size);
        for (size_t at = 0; at < size; at++) {
            hp_error error = {0};
            hp_profile *back = NULL;
            char *cut = malloc(at + 1);
            memcpy(cut, text, at);
            hp_status status = hp_format_collapsed.read((uint8_t *)cut, at, &back, &error);
            assert_true(status == HP_OK ? at == 0 || cut[at - 1] == '\n' || back->meta.warning_count != 0 : error.text[0] != '\0');
            if (status == HP_OK && at > 0 && cut[at - 1] == '\n')
                assert_true(back->rows[1].total_sampled <= UINT64_C(10000000000));
            hp_profile_free(back);
            free(cut);
            back = NULL;
            text[at] ^= (char)(1 << at % 7);
            status = hp_format_collapsed.read((uint8_t *)text, size, &back, &error);
            assert_true(status == HP_OK || error.text[0] != '\0');
            hp_profile_free(back);
            text[at] ^= (char)(1 << at % 7);
        }
        free(text);
        hp_profile_free(profile);
    }
}

static void test_depth(void **state) {
    (void)state;
    enum { DEPTH = 500000 };
    char *text = malloc(2 * DEPTH + 4);
    for (size_t i = 0; i < 2 * (size_t)DEPTH; i++)
        text[i] = i % 2 == 0 ? 'f' : ';';
    memcpy(text + 2 * DEPTH - 1, " 1\n", 4);
    hp_profile *p = read_text(text);
    assert_int_equal(p->tree.count, DEPTH + 2);
    assert_int_equal(row_of(p, "f")->total_sampled, 10000000);
    free(text);
    hp_profile_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_own_functions),
        cmocka_unit_test(test_own_threads), cmocka_unit_test(test_own_frozen_modules),
        cmocka_unit_test(test_py_spy),      cmocka_unit_test(test_austin),
        cmocka_unit_test(test_others),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_damage),      cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests_name("collapsed reader", tests, NULL, NULL);
}
