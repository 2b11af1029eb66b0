/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/collapsed/collapsed.h"
#include "support/bytes.h"
#include "support/profiles.h"

/* The last field of each line added up; also that every line is `frames N`. */
static uint64_t sum_of(const char *text) {
    uint64_t sum = 0;
    for (const char *line = text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        const char *space = end;
        while (space > line && *space != ' ')
            space--;
        char *after = NULL;
        uint64_t value = strtoull(space + 1, &after, 10);
        assert_ptr_equal(after, end);
        assert_int_not_equal(value, 0);
        assert_true(space > line && (space[-1] == ')' || space[-1] == '>'));
        sum += value;
        line = end + 1;
    }
    return sum;
}

static uint64_t total_of(const hp_profile *profile) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < profile->tree.count; i++)
        total += profile->tree.nodes[i].sampled + profile->tree.nodes[i].exact;
    return total;
}

static void assert_ten_seconds(const hp_profile *profile, const char *text, size_t size) {
    (void)profile;
    (void)size;
    assert_int_equal(sum_of(text), UINT64_C(10000000000));
}

static void test_golden(void **state) {
    (void)state;
    hp_test_goldens(&hp_format_collapsed, "collapsed", assert_ten_seconds);
}

static void test_random_adds_up(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        size_t size = 0;
        hp_profile *profile = hp_fixture_random(seed, 2000, 50, 60, 3);
        char *text = hp_test_export(profile, &hp_format_collapsed, &size);
        assert_int_equal(sum_of(text), total_of(profile));
        free(text);
        hp_profile_free(profile);
    }
}

static hp_profile *chain(uint32_t depth, bool every) {
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    uint32_t thread = hp_profile_add_thread(profile, "deep", 1), node = profile->threads[thread].root;
    hp_function function = {HP_CODE_PYTHON, "deep", "down", "down", "/srv/deep.py", 1};
    uint32_t id = hp_profile_function(profile, &function);
    for (uint32_t i = 0; i < depth; i++) {
        node = hp_tree_child(&profile->tree, node, id);
        profile->tree.nodes[node].exact = every || i + 1 == depth ? 7 : 0;
    }
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    return profile;
}

static void test_depth(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = chain(100000, false);
    char *text = hp_test_export(profile, &hp_format_collapsed, &size);
    assert_int_equal(sum_of(text), 7);
    assert_true(size > 100000 * sizeof "deep.down");
    free(text);
    hp_profile_free(profile);
}

/* 100,000 lines of 50,000 frames on average do not fit on any disk: refused before the first byte. */
static void test_too_large(void **state) {
    (void)state;
    hp_profile *profile = chain(100000, true);
    hp_sink *sink = NULL;
    hp_error error = {0};
    size_t size = 1;
    assert_int_equal(hp_sink_memory(&sink), HP_OK);
    assert_int_equal(hp_format_collapsed.write(sink, profile, &error), HP_UNSUPPORTED);
    assert_non_null(strstr(error.text, "4 GiB"));
    hp_sink_bytes(sink, &size);
    assert_int_equal(size, 0);
    hp_sink_free(sink);
    hp_profile_free(profile);
}

static void test_empty(void **state) {
    (void)state;
    size_t size = 1;
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    free(hp_test_export(profile, &hp_format_collapsed, &size));
    assert_int_equal(size, 0);
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),    cmocka_unit_test(test_random_adds_up), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_too_large), cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests_name("collapsed", tests, NULL, NULL);
}
