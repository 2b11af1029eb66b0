/* SPDX-License-Identifier: MIT */
/* A program of somebody else's: it sees the public header, the folder that it lies in, and nothing else of ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hyprof_reader.h"
#include "support/check.h"

static char *golden(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", getenv("HYPROF_GOLDEN"), name);
    return path;
}

static hyprof_profile *opened(const char *name) {
    char reason[256] = "";
    hyprof_profile *profile = hyprof_open(golden(name), reason, sizeof reason);
    if (profile == NULL)
        fail_msg("%s: %s", name, reason);
    return profile;
}

static uint64_t tree_time(const hyprof_profile *profile) {
    hyprof_node node;
    uint64_t time = 0;
    for (uint32_t i = 0; hyprof_node_at(profile, i, &node); i++) {
        assert_true(i == 0 ? node.parent == HYPROF_NONE && node.function == HYPROF_NONE : node.parent < i);
        assert_true(i == 0 || node.function < hyprof_function_count(profile));
        time += node.sampled_ns + node.exact_ns;
    }
    return time;
}

static uint64_t row_time(const hyprof_profile *profile) {
    hyprof_row row;
    uint64_t time = 0;
    for (uint32_t i = 0; hyprof_row_at(profile, i, &row); i++) {
        assert_in_range(row.function, 0, hyprof_function_count(profile) - 1);
        assert_true(row.total_sampled_ns >= row.self_sampled_ns && row.total_exact_ns >= row.self_exact_ns);
        time += row.self_sampled_ns + row.self_exact_ns;
    }
    return time;
}

static uint64_t thread_time(const hyprof_profile *profile) {
    hyprof_thread thread;
    uint64_t time = 0;
    for (uint32_t i = 0; hyprof_thread_at(profile, i, &thread); i++) {
        assert_in_range(thread.root, 1, hyprof_node_count(profile) - 1);
        time += thread.sampled_ns + thread.exact_ns;
    }
    return time;
}

/* Nodes, rows and threads tell of one time. */
static void test_a_whole_file(void **state) {
    (void)state;
    hyprof_profile *profile = opened("1.0-whole.hyprof");
    hyprof_function function;
    assert_int_equal(hyprof_warning_count(profile), 1); /* its own */
    assert_true(hyprof_node_count(profile) > 1 && hyprof_thread_count(profile) > 0);
    assert_true(tree_time(profile) > 0);
    assert_true(tree_time(profile) == row_time(profile));
    assert_true(tree_time(profile) == thread_time(profile));
    assert_true(hyprof_function_at(profile, 0, &function));
    assert_int_equal(function.kind, HYPROF_SYNTHETIC);
    assert_string_equal(function.name, "<overflow>");
    for (uint32_t i = 0; hyprof_function_at(profile, i, &function); i++)
        assert_true(function.module != NULL && function.qualname != NULL && function.name != NULL && function.file != NULL);
    hyprof_meta meta = hyprof_meta_of(profile);
    assert_true(meta.pid > 0 && meta.duration_ns > 0 && meta.rate_hz > 0 && meta.python[0] != '\0');
    hyprof_free(profile);
}

static void test_rows_alone(void **state) {
    (void)state;
    hyprof_profile *profile = opened("1.0-flat.hyprof");
    assert_int_equal(hyprof_node_count(profile), 1);
    assert_true(hyprof_row_count(profile) > 0);
    hyprof_free(profile);
}

static void test_beyond_the_end(void **state) {
    (void)state;
    hyprof_profile *profile = opened("1.0-whole.hyprof");
    hyprof_node node = {.calls = 77};
    hyprof_row row;
    hyprof_thread thread;
    hyprof_function function;
    assert_false(hyprof_node_at(profile, hyprof_node_count(profile), &node));
    assert_int_equal(node.calls, 77);
    assert_false(hyprof_row_at(profile, hyprof_row_count(profile), &row));
    assert_false(hyprof_thread_at(profile, HYPROF_NONE, &thread));
    assert_false(hyprof_function_at(profile, HYPROF_NONE, &function));
    assert_null(hyprof_warning_at(profile, hyprof_warning_count(profile)));
    hyprof_free(profile);
}

/* The bytes go before the profile is looked at. */
static hyprof_profile *from_bytes(size_t less, char *reason, size_t room) {
    FILE *from = fopen(golden("1.0-whole.hyprof"), "rb");
    uint8_t *bytes = malloc(1 << 20);
    if (from == NULL || bytes == NULL)
        abort();
    size_t size = fread(bytes, 1, 1 << 20, from);
    fclose(from);
    hyprof_profile *profile = hyprof_open_bytes(bytes, size - less, reason, room);
    memset(bytes, 0, 1 << 20);
    free(bytes);
    return profile;
}

static void test_bytes(void **state) {
    (void)state;
    hyprof_profile *whole = opened("1.0-whole.hyprof"), *same = from_bytes(0, NULL, 0), *cut = from_bytes(1, NULL, 0);
    assert_true(tree_time(whole) == tree_time(same) && tree_time(same) == tree_time(cut));
    assert_string_equal(hyprof_meta_of(whole).program, hyprof_meta_of(same).program);
    assert_memory_equal(hyprof_meta_of(whole).id, hyprof_meta_of(cut).id, 16);
    assert_int_equal(hyprof_warning_count(cut), hyprof_warning_count(whole) + 1);
    assert_non_null(strstr(hyprof_warning_at(cut, hyprof_warning_count(whole)), "cut short"));
    hyprof_free(whole);
    hyprof_free(same);
    hyprof_free(cut);
}

static void test_reasons(void **state) {
    char reason[256] = "", little[8];
    (void)state;
    assert_null(hyprof_open(golden("no such file"), reason, sizeof reason));
    assert_non_null(strstr(reason, "No such file"));
    assert_null(hyprof_open_bytes("plain text", 10, reason, sizeof reason));
    assert_non_null(strstr(reason, "not a .hyprof file"));
    assert_null(hyprof_open_bytes("", 0, little, sizeof little));
    assert_int_equal(strlen(little), sizeof little - 1);
    assert_null(hyprof_open_bytes("", 0, NULL, 0));
    hyprof_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_file), cmocka_unit_test(test_rows_alone), cmocka_unit_test(test_beyond_the_end),
        cmocka_unit_test(test_bytes),        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests_name("the public reader", tests, NULL, NULL);
}
