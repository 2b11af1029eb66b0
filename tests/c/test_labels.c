/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/check.h"
#include "support/random.h"
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

static const char *draw_name(char *out, uint64_t *random) {
    static const char *const pieces[] = {"a",        ".",    ":1",       "#2",           "\n",           "<",        ">",     "\xff",
                                         "\xc3\xa9", "\x7f", "\xc2\x9f", "\xe2\x80\xa9", "\xed\xa0\x80", "\xe2\x80", "\\x0a", ";"};
    out[0] = '\0';
    for (uint32_t left = hp_test_below(random, 4); left > 0; left--)
        strcat(out, pieces[hp_test_below(random, sizeof pieces / sizeof *pieces)]);
    return out;
}

/* Valid UTF-8 without what breaks a line or a terminal. */
static bool is_clean(const char *label) {
    for (const uint8_t *at = (const uint8_t *)label; *at != 0;) {
        size_t size = at[0] < 0x80 ? 1 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : (at[0] & 0xf8) == 0xf0 ? 4 : 0;
        if (size == 0 || at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0))
            return false;
        if (at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9))
            return false;
        for (size_t i = 1; i < size; i++)
            if ((at[i] & 0xc0) != 0x80)
                return false;
        at += size;
    }
    return true;
}

static int text_order(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void test_random_names(void **state) {
    (void)state;
    for (uint64_t random = 3, round = 0; round < 20; round++) {
        hp_profile *profile = NULL;
        const char **labels = NULL;
        char module[32], qualname[32], name[32], file[32];
        assert_ok(hp_profile_new(&profile));
        for (int i = 0; i < 2000; i++) {
            hp_function f = {(hp_code_kind)hp_test_below(&random, 4),
                             draw_name(module, &random),
                             draw_name(qualname, &random),
                             draw_name(name, &random),
                             draw_name(file, &random),
                             hp_test_below(&random, 3)};
            assert_int_not_equal(hp_profile_function(profile, &f), HP_NO_FUNCTION);
        }
        assert_ok(hp_labels_new(profile, &labels));
        for (uint32_t i = 0; i < profile->function_count; i++) {
            assert_true(labels[i][0] == '<' || strchr(labels[i], '.') != NULL);
            if (!is_clean(labels[i]))
                fail_msg("not clean: %s", labels[i]);
        }
        qsort(labels, profile->function_count, sizeof *labels, text_order);
        for (uint32_t i = 1; i < profile->function_count; i++)
            assert_string_not_equal(labels[i - 1], labels[i]);
        hp_labels_free(labels);
        hp_profile_free(profile);
    }
}

/* 20,000 functions that only their files tell apart: no worse than 20,000 others. */
static void test_many_of_one_name(void **state) {
    (void)state;
    enum { SAME = 20000 };
    hp_profile *profile = NULL;
    const char **labels = NULL;
    assert_ok(hp_profile_new(&profile));
    for (int i = 0; i < SAME; i++) {
        char file[32];
        snprintf(file, sizeof file, "%d.py", i);
        hp_function f = {HP_CODE_PYTHON, "m", "f", "f", file, 7};
        assert_int_equal(hp_profile_function(profile, &f), i + 1);
    }
    int64_t before = hp_thread_cpu_ns();
    assert_ok(hp_labels_new(profile, &labels));
    assert_true(hp_thread_cpu_ns() - before < 5000000000); /* quadratic: far above */
    assert_string_equal(labels[1], "m.f:7");
    assert_string_equal(labels[SAME], "m.f:7#20000");
    hp_labels_free(labels);
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_random_names),
                                       cmocka_unit_test(test_many_of_one_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
