/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "support/check.h"
#include "tree/call_tree.h"

static void test_find_or_add(void **state) {
    (void)state;
    hp_tree tree;
    assert_ok(hp_tree_init(&tree, 0, 0));
    uint32_t thread = hp_tree_child(&tree, 0, 1);
    uint32_t deep = thread;
    for (uint32_t i = 0; i < 100000; i++)
        deep = hp_tree_child(&tree, deep, 2 + i % 3);
    assert_int_equal(tree.count, 100002);
    assert_int_equal(hp_tree_child(&tree, 0, 1), thread);
    assert_int_equal(hp_tree_find(&tree, thread, 9), HP_NO_NODE);
    assert_int_equal(hp_tree_find(&tree, thread, 2), 2);
    assert_ok(hp_tree_check(&tree));
    tree.nodes[50].parent = 60;
    assert_int_equal(hp_tree_check(&tree), HP_BAD_FORMAT);
    hp_tree_fini(&tree);
}

/* Past the limit every thread still has a place of its own; nothing is lost or out of bounds. */
static void test_overflow(void **state) {
    (void)state;
    for (uint32_t limit = 1; limit < 200; limit += 3) {
        hp_tree tree;
        assert_ok(hp_tree_init(&tree, limit, 0));
        srand(limit);
        uint64_t given = 0;
        for (int i = 0; i < 500; i++) {
            uint32_t node = hp_tree_child(&tree, 0, 1 + (uint32_t)rand() % 9);
            for (int depth = rand() % 9; depth > 0; depth--)
                node = hp_tree_child(&tree, node, 10 + (uint32_t)rand() % 9);
            tree.nodes[node].samples++;
            given++;
        }
        assert_ok(hp_tree_check(&tree));
        for (uint32_t i = 0; i < tree.count; i++)
            given -= tree.nodes[i].samples;
        assert_int_equal(given, 0);
        assert_true(tree.overflowed > 0);
        assert_true(tree.count <= limit + 2 * 9 + 2);
        for (uint32_t thread = 1; thread < 10; thread++)
            assert_int_not_equal(hp_tree_find(&tree, 0, thread), HP_NO_NODE);
        hp_tree_fini(&tree);
    }
}

static void test_add_maps_hides_and_scales(void **state) {
    (void)state;
    hp_tree from, into;
    assert_ok(hp_tree_init(&from, 0, 0));
    assert_ok(hp_tree_init(&into, 0, 0));
    uint32_t thread = hp_tree_child(&from, 0, 1);
    uint32_t wrapper = hp_tree_child(&from, thread, 2);
    uint32_t leaf = hp_tree_child(&from, wrapper, 3);
    from.nodes[wrapper].calls = 4;
    from.nodes[wrapper].exact = 10;
    from.nodes[wrapper].samples = 2;
    from.nodes[leaf].calls = 5;
    from.nodes[leaf].exact = 100;
    from.nodes[leaf].flags = HP_NODE_PARTIAL;
    const uint32_t map[] = {0, 7, HP_MAP_HIDE, 8};
    uint32_t nodes[4];
    assert_ok(hp_tree_add(&into, &from, map, 0.5, nodes));
    assert_ok(hp_tree_add(&into, &from, map, 0.5, NULL));
    uint32_t root = hp_tree_find(&into, 0, 7);
    assert_int_equal(nodes[wrapper], root);
    assert_int_equal(nodes[leaf], hp_tree_find(&into, root, 8));
    assert_int_equal(into.nodes[root].exact, 10);
    assert_int_equal(into.nodes[root].samples, 4);
    assert_int_equal(into.nodes[root].calls, 0);
    assert_int_equal(into.nodes[nodes[leaf]].exact, 100);
    assert_int_equal(into.nodes[nodes[leaf]].calls, 10);
    assert_int_equal(into.nodes[nodes[leaf]].flags, HP_NODE_PARTIAL);
    assert_ok(hp_tree_check(&into));
    const uint32_t hides_thread[] = {0, HP_MAP_HIDE, 5, 6}, unmapped[] = {0, 7, HP_NO_FUNCTION, 6};
    uint32_t count = into.count;
    assert_int_equal(hp_tree_add(&into, &from, hides_thread, 1.0, NULL), HP_BAD_VALUE);
    assert_int_equal(hp_tree_add(&into, &from, unmapped, 1.0, NULL), HP_BAD_VALUE);
    assert_int_equal(into.count, count);
    hp_tree_fini(&from);
    hp_tree_fini(&into);
}

/* All that lies beneath a node and nothing else, callers first, the newest child first. */
static void test_next(void **state) {
    (void)state;
    hp_tree tree;
    assert_ok(hp_tree_init(&tree, 0, 0));
    uint32_t first = hp_tree_child(&tree, 0, 1), second = hp_tree_child(&tree, 0, 2);
    uint32_t a = hp_tree_child(&tree, first, 3), b = hp_tree_child(&tree, first, 4), deep = hp_tree_child(&tree, a, 5);
    const uint32_t expected[] = {first, b, a, deep, HP_NO_NODE};
    uint32_t at = first;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(at, expected[i]);
        at = at != HP_NO_NODE ? hp_tree_next(&tree, first, at) : at;
    }
    assert_int_equal(hp_tree_next(&tree, second, second), HP_NO_NODE);
    assert_int_equal(hp_tree_next(&tree, deep, deep), HP_NO_NODE);
    assert_int_equal(hp_tree_next(&tree, a, deep), HP_NO_NODE);
    assert_int_equal(hp_tree_next(&tree, 0, deep), HP_NO_NODE); /* `second` is newer than `first` and went before it */
    hp_tree_fini(&tree);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find_or_add), cmocka_unit_test(test_overflow),
                                       cmocka_unit_test(test_add_maps_hides_and_scales), cmocka_unit_test(test_next)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
