/* SPDX-License-Identifier: MIT */
/* Random trees against slow references that follow the definitions word by word: a tree is a bag of stacks with values. */
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/random.h"
#include "tree/error_bars.h"
#include "tree/profile.h"

enum { TREES = 60, NAMES = 7, DEEPEST = 64 };

typedef struct stack {
    uint32_t functions[DEEPEST]; /* from the thread to the leaf */
    uint32_t depth;
    hp_node sum;
} stack;

/* Functions 1 to NAMES; threads are functions above them. Every eighth value is 0, so that nodes without any occur too. */
static void fill(hp_tree *tree, uint64_t *random, uint32_t nodes) {
    for (uint32_t tries = 0; tree->count < nodes && tries < 8 * nodes; tries++) {
        uint32_t node = hp_tree_child(tree, 0, NAMES + 1 + hp_test_below(random, 3));
        for (uint32_t left = hp_test_below(random, DEEPEST - 4); left > 0 && hp_test_below(random, 8) > 0; left--)
            node = hp_tree_child(tree, node, 1 + hp_test_below(random, NAMES));
        hp_node *own = &tree->nodes[node];
        own->samples += hp_test_below(random, 8);
        own->sampled = own->samples * 1000;
        own->calls += hp_test_below(random, 8);
        own->exact += hp_test_below(random, 8) * 100;
        own->overhead += hp_test_below(random, 8);
        own->flags |= hp_test_below(random, 2);
    }
}

static void path_of(const hp_tree *tree, uint32_t node, const uint32_t *map, stack *out) {
    uint32_t reversed[DEEPEST];
    out->depth = 0;
    for (; node != 0; node = tree->nodes[node].parent) {
        uint32_t function = map == NULL ? tree->nodes[node].function : map[tree->nodes[node].function];
        if (function != HP_MAP_HIDE)
            reversed[out->depth++] = function;
    }
    for (uint32_t i = 0; i < out->depth; i++)
        out->functions[i] = reversed[out->depth - 1 - i];
}

static stack *find_stack(stack *bag, uint32_t *count, const stack *wanted) {
    for (uint32_t i = 0; i < *count; i++) {
        if (bag[i].depth == wanted->depth && memcmp(bag[i].functions, wanted->functions, wanted->depth * sizeof(uint32_t)) == 0)
            return &bag[i];
    }
    bag[*count] = *wanted;
    bag[*count].sum = (hp_node){0};
    return &bag[(*count)++];
}

static void into_bag(stack *bag, uint32_t *count, const hp_tree *tree, const uint32_t *map) {
    for (uint32_t i = 1; i < tree->count; i++) {
        const hp_node *node = &tree->nodes[i];
        stack path;
        path_of(tree, i, map, &path);
        hp_node *sum = &find_stack(bag, count, &path)->sum;
        bool hidden = map != NULL && map[node->function] == HP_MAP_HIDE;
        sum->samples += node->samples;
        sum->sampled += node->sampled;
        sum->exact += node->exact;
        sum->overhead += node->overhead;
        sum->calls += hidden ? 0 : node->calls;
        sum->flags |= hidden ? 0 : node->flags;
    }
}

static void assert_same_values(const hp_node *a, const hp_node *b) {
    assert_int_equal(a->samples, b->samples);
    assert_int_equal(a->sampled, b->sampled);
    assert_int_equal(a->calls, b->calls);
    assert_int_equal(a->exact, b->exact);
    assert_int_equal(a->overhead, b->overhead);
    assert_int_equal(a->flags, b->flags);
}

/* Functions fall together, vanish, and keep apart; threads fall together. */
static void draw_map(uint32_t *map, uint64_t *random) {
    map[0] = 0;
    for (uint32_t f = 1; f <= NAMES; f++)
        map[f] = hp_test_below(random, 4) == 0 ? HP_MAP_HIDE : 1 + hp_test_below(random, NAMES);
    for (uint32_t f = NAMES + 1; f <= NAMES + 3; f++)
        map[f] = NAMES + 1 + hp_test_below(random, 2);
}

