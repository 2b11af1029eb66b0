/* SPDX-License-Identifier: MIT */
/* What the app takes for granted and its schema does not say: weights add up to the end value, stacks are as many as weights, frames
 * exist. And the numbers: for each function and kind the sums over all stacks are those of the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/pstats/pstats.h"
#include "formats/speedscope/speedscope.h"
#include "support/bytes.h"
#include "support/json.h"
#include "support/profiles.h"

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text), length = strlen(end);
    return size >= length && strcmp(text + size - length, end) == 0;
}

/* By label: what all profiles of some kind hold. */
typedef struct tally {
    const char *label;
    uint64_t sampled_self, sampled_total, exact_self, exact_total, both_self;
} tally;

static void add_stack(tally *by_frame, const hp_test_json *stack, uint64_t weight, const char *kind) {
    size_t top = hp_test_json_u64(&stack->items[stack->count - 1]);
    bool exact = ends_with(kind, ", exact"), both = ends_with(kind, ", sampled and exact");
    *(both ? &by_frame[top].both_self : exact ? &by_frame[top].exact_self : &by_frame[top].sampled_self) += weight;
    for (size_t i = 0; i < stack->count && !both; i++) {
        bool above = false;
        for (size_t j = 0; j < i; j++)
            above = above || strcmp(stack->items[j].text, stack->items[i].text) == 0;
        uint64_t *total =
            exact ? &by_frame[hp_test_json_u64(&stack->items[i])].exact_total : &by_frame[hp_test_json_u64(&stack->items[i])].sampled_total;
        *total += above ? 0 : weight;
    }
}

static uint64_t add_profile(tally *by_frame, size_t frames, const hp_test_json *profile) {
    const hp_test_json *samples = hp_test_json_at(profile, "samples"), *weights = hp_test_json_at(profile, "weights");
    const char *name = hp_test_json_text(hp_test_json_at(profile, "name"));
    uint64_t sum = 0;
    assert_string_equal(hp_test_json_text(hp_test_json_at(profile, "type")), "sampled");
    assert_string_equal(hp_test_json_text(hp_test_json_at(profile, "unit")), "nanoseconds");
    assert_int_equal(samples->count, weights->count);
    for (size_t i = 0; i < samples->count; i++) {
        uint64_t weight = hp_test_json_u64(&weights->items[i]);
        assert_true(weight != 0 && samples->items[i].count != 0);
        for (size_t j = 0; j < samples->items[i].count; j++)
            assert_true(hp_test_json_u64(&samples->items[i].items[j]) < frames);
        add_stack(by_frame, &samples->items[i], weight, name);
        sum += weight;
    }
    assert_int_equal(hp_test_json_u64(hp_test_json_at(profile, "startValue")), 0);
    assert_int_equal(hp_test_json_u64(hp_test_json_at(profile, "endValue")), sum);
    return sum;
}

static const hp_row *row_of(const hp_profile *profile, const char **labels, const char *label) {
    for (uint32_t i = 0; i < profile->row_count; i++) {
        if (strcmp(labels[profile->rows[i].function], label) == 0)
            return &profile->rows[i];
    }
    fail_msg("no function is called %s", label);
    return NULL;
}

static void assert_rows(const hp_profile *profile, const tally *by_frame, size_t frames) {
    const char **labels = NULL;
    uint64_t self = 0, expected = 0;
    assert_int_equal(hp_labels_new(profile, &labels), HP_OK);
    for (size_t i = 0; i < frames; i++) {
        const hp_row *row = row_of(profile, labels, by_frame[i].label);
        assert_int_equal(by_frame[i].sampled_self, row->self_sampled);
        assert_int_equal(by_frame[i].exact_self, row->self_exact);
        assert_int_equal(by_frame[i].sampled_total, row->total_sampled);
        assert_int_equal(by_frame[i].exact_total, row->total_exact);
        self += by_frame[i].sampled_self + by_frame[i].exact_self;
    }
    for (uint32_t i = 0; i < profile->row_count; i++)
        expected += profile->rows[i].self_sampled + profile->rows[i].self_exact;
    assert_int_equal(self, expected);
    hp_labels_free(labels);
}

/* How many profiles were written. */
static size_t assert_holds(const hp_profile *profile, const char *text, size_t size) {
    hp_test_json *file = hp_test_json_parse(text, size);
    const hp_test_json *frames = hp_test_json_at(hp_test_json_at(file, "shared"), "frames"), *profiles = hp_test_json_at(file, "profiles");
    size_t shown = hp_test_json_u64(hp_test_json_at(file, "activeProfileIndex")), count = profiles->count;
    tally *by_frame = calloc(frames->count + 1, sizeof *by_frame);
    uint64_t most = 0, of_shown = 0;
    assert_non_null(by_frame);
    for (size_t i = 0; i < frames->count; i++)
        by_frame[i].label = hp_test_json_text(hp_test_json_at(&frames->items[i], "name"));
    assert_string_equal(hp_test_json_text(hp_test_json_at(file, "$schema")), "https://www.speedscope.app/file-format-schema.json");
    assert_true(shown < count);
    for (size_t i = 0; i < count; i++) {
        uint64_t sum = add_profile(by_frame, frames->count, &profiles->items[i]);
        most = sum > most ? sum : most;
        of_shown = i == shown ? sum : of_shown;
    }
    assert_int_equal(of_shown, most);
    assert_rows(profile, by_frame, frames->count);
    free(by_frame);
    hp_test_json_free(file);
    return count;
}

