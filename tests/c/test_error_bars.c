/* SPDX-License-Identifier: MIT */
/* Not timing but simulation: series of zeros and ones whose truth is known, and how often the 95 % interval holds it. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/random.h"
#include "tree/error_bars.h"

enum { SERIES = 1500 };
static const uint64_t NS = 1000000000;

typedef struct seen {
    uint64_t ones, runs;
} seen;

/* p: the long run's share; stay: mean length of a run of ones, 1 / (1 - p) where samples are independent. */
static seen markov(uint64_t *random, uint32_t samples, double p, double stay) {
    double leave = 1 / stay, enter = leave * p / (1 - p);
    bool on = hp_test_uniform(random) < p;
    seen s = {on, on};
    for (uint32_t i = 1; i < samples; i++) {
        bool next = on ? hp_test_uniform(random) >= leave : hp_test_uniform(random) < enter;
        s.ones += next;
        s.runs += next && !on;
        on = next;
    }
    return s;
}

static bool holds(seen s, uint32_t samples, double p) {
    double half = (double)hp_error_half_width(hp_error_variance(s.ones, s.runs, samples, NS));
    return fabs((double)s.ones / samples - p) * (double)NS <= half;
}

static double markov_coverage(uint32_t samples, double p, double stay) {
    uint64_t random = 20;
    int covered = 0;
    for (int i = 0; i < SERIES; i++)
        covered += holds(markov(&random, samples, p, stay), samples, p);
    return 100.0 * covered / SERIES;
}

static void test_independent_and_markov(void **state) {
    (void)state;
    static const uint32_t samples[] = {300, 1000, 5000};
    static const double shares[] = {0.01, 0.03, 0.1, 0.3, 0.5, 0.8, 0.97}, stays[] = {0, 2, 4, 10, 30, 80};
    int cases = 0;
    for (size_t n = 0; n < sizeof samples / sizeof *samples; n++) {
        for (size_t p = 0; p < sizeof shares / sizeof *shares; p++) {
            for (size_t s = 0; s < sizeof stays / sizeof *stays; s++) {
                double stay = s == 0 ? 1 / (1 - shares[p]) : stays[s];
                if (stay * (1 - shares[p]) < 1 || samples[n] * shares[p] / stay < 5) /* not a chain that stays; too few runs */
                    continue;
                double covered = markov_coverage(samples[n], shares[p], stay);
                if (covered < 90 || covered > 99)
                    fail_msg("%u samples of share %.2f in runs of %.1f: %.1f %% covered", samples[n], shares[p], stay, covered);
                cases++;
            }
        }
    }
    assert_true(cases > 40);
}

/* Phases of one program, seen once: never, half of the time or always there. The interval is too wide for them, and must not be too narrow.
 */
static void test_phases(void **state) {
    (void)state;
    uint64_t random = 5;
    int covered = 0;
    for (int i = 0; i < SERIES; i++) {
        uint32_t phases = 2 + hp_test_below(&random, 9);
        seen s = {0, 0};
        bool on = false;
        double truth = 0;
        for (uint32_t phase = 0; phase < phases; phase++) {
            double p = (double)hp_test_below(&random, 3) / 2;
            truth += p / phases;
            for (int sample = 0; sample < 200; sample++) {
                bool next = hp_test_uniform(&random) < p;
                s.ones += next;
                s.runs += next && !on;
                on = next;
            }
        }
        covered += holds(s, phases * 200, truth);
    }
    if (covered * 100 < 98 * SERIES)
        fail_msg("%.1f %% covered", 100.0 * covered / SERIES);
}

static double width(uint64_t ones, uint64_t runs, uint64_t samples) {
    return sqrt(hp_error_variance(ones, runs, samples, NS));
}

/* Fewer runs: never narrower. More samples of the same kind: narrower. Never 0, never beyond the thread's time. */
static void test_shape(void **state) {
    (void)state;
    uint64_t random = 9;
    for (int i = 0; i < 20000; i++) {
        uint64_t samples = 1 + hp_test_below(&random, 3000), ones = hp_test_below(&random, (uint32_t)samples + 1);
        uint64_t most = ones < samples - ones + 1 ? ones : samples - ones + 1;
        uint64_t runs = most == 0 ? 0 : 1 + hp_test_below(&random, (uint32_t)most);
        double one = width(ones, runs, samples);
        assert_true(one > 0 && isfinite(one));
        assert_true(hp_error_half_width(one * one) <= NS);
        if (runs > 1)
            assert_true(width(ones, runs - 1, samples) >= one);
        assert_true(width(ones * 3, runs * 3, samples * 3) < one);
    }
    assert_true(width(5, 0, 10) >= width(5, 1, 10)); /* runs nobody counted */
    assert_true(width(20, 4, 10) > 0);
    assert_int_equal(hp_error_half_width(hp_error_variance(0, 0, 0, NS)), 0);
    assert_int_equal(hp_error_half_width(hp_error_of_whole(12345)), 12345);
    assert_int_equal(hp_error_half_width(INFINITY), UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_independent_and_markov), cmocka_unit_test(test_phases),
                                       cmocka_unit_test(test_shape)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
