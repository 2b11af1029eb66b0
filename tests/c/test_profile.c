/* SPDX-License-Identifier: MIT */
#include "support/check.h"
#include "tree/profile.h"

static void test_functions_are_interned(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    assert_ok(hp_profile_new(&profile));
    char name[] = "f";
    hp_function f = {HP_CODE_PYTHON, "m", name, name, "m.py", 1};
    uint32_t id = hp_profile_function(profile, &f);
    name[0] = 'g';
    uint32_t other = hp_profile_function(profile, &f);
    assert_int_not_equal(id, other);
    assert_string_equal(profile->functions[id].qualname, "f");
    for (uint32_t line = 2; line < 2000; line++) {
        f.first_line = line;
        assert_int_equal(hp_profile_function(profile, &f), other + line - 1);
    }
    f.first_line = 1;
    assert_int_equal(hp_profile_function(profile, &f), other);
    f = (hp_function){HP_CODE_C, NULL, "len", NULL, NULL, 0};
    id = hp_profile_function(profile, &f);
    assert_string_equal(profile->functions[id].module, "");
    assert_ptr_equal(hp_profile_string(profile, "abc"), hp_profile_string_sized(profile, "abcd", 3));
    assert_string_equal(hp_profile_string(profile, NULL), "");
    assert_ok(hp_profile_check(profile, NULL));
    hp_profile_free(profile);
}

static void test_threads_lines_estimates(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    assert_ok(hp_profile_new(&profile));
    assert_int_equal(hp_profile_add_thread(profile, "Main", 42), 0);
    assert_int_equal(hp_profile_add_thread(profile, "", 43), 1);
    uint32_t root = profile->threads[1].root;
    assert_string_equal(profile->functions[profile->tree.nodes[root].function].qualname, "<thread #2>");
    root = profile->threads[0].root;
    assert_string_equal(profile->functions[profile->tree.nodes[root].function].name, "<thread Main #1>");
    profile->threads[0].samples = 5;
    profile->tree.nodes[root].samples = 5;
    profile->tree.nodes[root].sampled = 50;
    assert_ok(hp_profile_add_line(profile, &(hp_line){root, 0, HP_STATE_PYTHON, 2, 20}));
    assert_ok(hp_profile_add_line(profile, &(hp_line){root, 0, HP_STATE_PYTHON, 1, 10}));
    assert_int_equal(profile->line_count, 1);
    assert_int_equal(profile->lines[0].sampled, 30);
    hp_estimate estimate = {.thread = 0, .function = 1, .total_samples = 3, .total_runs = 1};
    assert_ok(hp_profile_add_estimate(profile, &estimate));
    assert_ok(hp_profile_check(profile, NULL));
    hp_error error;
    assert_ok(hp_profile_add_line(profile, &(hp_line){root, 7, HP_STATE_PYTHON, 3, 0}));
    assert_int_equal(hp_profile_check(profile, &error), HP_BAD_FORMAT);
    assert_string_equal(error.text, "profile: lines hold more than their node (number 1)");
    profile->threads[0].measured_ns = 40;
    profile->threads[0].sampled_ns = 50;
    assert_int_equal(hp_profile_residual_ns(profile), -10);
    profile->threads[0].measured_ns = UINT64_C(3) << 62; /* beyond a signed number: not a negative one for that */
    assert_true(hp_profile_residual_ns(profile) == INT64_MAX);
    assert_ok(hp_profile_add_warning(profile, "something"));
    assert_string_equal(profile->meta.warnings[0], "something");
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_functions_are_interned), cmocka_unit_test(test_threads_lines_estimates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
