/* SPDX-License-Identifier: MIT */
#include "support/check.h"
#include "tree/profile.h"

typedef struct example {
    hp_function function;
    const char *label;
} example;

static const example examples[] = {
    {{HP_CODE_PYTHON, "shop.cart", "Cart.add", "add", "/srv/shop/cart.py", 10}, "shop.cart.Cart.add"},
    {{HP_CODE_PYTHON, "shop.cart", "twice", "twice", "/srv/shop/cart.py", 20}, "shop.cart.twice:20"},
    {{HP_CODE_PYTHON, "shop.cart", "twice", "twice", "/srv/shop/cart.py", 30}, "shop.cart.twice:30"},
    {{HP_CODE_PYTHON, "shop.cart", "twice", "twice", "/srv/other/cart.py", 30}, "shop.cart.twice:30#2"},
    {{HP_CODE_PYTHON, "shop.cart", "twice", "x", "/srv/other/cart.py", 30}, "shop.cart.twice:30#3"},
    {{HP_CODE_PYTHON, "", "node", "node", "/srv/graph.py", 1}, "graph.node"},
    {{HP_CODE_PYTHON, "", "node", "node", "", 1}, "?.node"},
    {{HP_CODE_PYTHON, "", "<lambda>", "<lambda>", "", 1}, "<lambda>"},
    {{HP_CODE_PYTHON, "m", "<module>", "<module>", "m.py", 1}, "m.<module>"},
    {{HP_CODE_PYTHON, "", "", "", "", 0}, "?.?"},
    {{HP_CODE_C, "", "<built-in method builtins.len>", "", "~", 0}, "<built-in method builtins.len>"},
    {{HP_CODE_C, "math", "sqrt", "sqrt", "", 0}, "math.sqrt"},
    {{HP_CODE_BLOCK, "", "nightly", "nightly", "", 0}, "<block nightly>"},
    {{HP_CODE_PYTHON, "m", "a\nb\x01\x7f\xc2\x85\xe2\x80\xa8\xed\xb2\x80\xff\xc3\xa9", "", "", 0},
     "m.a\\nb\\x01\\x7f\\x85\\u2028\\udc80\\xff\xc3\xa9"},
    {{HP_CODE_PYTHON, "m", "cut\xe2\x80", "", "", 0}, "m.cut\\xe2\\x80"},
    {{HP_CODE_PYTHON, "m", "\xc0\x80\xf4\x90\x80\x80\xf0\x9f\x90\x8d", "", "", 0}, "m.\\xc0\\x80\\xf4\\x90\\x80\\x80\xf0\x9f\x90\x8d"},
};
enum { EXAMPLES = sizeof examples / sizeof *examples };

static void test_examples(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    const char **labels = NULL;
    uint32_t ids[EXAMPLES];
    assert_ok(hp_profile_new(&profile));
    for (int i = 0; i < EXAMPLES; i++)
        ids[i] = hp_profile_function(profile, &examples[i].function);
    assert_ok(hp_labels_new(profile, &labels));
    for (int i = 0; i < EXAMPLES; i++)
        assert_string_equal(labels[ids[i]], examples[i].label);
    assert_string_equal(labels[0], "<overflow>");
    hp_labels_free(labels);
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
