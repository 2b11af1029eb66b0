/* SPDX-License-Identifier: MIT */
/* Comparing: who is whom across versions of the code, what is noise and what is not, and the stacks of both. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#include "base/sink.h"
#include "formats/collapsed/collapsed.h"
#include "support/random.h"
#include "tree/diff.h"

enum { GAP = 1000000, PAIRS = 60 }; /* 1 kHz */

static hp_profile *profile_new(void) {
    hp_profile *profile = NULL;
    assert_ok(hp_profile_new(&profile));
    assert_int_equal(hp_profile_add_thread(profile, "MainThread", 1), 0);
    return profile;
}

static hp_function function(const char *module, const char *name, const char *file, uint32_t line) {
    return (hp_function){HP_CODE_PYTHON, module, name, name, file, line};
}

/* `samples` in as many runs as independent ones make. */
static uint32_t sampled(hp_profile *profile, uint32_t parent, hp_function f, uint64_t samples) {
    uint32_t id = hp_profile_function(profile, &f), node = hp_tree_child(&profile->tree, parent, id);
    profile->tree.nodes[node].samples += samples;
    profile->tree.nodes[node].sampled += samples * GAP;
    profile->threads[0].samples += samples;
    profile->threads[0].sampled_ns += samples * GAP;
    return node;
}

static uint32_t exact(hp_profile *profile, uint32_t parent, hp_function f, uint64_t calls, uint64_t ns) {
    uint32_t node = hp_tree_child(&profile->tree, parent, hp_profile_function(profile, &f));
    profile->tree.nodes[node].calls += calls;
    profile->tree.nodes[node].exact += ns;
    return node;
}

static hp_profile *done(hp_profile *profile) {
    assert_ok(hp_profile_summarize(profile));
    assert_ok(hp_profile_check(profile, NULL));
    return profile;
}

static const char *name_of(const hp_profile *base, const hp_profile *new, const hp_diff_row *row) {
    return row->base != HP_NO_FUNCTION ? base->functions[base->rows[row->base].function].qualname
                                       : new->functions[new->rows[row->new].function].qualname;
}

static const hp_diff_row *row_of(const hp_diff *diff, const hp_profile *base, const hp_profile *new, const char *name) {
    for (uint32_t i = 0; i < diff->row_count; i++)
        if (strcmp(name_of(base, new, &diff->rows[i]), name) == 0)
            return &diff->rows[i];
    fail_msg("no row %s", name);
    return NULL;
}

static hp_diff *compared(const hp_profile *base, const hp_profile *new, hp_compare compare) {
    hp_diff *diff = NULL;
    assert_ok(hp_diff_new(base, new, compare, &diff, NULL));
    return diff;
}

/* --- who is whom ---------------------------------------------------------------------------------------------------------------------- */

static uint32_t partner(const hp_profile *base, const hp_profile *new, uint32_t row) {
    uint32_t *to_new = calloc(base->row_count + 1u, sizeof *to_new), *to_base = calloc(new->row_count + 1u, sizeof *to_base);
    assert_ok(hp_diff_match(base, new, to_new, to_base));
    uint32_t found = to_new[row];
    if (found != HP_NO_FUNCTION)
        assert_int_equal(to_base[found], row);
    free(to_new);
    free(to_base);
    return found;
}

/* The line of the function that the only function of `f`'s kind is matched with, 0 for none. */
static uint32_t matched_line(hp_function f, const hp_function *others, int count) {
    hp_profile *base = profile_new(), *new = profile_new();
    sampled(base, base->threads[0].root, f, 5);
    for (int i = 0; i < count; i++)
        sampled(new, new->threads[0].root, others[i], 5);
    done(base);
    done(new);
    uint32_t found = partner(base, new, base->row_count - 1);
    uint32_t line = found == HP_NO_FUNCTION ? 0 : new->functions[new->rows[found].function].first_line;
    hp_profile_free(base);
    hp_profile_free(new);
    return line;
}

