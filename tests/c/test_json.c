/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/json.h"
#include "support/json.h"

static hp_sink *sink;
static hp_json json;

static int begin(void **state) {
    (void)state;
    sink = NULL;
    assert_int_equal(hp_sink_memory(&sink), HP_OK);
    json = (hp_json){.sink = sink};
    return 0;
}

static int end(void **state) {
    (void)state;
    hp_sink_free(sink);
    return 0;
}

/* What was written, as a reader has it. */
static hp_test_json *read_back(void) {
    size_t size = 0;
    const char *bytes = (const char *)hp_sink_bytes(sink, &size);
    return hp_test_json_parse(bytes, size);
}

static void assert_written(const char *expected) {
    size_t size = 0;
    const char *bytes = (const char *)hp_sink_bytes(sink, &size);
    char *text = strndup(bytes, size);
    assert_non_null(text);
    assert_string_equal(text, expected);
    hp_test_json_free(read_back()); /* valid, whatever it was compared with */
    free(text);
}

static void test_commas_and_breaks(void **state) {
    (void)state;
    hp_json_open(&json, '{');
    hp_json_key(&json, "none");
    hp_json_open(&json, '[');
    hp_json_close(&json, ']');
    hp_json_key(&json, "some");
    hp_json_open(&json, '[');
    hp_json_u64(&json, 1);
    hp_json_break(&json);
    hp_json_string(&json, "two");
    hp_json_open(&json, '{');
    hp_json_close(&json, '}');
    hp_json_raw(&json, "null", 4);
    hp_json_close(&json, ']');
    hp_json_break(&json);
    hp_json_key(&json, "last");
    hp_json_raw(&json, "[1,2]", 5);
    hp_json_close(&json, '}');
    assert_written("{\"none\":[],\"some\":[1,\n\"two\",{},null],\n\"last\":[1,2]}");
}

/* The text in the file, and what a reader makes of it. */
static void assert_string(const char *text, const char *expected, const char *decoded) {
    char quoted[512];
    begin(NULL);
    hp_json_string(&json, text);
    snprintf(quoted, sizeof quoted, "\"%s\"", expected);
    assert_written(quoted);
    hp_test_json *value = read_back();
    assert_string_equal(hp_test_json_text(value), decoded);
    hp_test_json_free(value);
    end(NULL);
}

static void assert_same(const char *text) {
    assert_string(text, text, text);
}

static void test_strings(void **state) {
    (void)state;
    assert_same("");
    assert_same("plain <lambda> na\xc3\xafve \xf0\x9f\x90\x8d %s ; 'x'");
    assert_string("quo\"te \\ back", "quo\\\"te \\\\ back", "quo\"te \\ back");
    assert_string("a\nb\tc\rd\x01\x1f\x7f", "a\\\\nb\\\\tc\\\\rd\\\\x01\\\\x1f\\\\x7f", "a\\nb\\tc\\rd\\x01\\x1f\\x7f");
    assert_string("\xe2\x80\xa8\xe2\x80\xa9\xc2\x85", "\\\\u2028\\\\u2029\\\\x85", "\\u2028\\u2029\\x85");
    assert_string("\xed\xa0\x80\xed\xbf\xbf", "\\\\ud800\\\\udfff", "\\ud800\\udfff");                         /* lone surrogates */
    assert_string("\xff\xc0\x80\xe2\x80", "\\\\xff\\\\xc0\\\\x80\\\\xe2\\\\x80", "\\xff\\xc0\\x80\\xe2\\x80"); /* no UTF-8 */
    assert_string("\xf4\x90\x80\x80", "\\\\xf4\\\\x90\\\\x80\\\\x80", "\\xf4\\x90\\x80\\x80");
    /* Nothing that ends a page's script or opens its comment, and the reader sees the name as it was. */
    assert_string("</script>", "\\u003c/script>", "</script>");
    assert_string("<!--<script", "\\u003c!--<script", "<!--<script");
    assert_string("a<", "a\\u003c", "a<");
}

static void test_joined(void **state) {
    (void)state;
    hp_json_joined(&json, "<thread \"x\">", ", sampled");
    assert_written("\"<thread \\\"x\\\">, sampled\"");
    end(NULL);
    begin(NULL);
    hp_json_joined(&json, "\xe2\x80", "\xa8<"); /* halves of a character do not make one */
    assert_written("\"\\\\xe2\\\\x80\\\\xa8\\u003c\"");
}

static void assert_number(uint64_t value, const char *expected) {
    begin(NULL);
    hp_json_u64(&json, value);
    assert_written(expected);
    hp_test_json *back = read_back();
    assert_int_equal(hp_test_json_u64(back), value);
    hp_test_json_free(back);
    end(NULL);
}

static void assert_ms(uint64_t ns, const char *expected) {
    begin(NULL);
    hp_json_ms(&json, ns);
    assert_written(expected);
    hp_test_json *back = read_back();
    assert_int_equal(hp_test_json_ns(back), ns);
    if (ns <= UINT64_C(1) << 51)
        assert_int_equal((uint64_t)(strtod(back->text, NULL) * 1e6 + 0.5), ns);
    hp_test_json_free(back);
    end(NULL);
}

static void test_numbers(void **state) {
    (void)state;
    assert_number(0, "0");
    assert_number((UINT64_C(1) << 53) + 1, "9007199254740993"); /* no double: written whole all the same */
    assert_number(UINT64_MAX, "18446744073709551615");
    assert_ms(0, "0");
    assert_ms(1, "0.000001");
    assert_ms(100, "0.0001");
    assert_ms(999999, "0.999999");
    assert_ms(1000000, "1");
    assert_ms(1500000, "1.5");
    assert_ms((UINT64_C(1) << 51) - 1, "2251799813.685247");
    assert_ms((UINT64_C(1) << 53) + 1, "9007199254.740993");
    assert_ms(UINT64_MAX, "18446744073709.551615");
}

static bool recognized(const char *bytes, size_t size) {
    return hp_json_recognize((const uint8_t *)bytes, size, "\"mark\"");
}

static void test_recognize(void **state) {
    (void)state;
    static char large[20000];
    assert_true(recognized("{\"mark\":1}", 10));
    assert_true(recognized("{ \n\"mark\" : 1}", 14));
    assert_false(recognized("{\"mark:1}", 9));
    assert_false(recognized("[\"mark\":1}", 10));
    assert_false(recognized("{(\"mark\":1}", 11)); /* a pstats file may hold any text */
    assert_false(recognized("{\"mark\"", 6));
    assert_false(recognized("{", 1));
    assert_false(recognized("{ ", 2));
    assert_false(recognized("{\0\"mark\"", 8));
    assert_false(recognized("", 0));
    memset(large, ' ', sizeof large);
    large[0] = '{';
    large[1] = '"';
    for (size_t i = 0; i < 6; i++)
        large[10000 + i] = "\"mark\""[i];
    assert_false(recognized(large, sizeof large));
    assert_true(recognized(large, 10006));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commas_and_breaks, begin, end),
        cmocka_unit_test(test_strings),
        cmocka_unit_test_setup_teardown(test_joined, begin, end),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_recognize),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
