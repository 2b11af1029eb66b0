/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "tree/error_bars.h"
#include "tree/profile.h"

static hp_profile *profile;

static int setup(void **state) {
    (void)state;
    return hp_profile_new(&profile) == HP_OK && hp_profile_add_thread(profile, "Main", 1) == 0 ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    hp_profile_free(profile);
    return 0;
}

static uint32_t function(const char *name) {
    hp_function f = {HP_CODE_PYTHON, "m", name, name, "m.py", 1};
    return hp_profile_function(profile, &f);
}

static uint32_t node(uint32_t parent, const char *name, uint64_t calls, uint64_t exact) {
    uint32_t id = hp_tree_child(&profile->tree, parent, function(name));
    profile->tree.nodes[id].calls = calls;
    profile->tree.nodes[id].exact = exact;
    return id;
}

static const hp_row *row(const char *name) {
    uint32_t id = function(name);
    for (uint32_t i = 0; i < profile->row_count; i++) {
        if (profile->rows[i].function == id)
            return &profile->rows[i];
    }
    return NULL;
}

static const hp_edge *edge(const char *caller, const char *callee) {
    uint32_t from = function(caller), to = function(callee);
    for (uint32_t i = 0; i < profile->edge_count; i++) {
        if (profile->edges[i].caller == from && profile->edges[i].callee == to)
            return &profile->edges[i];
    }
    return NULL;
}

/* f(1) -> g(2) -> f(3) -> g(4), each one call of the given self time: what recursion counts once. */
static void test_recursion(void **state) {
    (void)state;
    uint32_t f = node(profile->threads[0].root, "f", 1, 1);
    uint32_t g = node(f, "g", 1, 2);
    uint32_t f2 = node(g, "f", 1, 3);
    node(f2, "g", 1, 4);
    assert_ok(hp_profile_summarize(profile));
    assert_ok(hp_profile_check(profile, NULL));
    assert_int_equal(row("f")->total_exact, 10);
    assert_int_equal(row("f")->self_exact, 4);
    assert_int_equal(row("f")->calls, 2);
    assert_int_equal(row("f")->primitive_calls, 1);
    assert_int_equal(row("f")->measured, HP_EXACT);
    assert_int_equal(row("g")->total_exact, 9);
    assert_int_equal(edge("f", "g")->total_exact, 9);
    assert_int_equal(edge("f", "g")->self_exact, 6);
    assert_int_equal(edge("f", "g")->calls, 2);
    assert_int_equal(edge("f", "g")->primitive_calls, 1);
    assert_int_equal(edge("g", "f")->total_exact, 7);
    assert_int_equal(edge("g", "f")->primitive_calls, 0);
    assert_int_equal(profile->edges[profile->edge_count - 1].caller, HP_NO_FUNCTION);
    assert_int_equal(profile->edges[profile->edge_count - 1].total_exact, 10);
}

static void test_measured(void **state) {
    (void)state;
    uint32_t root = profile->threads[0].root;
    uint32_t context = node(root, "context", 0, 0);
    node(context, "exact", 3, 30);
    uint32_t sampled = node(root, "sampled", 0, 0);
    profile->tree.nodes[sampled].samples = 2;
    profile->tree.nodes[sampled].sampled = 20;
    uint32_t mixed = node(sampled, "mixed", 1, 5);
    profile->tree.nodes[mixed].samples = 1;
    uint32_t partial = node(root, "partial", 1, 5);
    profile->tree.nodes[partial].flags = HP_NODE_PARTIAL;
    node(root, "passed", 1, 5);
    node(context, "passed", 0, 0);
    node(root, "late", 0, 5);
    assert_ok(hp_profile_summarize(profile));
    assert_ok(hp_profile_check(profile, NULL));
    assert_int_equal(row("context")->measured, HP_SAMPLED);
    assert_int_equal(row("context")->total_exact, 30);
    assert_int_equal(row("exact")->measured, HP_EXACT);
    assert_int_equal(row("sampled")->measured, HP_SAMPLED);
    assert_int_equal(row("mixed")->measured, HP_MIXED);
    assert_int_equal(row("partial")->measured, HP_MIXED);
    assert_int_equal(row("passed")->measured, HP_MIXED);
    assert_int_equal(row("late")->measured, HP_MIXED);
}

