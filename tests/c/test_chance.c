/* SPDX-License-Identifier: MIT */
/* What a seed chooses: the first draws of thousands of seeds, the small ones that people give. */
#include <math.h>

#include "support/check.h"
#include "tracer/chance.h"

enum { SEEDS = 4000, DRAWS = 3, LONG = 64 };

static const double rates[] = {0.001, 0.01, 0.5};

static void check_draws(double rate, uint64_t first, uint64_t step) {
    int chosen[DRAWS] = {0};
    for (uint64_t i = 0; i < SEEDS; i++) {
        uint64_t state = first + i * step;
        for (int draw = 0; draw < DRAWS; draw++)
            chosen[draw] += hp_chance_draw(&state, (uint64_t)(rate * 4294967296.0));
    }
    double most = 4 * sqrt(SEEDS * rate * (1 - rate)) + 1;
    for (int draw = 0; draw < DRAWS; draw++)
        assert_true(fabs(chosen[draw] - SEEDS * rate) < most);
}

static void test_each_draw_is_unbiased_over_seeds(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        check_draws(rates[i], 1, 1);
        check_draws(rates[i], 1000000, 1000);
        check_draws(rates[i], UINT64_MAX / 2, 0x100000001);
    }
}

static uint64_t sequence(uint64_t seed) {
    uint64_t bits = 0;
    for (int i = 0; i < LONG; i++)
        bits = bits << 1 | hp_chance_draw(&seed, (uint64_t)1 << 31);
    return bits;
}

static void test_seeds_side_by_side_have_nothing_in_common(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        int apart = __builtin_popcountll(sequence(seed) ^ sequence(seed + 1));
        assert_true(apart > LONG / 2 - 20 && apart < LONG / 2 + 20); /* five standard deviations */
    }
}

static void test_equal_seeds_choose_the_same(void **state) {
    (void)state;
    assert_true(sequence(7) == sequence(7));
}

static void test_rates_of_all_and_of_none(void **state) {
    (void)state;
    uint64_t all = 1, none = 1;
    for (int i = 0; i < SEEDS; i++) {
        assert_true(hp_chance_draw(&all, (uint64_t)1 << 32));
        assert_false(hp_chance_draw(&none, 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_draw_is_unbiased_over_seeds),
                                       cmocka_unit_test(test_seeds_side_by_side_have_nothing_in_common),
                                       cmocka_unit_test(test_equal_seeds_choose_the_same), cmocka_unit_test(test_rates_of_all_and_of_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