static void test_add_is_the_sum_of_stacks(void **state) {
    (void)state;
    enum { NODES = 300 };
    stack *wanted = malloc(2 * NODES * sizeof *wanted), *got = malloc(2 * NODES * sizeof *got);
    for (uint64_t seed = 1; seed <= TREES; seed++) {
        uint64_t random = seed;
        uint32_t map[NAMES + 4], wanted_count = 0, got_count = 0;
        hp_tree from, into;
        assert_ok(hp_tree_init(&from, 0, 0));
        assert_ok(hp_tree_init(&into, 0, 0));
        fill(&from, &random, NODES);
        fill(&into, &random, hp_test_below(&random, NODES));
        draw_map(map, &random);
        into_bag(wanted, &wanted_count, &into, NULL);
        into_bag(wanted, &wanted_count, &from, map);
        assert_ok(hp_tree_add(&into, &from, map, 1.0, NULL));
        assert_ok(hp_tree_check(&into));
        into_bag(got, &got_count, &into, NULL);
        assert_int_equal(got_count, wanted_count);
        for (uint32_t i = 0; i < got_count; i++)
            assert_same_values(&got[i].sum, &find_stack(wanted, &wanted_count, &got[i])->sum);
        assert_int_equal(got_count, wanted_count); /* find_stack added none */
        hp_tree_fini(&from);
        hp_tree_fini(&into);
    }
    free(wanted);
    free(got);
}

static hp_node sum_of(const hp_tree *tree) {
    hp_node sum = {0};
    for (uint32_t i = 1; i < tree->count; i++) {
        sum.samples += tree->nodes[i].samples;
        sum.sampled += tree->nodes[i].sampled;
        sum.calls += tree->nodes[i].calls;
        sum.exact += tree->nodes[i].exact;
        sum.overhead += tree->nodes[i].overhead;
        sum.flags |= tree->nodes[i].flags;
    }
    return sum;
}

static uint32_t thread_of(const hp_tree *tree, uint32_t node) {
    while (tree->nodes[node].parent != 0)
        node = tree->nodes[node].parent;
    return node;
}

static uint64_t samples_of_thread(const hp_tree *tree, uint32_t function) {
    uint64_t samples = 0;
    for (uint32_t i = 1; i < tree->count; i++)
        samples += tree->nodes[thread_of(tree, i)].function == function ? tree->nodes[i].samples : 0;
    return samples;
}

static void assert_threads_are_equal(const hp_tree *a, const hp_tree *b) {
    for (uint32_t f = NAMES + 1; f <= NAMES + 3; f++)
        assert_int_equal(samples_of_thread(a, f), samples_of_thread(b, f));
}

/* However small `into` is, nothing is lost, and each thread keeps what is its own. */
static void test_add_into_a_full_tree_loses_nothing(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= TREES; seed++) {
        uint64_t random = seed;
        uint32_t map[NAMES + 4];
        hp_tree from, into;
        assert_ok(hp_tree_init(&from, 20 + (uint32_t)seed * 4, 0));
        assert_ok(hp_tree_init(&into, 10 + hp_test_below(&random, 60), 0));
        fill(&from, &random, 1000);
        for (uint32_t f = 0; f < NAMES + 4; f++)
            map[f] = f;
        hp_node wanted = sum_of(&from), got;
        assert_ok(hp_tree_add(&into, &from, map, 1.0, NULL));
        assert_ok(hp_tree_check(&into));
        got = sum_of(&into);
        assert_same_values(&got, &wanted);
        assert_true(into.count <= into.limit + 2 * 3 && into.overflowed >= from.overflowed);
        assert_threads_are_equal(&into, &from);
        hp_tree_fini(&from);
        hp_tree_fini(&into);
    }
}

static hp_profile *make_profile(uint64_t *random) {
    static const char *const names[NAMES] = {"a", "b", "c", "d", "e", "f", "g"};
    hp_profile *p = NULL;
    uint32_t map[NAMES + 4] = {0};
    hp_tree tree;
    assert_ok(hp_profile_new(&p));
    for (uint32_t i = 0; i < NAMES; i++)
        map[i + 1] = hp_profile_function(p, &(hp_function){HP_CODE_PYTHON, "m", names[i], names[i], "m.py", 1});
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(hp_profile_add_thread(p, "T", i), i);
        map[NAMES + 1 + i] = p->tree.nodes[p->threads[i].root].function;
    }
    assert_ok(hp_tree_init(&tree, 0, 0));
    fill(&tree, random, 50 + hp_test_below(random, 400));
    assert_ok(hp_tree_add(&p->tree, &tree, map, 1.0, NULL));
    hp_tree_fini(&tree);
    return p;
}

/* Whether the pair (or, with ANY_CALLER, the function alone) is at `node` or above it. */
enum { ANY_CALLER = 0x7fffffff };
static bool is_on(const hp_tree *tree, uint32_t node, uint32_t caller, uint32_t callee) {
    for (; node != HP_NO_NODE && node != 0; node = tree->nodes[node].parent) {
        bool same_caller = caller == ANY_CALLER || tree->nodes[tree->nodes[node].parent].function == caller;
        if (tree->nodes[node].function == callee && same_caller)
            return true;
    }
    return false;
}