static bool above_has(uint32_t id, uint32_t f, uint32_t caller) {
    const hp_node *nodes = profile->tree.nodes;
    for (id = nodes[id].parent; id != 0; id = nodes[id].parent) {
        bool same_edge = caller == HP_NO_FUNCTION || nodes[nodes[id].parent].function == caller;
        if (nodes[id].function == f && same_edge)
            return true;
    }
    return false;
}

/* Random trees against the definition, node by node. */
static void test_against_the_definition(void **state) {
    (void)state;
    enum { NODES = 400, NAMES = 6 };
    static const char *const names[NAMES] = {"a", "b", "c", "d", "e", "f"};
    srand(7);
    for (int i = 0; i < NODES; i++) {
        uint32_t parent = 1 + (uint32_t)rand() % (profile->tree.count - 1);
        node(parent, names[rand() % NAMES], 1 + (uint64_t)rand() % 5, (uint64_t)rand() % 1000);
    }
    assert_ok(hp_profile_summarize(profile));
    assert_ok(hp_profile_check(profile, NULL));
    const hp_node *nodes = profile->tree.nodes;
    uint64_t *inclusive = calloc(profile->tree.count, sizeof *inclusive);
    for (uint32_t i = profile->tree.count - 1; i > 0; i--)
        for (uint32_t at = i; at != HP_NO_NODE; at = nodes[at].parent)
            inclusive[at] += nodes[i].exact;
    for (int a = 0; a < NAMES; a++) {
        uint64_t total = 0, primitive = 0;
        for (uint32_t i = 1; i < profile->tree.count; i++) {
            if (nodes[i].function != function(names[a]) || above_has(i, nodes[i].function, HP_NO_FUNCTION))
                continue;
            total += inclusive[i];
            primitive += nodes[i].calls;
        }
        assert_int_equal(row(names[a])->total_exact, total);
        assert_int_equal(row(names[a])->primitive_calls, primitive);
        for (int b = 0; b < NAMES && edge(names[b], names[a]) != NULL; b++) {
            uint64_t edge_total = 0;
            for (uint32_t i = 1; i < profile->tree.count; i++) {
                uint32_t caller = nodes[nodes[i].parent].function;
                if (nodes[i].function == function(names[a]) && caller == function(names[b]) && !above_has(i, nodes[i].function, caller))
                    edge_total += inclusive[i];
            }
            assert_int_equal(edge(names[b], names[a])->total_exact, edge_total);
        }
    }
    free(inclusive);
}

static void test_deep(void **state) {
    (void)state;
    uint32_t at = profile->threads[0].root;
    for (int i = 0; i < 200000; i++)
        at = node(at, i % 2 ? "f" : "g", 1, 1);
    assert_ok(hp_profile_summarize(profile));
    assert_int_equal(row("g")->total_exact, 200000);
    assert_int_equal(row("g")->primitive_calls, 1);
}