static void test_matching(void **state) {
    (void)state;
    hp_function f = function("shop", "price", "/old/shop.py", 10);
    assert_int_equal(matched_line(f, &(hp_function){HP_CODE_PYTHON, "shop", "price", "price", "/new/shop.py", 99}, 1), 99);
    assert_int_equal(matched_line(f, &(hp_function){HP_CODE_PYTHON, "shop", "Cart.price", "price", "/old/shop.py", 10}, 1), 0);
    assert_int_equal(matched_line(f, &(hp_function){HP_CODE_C, "shop", "price", "price", "/old/shop.py", 10}, 1), 0);
    hp_function script = function("__main__", "main", "/a/run.py", 10);
    assert_int_equal(matched_line(script, &(hp_function){HP_CODE_PYTHON, "__main__", "main", "main", "/b/run.py", 12}, 1), 12);
    assert_int_equal(matched_line(script, &(hp_function){HP_CODE_PYTHON, "__main__", "main", "main", "/a/other.py", 10}, 1), 0);
    hp_function lambda = function("shop", "<lambda>", "shop.py", 30);
    const hp_function lambdas[] = {function("shop", "<lambda>", "shop.py", 20), function("shop", "<lambda>", "shop.py", 30)};
    assert_int_equal(matched_line(lambda, lambdas, 2), 30); /* its own place, whatever stands before it */
    lambda.first_line = 25;
    assert_int_equal(matched_line(lambda, lambdas, 2), 0); /* one of two: who could tell */
    assert_int_equal(matched_line(lambda, lambdas, 1), 20);
}

static void test_matching_in_order(void **state) {
    (void)state;
    hp_profile *base = profile_new(), *new = profile_new();
    for (uint32_t i = 0; i < 3; i++) {
        sampled(base, base->threads[0].root, function("m", "<lambda>", "m.py", 10 + i), 5);
        sampled(new, new->threads[0].root, function("m", "<lambda>", "m.py", 20 - i), 5); /* met the other way round */
    }
    done(base);
    done(new);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t row = base->row_count - 3 + i, found = partner(base, new, row);
        assert_int_equal(new->functions[new->rows[found].function].first_line, base->functions[base->rows[row].function].first_line + 8);
    }
    hp_profile_free(base);
    hp_profile_free(new);
}

/* --- what is noise -------------------------------------------------------------------------------------------------------------------- */

static double normal(uint64_t *random) {
    double a = 1.0 - hp_test_uniform(random), b = hp_test_uniform(random);
    return sqrt(-2.0 * log(a)) * cos(6.283185307179586 * b);
}

/* One run of `functions` functions: f0 has 40 % of the time, the others share the rest unequally. Each takes its time, as the machine and
 * it itself are this time, and comes and goes between two samples; what a sample stands for is the gap before it. */
static hp_profile *run(uint64_t *random, int functions, double machine, double by_itself, double slower) {
    double ends[64] = {0}, whole = 0.0;
    hp_profile *profile = profile_new();
    uint32_t nodes[64], main_node = sampled(profile, profile->threads[0].root, function("m", "main", "m.py", 1), 0);
    for (int i = 0; i < functions; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        nodes[i] = sampled(profile, main_node, function("m", name, "m.py", 10 + (uint32_t)i), 0);
        double ms = i == 0 ? 4000.0 * (1.0 + slower) : 6000.0 / functions * (i % 5 + 1) / 3.0;
        ends[i] = whole += ms * machine * exp(by_itself * normal(random));
    }
    for (double at = 0.0; at < whole;) {
        double gap = -log(1.0 - hp_test_uniform(random)), met = hp_test_uniform(random) * whole;
        int i = 0;
        while (ends[i] < met)
            i++;
        at += gap;
        profile->tree.nodes[nodes[i]].samples++;
        profile->tree.nodes[nodes[i]].sampled += (uint64_t)(gap * GAP);
        profile->threads[0].samples++;
        profile->threads[0].sampled_ns += (uint64_t)(gap * GAP);
    }
    return done(profile);
}

typedef struct tally {
    int rows, changed, found;
} tally;

static tally many(int functions, double machine, double by_itself, double slower, hp_compare compare) {
    tally t = {0};
    uint64_t random = 11;
    for (int i = 0; i < PAIRS; i++) {
        hp_profile *base = run(&random, functions, 1.0, by_itself, 0.0), *new = run(&random, functions, machine, by_itself, slower);
        hp_diff *diff = compared(base, new, compare);
        t.rows += (int)diff->tested;
        t.changed += (int)diff->changed;
        t.found += row_of(diff, base, new, "f0")->self.significant;
        hp_diff_free(diff);
        hp_profile_free(base);
        hp_profile_free(new);
    }
    return t;
}