/* Self: what lies at it. Total: every stack that it is on, once. Primitive: calls with no such function above. */
static hp_row slow_row(const hp_tree *tree, uint32_t caller, uint32_t callee) {
    hp_row row = {0};
    for (uint32_t i = 1; i < tree->count; i++) {
        const hp_node *node = &tree->nodes[i];
        bool here = node->function == callee && (caller == ANY_CALLER || tree->nodes[node->parent].function == caller);
        bool on = is_on(tree, i, caller, callee);
        row.samples += here ? node->samples : 0;
        row.calls += here ? node->calls : 0;
        row.primitive_calls += here && !is_on(tree, node->parent, ANY_CALLER, callee) ? node->calls : 0;
        row.self_sampled += here ? node->sampled : 0;
        row.self_exact += here ? node->exact : 0;
        row.total_sampled += on ? node->sampled : 0;
        row.total_exact += on ? node->exact : 0;
    }
    return row;
}

static bool occurs(const hp_tree *tree, uint32_t caller, uint32_t callee) {
    for (uint32_t i = 1; i < tree->count; i++) {
        if (tree->nodes[i].function == callee && (caller == ANY_CALLER || tree->nodes[tree->nodes[i].parent].function == caller))
            return true;
    }
    return false;
}

static uint32_t check_row(const hp_profile *p, uint32_t at, uint32_t function) {
    if (!occurs(&p->tree, ANY_CALLER, function))
        return at;
    const hp_row *row = &p->rows[at];
    hp_row wanted = slow_row(&p->tree, ANY_CALLER, function);
    assert_true(at < p->row_count);
    assert_int_equal(row->function, function);
    assert_int_equal(row->samples, wanted.samples);
    assert_int_equal(row->calls, wanted.calls);
    assert_int_equal(row->primitive_calls, wanted.primitive_calls);
    assert_int_equal(row->self_sampled, wanted.self_sampled);
    assert_int_equal(row->self_exact, wanted.self_exact);
    assert_int_equal(row->total_sampled, wanted.total_sampled);
    assert_int_equal(row->total_exact, wanted.total_exact);
    return at + 1;
}

static uint32_t check_edge(const hp_profile *p, uint32_t at, uint32_t caller, uint32_t callee) {
    if (!occurs(&p->tree, caller, callee))
        return at;
    const hp_edge *edge = &p->edges[at];
    hp_row wanted = slow_row(&p->tree, caller, callee);
    assert_true(at < p->edge_count);
    assert_int_equal(edge->caller, caller);
    assert_int_equal(edge->callee, callee);
    assert_int_equal(edge->calls, wanted.calls);
    assert_int_equal(edge->primitive_calls, wanted.primitive_calls);
    assert_int_equal(edge->self_sampled, wanted.self_sampled);
    assert_int_equal(edge->self_exact, wanted.self_exact);
    assert_int_equal(edge->total_sampled, wanted.total_sampled);
    assert_int_equal(edge->total_exact, wanted.total_exact);
    return at + 1;
}

static void test_rows_and_edges(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= TREES; seed++) {
        uint64_t random = seed * 77;
        uint32_t row = 0, edge = 0;
        hp_profile *p = make_profile(&random);
        assert_ok(hp_profile_summarize(p));
        assert_ok(hp_profile_check(p, NULL));
        for (uint32_t f = 0; f < p->function_count; f++)
            row = check_row(p, row, f);
        for (uint32_t caller = 0; caller <= p->function_count; caller++)
            for (uint32_t callee = 0; callee < p->function_count; callee++)
                edge = check_edge(p, edge, caller == p->function_count ? HP_NO_FUNCTION : caller, callee);
        assert_int_equal(row, p->row_count);
        assert_int_equal(edge, p->edge_count);
        hp_profile_free(p);
    }
}