static void test_errors(void **state) {
    (void)state;
    double independent = hp_error_variance(500, 250, 1000, 1000000);
    double phases = hp_error_variance(500, 10, 1000, 1000000);
    assert_true(phases < independent / 20);
    assert_in_range(hp_error_half_width(independent), 42900, 43200);                             /* 1.96 * sqrt(1.927 * 250.6) of 1 us */
    assert_in_range(hp_error_half_width(hp_error_variance(1000, 1, 1000, 1000000)), 2800, 2850); /* 1.96 * sqrt(1.665 * 1.25) */
    assert_true(hp_error_variance(0, 0, 1000, 1000000) > 0);
    assert_int_equal(hp_error_half_width(hp_error_variance(0, 0, 0, 5)), 0);
    uint32_t id = node(profile->threads[0].root, "f", 0, 0);
    profile->tree.nodes[id].samples = 500;
    profile->tree.nodes[id].sampled = 500000;
    profile->threads[0].samples = 1000;
    profile->threads[0].sampled_ns = 1000000;
    hp_estimate estimate = {0, function("f"), 500, 250, 500, 10, 0, 0};
    assert_ok(hp_profile_add_estimate(profile, &estimate));
    assert_ok(hp_profile_summarize(profile));
    assert_ok(hp_profile_check(profile, NULL));
    assert_int_equal(row("f")->self_error_ns, hp_error_half_width(independent));
    assert_int_equal(row("f")->total_error_ns, hp_error_half_width(phases));
}

/* One call of a target was traced, and perhaps many were not: what no sample met is in the error, by the samples' gaps or by the rate;
 * where nobody sampled there is none. */
static void test_a_bound_has_the_error_of_what_was_not_met(void **state) {
    (void)state;
    enum { GAP = 10000000 };
    uint32_t target = node(profile->threads[0].root, "target", 1, 27000), other = node(profile->threads[0].root, "other", 0, 0);
    profile->tree.nodes[target].flags = HP_NODE_PARTIAL;
    assert_ok(hp_profile_summarize(profile));
    assert_int_equal(row("target")->measured, HP_MIXED);
    assert_int_equal(row("target")->total_error_ns, 0);
    profile->meta.rate_hz = 1e9 / GAP;
    assert_ok(hp_profile_summarize(profile));
    assert_in_range(row("target")->self_error_ns, 2.72 * GAP, 2.73 * GAP);
    assert_int_equal(row("target")->total_error_ns, row("target")->self_error_ns);
    profile->tree.nodes[other].samples = profile->threads[0].samples = 3; /* whose time was cut to nothing */
    assert_ok(hp_profile_summarize(profile));
    assert_in_range(row("target")->self_error_ns, 2.72 * GAP, 2.73 * GAP);
    profile->tree.nodes[other].samples = profile->threads[0].samples = 100;
    profile->tree.nodes[other].sampled = 200ull * GAP;
    assert_ok(hp_profile_summarize(profile));
    assert_in_range(row("target")->self_error_ns, 2.72 * 2 * GAP, 2.73 * 2 * GAP);
    profile->tree.nodes[target].flags = 0;
    assert_ok(hp_profile_summarize(profile));
    assert_int_equal(row("target")->measured, HP_EXACT);
    assert_int_equal(row("target")->total_error_ns, 0);
}

/* A hidden callee's samples are its caller's, and nobody counted their runs: they do not pass for a part of the caller's few. */
static void test_samples_beyond_the_estimate(void **state) {
    (void)state;
    uint32_t id = node(profile->threads[0].root, "f", 0, 0);
    profile->tree.nodes[id].samples = 500;
    profile->tree.nodes[id].sampled = 500000;
    profile->threads[0].samples = 1000;
    profile->threads[0].sampled_ns = 1000000;
    hp_estimate estimate = {0, function("f"), 100, 1, 500, 10, 0, 0};
    assert_ok(hp_profile_add_estimate(profile, &estimate));
    assert_ok(hp_profile_summarize(profile));
    assert_int_equal(row("f")->self_error_ns, hp_error_half_width(hp_error_variance(500, 1 + 241, 1000, 1000000))); /* 400 * 601 / 1000 */
    assert_int_equal(row("f")->total_error_ns, hp_error_half_width(hp_error_variance(500, 10, 1000, 1000000)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recursion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(test_against_the_definition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_bound_has_the_error_of_what_was_not_met, setup, teardown),
        cmocka_unit_test_setup_teardown(test_samples_beyond_the_estimate, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