/* Pairs of runs of one program. The numbers are those of a fixed seed: they do not depend on the machine. */
static void test_same_program(void **state) {
    (void)state;
    static const struct {
        int functions;
        double machine, by_itself;
    } cases[] = {{1, 1.0, 0.01}, {3, 1.0, 0.01}, {12, 1.0, 0.0}, {12, 1.06, 0.01}, {40, 0.9, 0.03}, {40, 1.5, 0.05}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tally t = many(cases[i].functions, cases[i].machine, cases[i].by_itself, 0.0, HP_COMPARE_AUTO);
        print_message("%d functions, machine %g, by itself %g: %d of %d changed\n", cases[i].functions, cases[i].machine,
                      cases[i].by_itself, t.changed, t.rows);
        assert_true(t.changed * 20 <= t.rows);
    }
}

/* f0 has 40 % of 10 s at 1 kHz and takes 10 % longer. */
static void test_ten_percent_slower(void **state) {
    (void)state;
    static const struct {
        int functions;
        double machine;
        int least; /* of PAIRS */
    } cases[] = {{1, 1.0, 57}, {3, 1.0, 40}, {12, 1.0, 28}, {12, 1.04, 34}, {40, 0.95, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tally t = many(cases[i].functions, cases[i].machine, 0.0, 0.1, HP_COMPARE_AUTO);
        print_message("%d functions, machine %g: found %d times of 60; %d others\n", cases[i].functions, cases[i].machine, t.found,
                      t.changed - t.found);
        assert_true(t.found >= cases[i].least);
        assert_true((t.changed - t.found) * 20 <= t.rows);
    }
}

static void test_compare(void **state) {
    (void)state;
    uint64_t random = 3;
    hp_profile *base = run(&random, 12, 1.0, 0.0, 0.0), *new = run(&random, 12, 2.0, 0.0, 0.0);
    hp_diff *diff = compared(base, new, HP_COMPARE_AUTO);
    assert_true(fabs(diff->scale - 2.0) < 0.1);
    assert_int_equal(diff->changed, 0);
    hp_diff_free(diff);
    diff = compared(base, new, HP_COMPARE_TIME);
    assert_true(diff->scale == 1.0 && diff->changed >= 11);
    hp_diff_free(diff);
    diff = compared(base, new, HP_COMPARE_SHARE);
    assert_true(fabs(diff->scale - (double)diff->whole_new_ns / (double)diff->whole_base_ns) < 1e-12);
    assert_int_equal(diff->changed, 0);
    hp_diff_free(diff);
    new->meta.clock = HP_CLOCK_CPU;
    hp_error error = {0};
    assert_int_equal(hp_diff_new(base, new, HP_COMPARE_AUTO, &diff, &error), HP_BAD_VALUE);
    assert_non_null(strstr(error.text, "clock"));
    hp_profile_free(base);
    hp_profile_free(new);
}

static void test_numbers(void **state) {
    (void)state;
    hp_profile *base = profile_new(), *new = profile_new();
    uint32_t old_main = sampled(base, base->threads[0].root, function("m", "main", "m.py", 1), 0);
    uint32_t new_main = sampled(new, new->threads[0].root, function("m", "main", "m.py", 1), 0);
    sampled(base, old_main, function("m", "same", "m.py", 9), 5000);
    sampled(new, new_main, function("m", "same", "m.py", 9), 5000);
    sampled(base, old_main, function("m", "gone", "m.py", 19), 1000);
    sampled(new, new_main, function("m", "fresh", "m.py", 19), 1000);
    sampled(new, new_main, function("m", "rare", "m.py", 29), 9);
    exact(base, old_main, function("m", "traced", "m.py", 39), 10, 1000000000);
    exact(new, new_main, function("m", "traced", "m.py", 39), 10, 2000000000);
    done(base);
    done(new);
    hp_diff *diff = compared(base, new, HP_COMPARE_AUTO);
    const hp_diff_row *same = row_of(diff, base, new, "same"), *gone = row_of(diff, base, new, "gone"),
                      *fresh = row_of(diff, base, new, "fresh");
    const hp_diff_row *rare = row_of(diff, base, new, "rare"), *traced = row_of(diff, base, new, "traced"),
                      *root = row_of(diff, base, new, "main");
    assert_true(diff->scale == 1.0 && diff->run_to_run == HP_DIFF_LEAST_DEVIATION); /* two functions do not make a scale */
    assert_true(!same->self.significant && same->self.p > 0.3 && fabs(same->self.relative) < 0.02);
    assert_true(gone->new == HP_NO_FUNCTION && gone->self.significant && gone->self.relative == -1.0);
    assert_true(fresh->base == HP_NO_FUNCTION && fresh->self.significant && isinf(fresh->self.relative));
    assert_true(!rare->self.significant && rare->self.p == 1.0); /* nine samples tell nothing */
    assert_true(traced->self.significant && fabs(traced->self.relative - 1.0) < 0.02);
    assert_int_equal(traced->self.new_ns - traced->self.base_ns, 1000000000);
    assert_true(traced->self.error_ns > 0.0 && traced->self.error_ns < 1e8);
    assert_int_equal(root->total.base_ns, 7000000000);
    assert_int_equal(root->total.new_ns, 8009000000);
    assert_int_equal(diff->whole_new_ns, 8009000000);
    assert_false(diff->unrelated);
    for (uint32_t i = 0; i < diff->row_count; i++)
        assert_true(diff->rows[i].self.q > 0.0 && diff->rows[i].self.q <= 1.0 && diff->rows[i].total.q <= 1.0);
    hp_diff_free(diff);
    hp_profile_free(base);
    hp_profile_free(new);
}

static void test_unrelated(void **state) {
    (void)state;
    hp_profile *base = profile_new(), *new = profile_new(), *empty = done(profile_new());
    sampled(base, base->threads[0].root, function("shop", "price", "shop.py", 1), 900);
    sampled(base, base->threads[0].root, function("json", "loads", "json.py", 1), 100);
    sampled(new, new->threads[0].root, function("blog", "render", "blog.py", 1), 900);
    sampled(new, new->threads[0].root, function("json", "loads", "json.py", 1), 100);
    done(base);
    done(new);
    hp_diff *diff = compared(base, new, HP_COMPARE_AUTO);
    assert_true(diff->unrelated && fabs(diff->common_base - 0.1) < 1e-12);
    hp_diff_free(diff);
    diff = compared(base, empty, HP_COMPARE_SHARE);
    assert_true(diff->unrelated && diff->common_base == 0.0 && diff->scale == 1.0);
    hp_diff_free(diff);
    diff = compared(empty, empty, HP_COMPARE_SHARE);
    assert_false(diff->unrelated);
    hp_diff_free(diff);
    hp_profile_free(base);
    hp_profile_free(new);
    hp_profile_free(empty);
}

/* --- stacks --------------------------------------------------------------------------------------------------------------------------- */

static char *stacks(const hp_profile *base, const hp_profile *new, double scale) {
    hp_profile *both = NULL;
    hp_sink *sink = NULL;
    size_t size = 0;
    assert_ok(hp_diff_stacks(base, new, scale, &both));
    assert_ok(hp_sink_memory(&sink));
    assert_ok(hp_collapsed_write_both(sink, both, NULL));
    const uint8_t *bytes = hp_sink_bytes(sink, &size);
    char *text = calloc(size + 1, 1);
    memcpy(text, bytes, size);
    hp_sink_free(sink);
    hp_profile_free(both);
    return text;
}

static void test_stacks(void **state) {
    (void)state;
    hp_profile *base = profile_new(), *new = profile_new();
    uint32_t f = sampled(base, base->threads[0].root, function("m", "f", "m.py", 10), 3);
    sampled(base, f, function("m", "gone", "m.py", 20), 1);
    f = exact(new, new->threads[0].root, function("m", "f", "m.py", 15), 1, 7);
    sampled(new, f, function("m", "fresh", "m.py", 20), 2);
    done(base);
    done(new);
    char *text = stacks(base, new, 1.0), *scaled = stacks(base, new, 2.0);
    assert_non_null(strstr(text, "<thread MainThread #1>;m.f (m.py:15) 3000000 7\n"));
    assert_non_null(strstr(text, "<thread MainThread #1>;m.f (m.py:15);m.gone (m.py:20) 1000000 0\n"));
    assert_non_null(strstr(text, "<thread MainThread #1>;m.f (m.py:15);m.fresh (m.py:20) 0 2000000\n"));
    assert_non_null(strstr(scaled, "m.fresh (m.py:20) 0 1000000\n"));
    free(text);
    free(scaled);
    hp_profile_free(base);
    hp_profile_free(new);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching),     cmocka_unit_test(test_matching_in_order),
        cmocka_unit_test(test_same_program), cmocka_unit_test(test_ten_percent_slower),
        cmocka_unit_test(test_compare),      cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_unrelated),    cmocka_unit_test(test_stacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