static uint64_t most(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* What the tree alone tells: every node one run. */
static hp_estimate slow_estimate(const hp_profile *p, uint32_t thread, uint32_t function) {
    hp_estimate e = {thread, function, 0, 0, 0, 0, 0, 0};
    const hp_node *nodes = p->tree.nodes;
    for (uint32_t i = 1; i < p->tree.count; i++) {
        if (thread_of(&p->tree, i) != p->threads[thread].root)
            continue;
        uint64_t inclusive = 0;
        for (uint32_t below = i; below < p->tree.count; below++) {
            uint32_t up = below;
            while (up > i)
                up = nodes[up].parent;
            inclusive += up == i ? nodes[below].samples : 0;
        }
        if (nodes[i].function != function)
            continue;
        e.self_samples += nodes[i].samples;
        e.self_runs += nodes[i].samples != 0;
        if (!is_on(&p->tree, nodes[i].parent, ANY_CALLER, function)) {
            e.total_samples += inclusive;
            e.total_runs += inclusive != 0;
        }
    }
    return e;
}

/* Somewhere in the thread activations of it were not counted, and no sample met them. */
static bool is_bound(const hp_profile *p, uint32_t thread, uint32_t function) {
    for (uint32_t i = 1; i < p->tree.count; i++) {
        const hp_node *node = &p->tree.nodes[i];
        if (node->function == function && thread_of(&p->tree, i) == p->threads[thread].root &&
            ((node->flags & HP_NODE_PARTIAL) || node->calls == 0))
            return true;
    }
    return false;
}

/* Some functions with estimates, some without: no sampled row claims to be exact, and each has the error its definition gives. */
static void test_errors_of_rows(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t random = seed * 31;
        hp_profile *p = make_profile(&random);
        double self[32] = {0}, total[32] = {0};
        assert_true(p->function_count <= 32);
        for (uint32_t t = 0; t < 3; t++) {
            uint32_t root_function = p->tree.nodes[p->threads[t].root].function;
            p->threads[t].samples = slow_estimate(p, t, root_function).total_samples;
            p->threads[t].sampled_ns = p->threads[t].samples * 1000;
            for (uint32_t f = 1; f < p->function_count; f++) {
                hp_estimate e = slow_estimate(p, t, f);
                if (e.total_samples == 0 && !is_bound(p, t, f))
                    continue;
                if (e.total_samples > 0 && hp_test_below(&random, 2) == 0) {
                    e.self_runs = e.self_samples == 0 ? 0 : 1 + hp_test_below(&random, (uint32_t)e.self_samples);
                    e.total_runs = 1 + hp_test_below(&random, (uint32_t)e.total_samples);
                    assert_ok(hp_profile_add_estimate(p, &e));
                } else {
                    e.self_runs = most(e.self_runs, hp_error_independent_runs(e.self_samples, p->threads[t].samples));
                    e.total_runs = most(e.total_runs, hp_error_independent_runs(e.total_samples, p->threads[t].samples));
                }
                self[f] += hp_error_variance(e.self_samples, e.self_runs, p->threads[t].samples, p->threads[t].sampled_ns);
                if (f != root_function)
                    total[f] += hp_error_variance(e.total_samples, e.total_runs, p->threads[t].samples, p->threads[t].sampled_ns);
            }
        }
        assert_ok(hp_profile_summarize(p));
        assert_ok(hp_profile_check(p, NULL));
        for (uint32_t i = 0; i < p->row_count; i++) {
            const hp_row *row = &p->rows[i];
            uint64_t wanted_self = row->measured == HP_EXACT ? 0 : hp_error_half_width(self[row->function]);
            uint64_t wanted_total = hp_error_half_width(total[row->function]);
            assert_in_range(row->self_error_ns + 1, wanted_self, wanted_self + 2); /* sums in another order */
            assert_in_range(row->total_error_ns + 1, wanted_total, wanted_total + 2);
            assert_true(row->samples == 0 || row->self_error_ns > 0);
        }
        hp_profile_free(p);
    }
}

/* Times without any samples, as files of others may hold them: nothing is known but the time itself. */
static void test_times_without_samples(void **state) {
    (void)state;
    hp_profile *p = NULL;
    assert_ok(hp_profile_new(&p));
    assert_int_equal(hp_profile_add_thread(p, "T", 1), 0);
    uint32_t f = hp_profile_function(p, &(hp_function){HP_CODE_PYTHON, "m", "f", "f", "m.py", 1});
    p->tree.nodes[hp_tree_child(&p->tree, p->threads[0].root, f)].sampled = 5000;
    assert_ok(hp_profile_summarize(p));
    assert_int_equal(p->rows[1].function, f);
    assert_int_equal(p->rows[1].self_error_ns, 5000);
    assert_int_equal(p->rows[1].total_error_ns, 5000);
    hp_profile_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_is_the_sum_of_stacks), cmocka_unit_test(test_add_into_a_full_tree_loses_nothing),
        cmocka_unit_test(test_rows_and_edges),           cmocka_unit_test(test_errors_of_rows),
        cmocka_unit_test(test_times_without_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
