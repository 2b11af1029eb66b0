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
    static const char before[] = "(\3\0\0\0" TEXT("\4", ""), after[] = INT("\1") TEXT("\1", "f");
    memcpy(at, before, sizeof before);
    at += sizeof before - 1;
    at += snprintf(at, 5, "%04u", number);
    memcpy(at, after, sizeof after);
    return at + sizeof after - 1;
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
        cmocka_unit_test(test_cprofile),      cmocka_unit_test(test_marshal_forms), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unfolding),     cmocka_unit_test(test_tachyon),       cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_strange_names),
    };
    return cmocka_run_group_tests_name("pstats reader", tests, NULL, NULL);
}
