/* SPDX-License-Identifier: MIT */
/* The samples of some states as a profile: parts add up to the whole, exact numbers stay out, errors stay those of the whole's samples. */
#include <string.h>

#include "support/check.h"
#include "tree/select.h"

static uint32_t add(hp_profile *profile, uint32_t parent, const char *name) {
    hp_function f = {HP_CODE_PYTHON, "m", name, name, "m.py", 1};
    return hp_tree_child(&profile->tree, parent, hp_profile_function(profile, &f));
}

static void sample(hp_profile *profile, uint32_t node, uint32_t line, hp_thread_state state, uint64_t samples) {
    profile->tree.nodes[node].samples += samples;
    profile->tree.nodes[node].sampled += samples * 10;
    assert_ok(hp_profile_add_line(profile, &(hp_line){node, line, state, samples, samples * 10}));
}

/* Two threads; a recursive function; a function that was only traced; a node without any samples on the way to one with some. */
static hp_profile *made(void) {
    hp_profile *profile = NULL;
    assert_ok(hp_profile_new(&profile));
    uint32_t one = hp_profile_add_thread(profile, "one", 1), two = hp_profile_add_thread(profile, "two", 2);
    uint32_t f = add(profile, profile->threads[one].root, "f"), g = add(profile, f, "g"), again = add(profile, g, "f");
    sample(profile, f, 1, HP_STATE_PYTHON, 40);
    sample(profile, f, 1, HP_STATE_GIL, 10);
    sample(profile, again, 2, HP_STATE_GIL, 30);
    sample(profile, add(profile, profile->threads[two].root, "h"), 7, HP_STATE_SLEEP, 100);
    uint32_t traced = add(profile, f, "traced");
    profile->tree.nodes[traced].calls = 5;
    profile->tree.nodes[traced].exact = 500;
    profile->threads[one].samples = 80;
    profile->threads[one].sampled_ns = 800;
    profile->threads[two].samples = 100;
    profile->threads[two].sampled_ns = 1000;
    profile->meta.python = hp_profile_string(profile, "3.99");
    assert_ok(hp_profile_add_warning(profile, "careful"));
    assert_ok(hp_profile_summarize(profile));
    assert_ok(hp_profile_check(profile, NULL));
    return profile;
}

static const hp_row *row(const hp_profile *profile, const char *name) {
    for (uint32_t i = 0; i < profile->row_count; i++)
        if (strcmp(profile->functions[profile->rows[i].function].name, name) == 0)
            return &profile->rows[i];
    return NULL;
}

static void test_one_state(void **state) {
    (void)state;
    hp_profile *whole = made(), *part = NULL;
    assert_ok(hp_profile_select(whole, 1u << HP_STATE_GIL, &part));
    assert_ok(hp_profile_check(part, NULL));
    assert_int_equal(row(part, "f")->samples, 40);
    assert_int_equal(row(part, "f")->self_sampled, 400);
    assert_int_equal(row(part, "f")->total_sampled, 400); /* once per stack, though it is on it twice */
    assert_int_equal(row(part, "g")->self_sampled, 0);
    assert_int_equal(row(part, "g")->total_sampled, 300);
    assert_null(row(part, "h"));
    assert_null(row(part, "traced"));
    assert_int_equal(part->line_count, 2);
    assert_string_equal(part->meta.python, "3.99");
    assert_string_equal(part->meta.warnings[0], "careful");
    assert_int_equal(part->threads[0].sampled_ns, 800);
    /* Half of the thread's samples: the error of a half, not of all. */
    assert_true(row(part, "f")->self_error_ns > 0 && row(part, "f")->self_error_ns < 400);
    hp_profile_free(part);
    hp_profile_free(whole);
}

static void test_parts_add_up(void **state) {
    (void)state;
    hp_profile *whole = made();
    uint64_t samples = 0, sampled = 0;
    for (unsigned s = 0; s < HP_STATES; s++) {
        hp_profile *part = NULL;
        assert_ok(hp_profile_select(whole, 1u << s, &part));
        for (uint32_t i = 0; i < part->row_count; i++) {
            samples += part->rows[i].samples;
            sampled += part->rows[i].self_sampled;
        }
        hp_profile_free(part);
    }
    assert_int_equal(samples, 180);
    assert_int_equal(sampled, 1800);
    hp_profile_free(whole);
}

static void test_all_and_none(void **state) {
    (void)state;
    hp_profile *whole = made(), *all = NULL, *none = NULL;
    assert_ok(hp_profile_select(whole, ~0u, &all));
    assert_int_equal(row(all, "f")->self_sampled, row(whole, "f")->self_sampled);
    assert_int_equal(row(all, "h")->total_sampled, 1000);
    assert_int_equal(row(all, "f")->self_exact + row(all, "f")->total_exact, 0);
    assert_ok(hp_profile_select(whole, 0, &none));
    assert_ok(hp_profile_check(none, NULL));
    assert_int_equal(none->thread_count, 2);
    assert_null(row(none, "f"));
    hp_profile_free(all);
    hp_profile_free(none);
    hp_profile_free(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_state), cmocka_unit_test(test_parts_add_up),
                                       cmocka_unit_test(test_all_and_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