static void assert_holds_all(const hp_profile *profile, const char *text, size_t size) {
    (void)assert_holds(profile, text, size);
}

static void test_golden(void **state) {
    (void)state;
    hp_test_goldens(&hp_format_speedscope, "speedscope.json", assert_holds_all);
}

static void test_random(void **state) {
    (void)state;
    hp_test_randoms(&hp_format_speedscope, assert_holds_all);
}

/* A profile for each thread and kind; where a thread has both, their sum before them. */
static void test_profiles(void **state) {
    (void)state;
    static const char *const expected[] = {
        "<thread MainThread #1>, sampled and exact", "<thread MainThread #1>, sampled", "<thread MainThread #1>, exact",
        "<thread worker-1 #2>, sampled and exact",   "<thread worker-1 #2>, sampled",   "<thread worker-1 #2>, exact"};
    size_t size = 0;
    hp_profile *profile = hp_fixture_make("mixed");
    char *text = hp_test_export(profile, &hp_format_speedscope, &size);
    hp_test_json *file = hp_test_json_parse(text, size);
    const hp_test_json *profiles = hp_test_json_at(file, "profiles");
    assert_int_equal(profiles->count, 6); /* and none for the third thread, which has no time */
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(hp_test_json_text(hp_test_json_at(&profiles->items[i], "name")), expected[i]);
    hp_test_json_free(file);
    free(text);
    hp_profile_free(profile);
}

static hp_profile *chain(uint32_t depth, bool every, uint64_t ns) {
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    uint32_t thread = hp_profile_add_thread(profile, "deep", 1), node = profile->threads[thread].root;
    hp_function function = {HP_CODE_PYTHON, "deep", "down", "down", "/srv/deep.py", 1};
    uint32_t id = hp_profile_function(profile, &function);
    for (uint32_t i = 0; i < depth; i++) {
        node = hp_tree_child(&profile->tree, node, id);
        profile->tree.nodes[node].exact = every || i + 1 == depth ? ns : 0;
    }
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    return profile;
}

/* 100,000 frames deep, and a weight that no double holds. */
static void test_depth(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = chain(100000, false, (UINT64_C(1) << 53) + 1);
    char *text = hp_test_export(profile, &hp_format_speedscope, &size);
    hp_test_json *file = hp_test_json_parse(text, size);
    const hp_test_json *only = &hp_test_json_at(file, "profiles")->items[0];
    assert_int_equal(hp_test_json_at(only, "samples")->items[0].count, 100001);
    assert_string_equal(hp_test_json_at(only, "weights")->items[0].text, "9007199254740993");
    assert_string_equal(hp_test_json_at(only, "endValue")->text, "9007199254740993");
    hp_test_json_free(file);
    free(text);
    hp_profile_free(profile);
}

static void assert_refused(const hp_profile *profile, const char *words) {
    hp_sink *sink = NULL;
    hp_error error = {0};
    size_t size = 1;
    assert_int_equal(hp_sink_memory(&sink), HP_OK);
    assert_int_equal(hp_format_speedscope.write(sink, profile, &error), HP_UNSUPPORTED);
    assert_non_null(strstr(error.text, words));
    hp_sink_bytes(sink, &size);
    assert_int_equal(size, 0); /* before the first byte */
    hp_sink_free(sink);
}

static void test_refusals(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = chain(100000, true, 7), *plain = hp_fixture_make("plain");
    char *bytes = hp_test_export(plain, &hp_format_pstats, &size);
    hp_profile *table = hp_test_read(&hp_format_pstats, bytes, size);
    assert_refused(profile, "4 GiB");
    assert_refused(table, "whole stacks");
    free(bytes);
    hp_profile_free(table);
    hp_profile_free(plain);
    hp_profile_free(profile);
}

/* The app refuses a file without profiles. */
static void test_empty(void **state) {
    (void)state;
    for (int threads = 0; threads < 2; threads++) {
        size_t size = 0;
        hp_profile *profile = NULL;
        assert_int_equal(hp_profile_new(&profile), HP_OK);
        if (threads != 0)
            hp_profile_add_thread(profile, "idle", 1);
        assert_int_equal(hp_profile_summarize(profile), HP_OK);
        char *text = hp_test_export(profile, &hp_format_speedscope, &size);
        assert_int_equal(assert_holds(profile, text, size), 1);
        assert_non_null(strstr(text, "nothing was measured"));
        free(text);
        hp_profile_free(profile);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_random),   cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_depth),  cmocka_unit_test(test_refusals), cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests_name("speedscope", tests, NULL, NULL);
}
