/* SPDX-License-Identifier: MIT */
/* What several measurements of one cost come to. */
#include <math.h>

#include "support/check.h"
#include "tracer/looks.h"

/* A call of 12 ticks bare, to which recording adds 47: 20 in its own interval. An empty body takes a quarter of a bare call. */
static const hp_look right = {.bare = 12, .callee = 23, .caller = 36};
static const hp_look wrong = {.bare = 12, .callee = 35, .caller = 47}; /* 70 */

static void assert_near(double found, double wanted) {
    assert_true(fabs(found - wanted) < 1e-9);
}

static void test_nothing_is_known_at_first(void **state) {
    (void)state;
    hp_looks looks = {0};
    hp_look_cost cost = hp_looks_cost(&looks);
    assert_near(cost.inside, 0);
    assert_near(cost.outside, 0);
    assert_near(hp_looks_spread(&looks), 0);
    assert_false(hp_looks_is_high(&looks, wrong));
}

static void test_one_look(void **state) {
    (void)state;
    hp_looks looks = {0};
    hp_looks_add(&looks, right);
    hp_look_cost cost = hp_looks_cost(&looks);
    assert_near(cost.inside, 20);
    assert_near(cost.outside, 27);
    assert_near(hp_looks_spread(&looks), 0);
    assert_false(hp_looks_is_high(&looks, right));
    assert_true(hp_looks_is_high(&looks, wrong));
}

static void test_a_wrong_first_look_is_corrected(void **state) {
    (void)state;
    hp_looks looks = {0};
    hp_looks_add(&looks, wrong);
    assert_near(hp_looks_cost(&looks).inside + hp_looks_cost(&looks).outside, 70);
    hp_looks_add(&looks, right);
    assert_near(hp_looks_cost(&looks).inside, 20);
    assert_near(hp_looks_cost(&looks).outside, 27);
    assert_near(hp_looks_spread(&looks), 23.0 / 47);
    assert_true(hp_looks_spread(&looks) > HP_LOOKS_AGREE);
}

static void test_a_wrong_later_look_takes_nothing_away(void **state) {
    (void)state;
    hp_looks looks = {0};
    hp_looks_add(&looks, right);
    hp_looks_add(&looks, wrong);
    assert_near(hp_looks_cost(&looks).inside + hp_looks_cost(&looks).outside, 47);
    assert_near(hp_looks_spread(&looks), 23.0 / 47);
}

static void test_a_slow_bare_loop_does_not_make_recording_cheap(void **state) {
    (void)state;
    hp_looks looks = {0};
    hp_looks_add(&looks, right);
    hp_looks_add(&looks, (hp_look){.bare = 40, .callee = 23, .caller = 36});
    assert_near(hp_looks_cost(&looks).inside + hp_looks_cost(&looks).outside, 47);
    assert_near(hp_looks_spread(&looks), 0);
}

static void test_without_a_bare_loop_the_earlier_one_counts(void **state) {
    (void)state;
    hp_looks looks = {0};
    hp_looks_add(&looks, wrong);
    hp_looks_add(&looks, (hp_look){.bare = 0, .callee = 23, .caller = 36});
    assert_near(hp_looks_cost(&looks).inside + hp_looks_cost(&looks).outside, 47);
}

static void test_where_the_traced_loop_is_no_slower_nothing_is_taken_out(void **state) {
    (void)state;
    hp_looks looks = {0};
    hp_looks_add(&looks, (hp_look){.bare = 60, .callee = 23, .caller = 36});
    assert_near(hp_looks_cost(&looks).inside, 0);
    assert_near(hp_looks_cost(&looks).outside, 0);
    assert_near(hp_looks_spread(&looks), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_known_at_first),
        cmocka_unit_test(test_one_look),
        cmocka_unit_test(test_a_wrong_first_look_is_corrected),
        cmocka_unit_test(test_a_wrong_later_look_takes_nothing_away),
        cmocka_unit_test(test_a_slow_bare_loop_does_not_make_recording_cheap),
        cmocka_unit_test(test_without_a_bare_loop_the_earlier_one_counts),
        cmocka_unit_test(test_where_the_traced_loop_is_no_slower_nothing_is_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
