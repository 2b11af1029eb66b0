/* SPDX-License-Identifier: MIT */
/* Merging: the same bytes in any order and grouping, nothing lost or counted twice, error bars that add up, and what is refused. */
#include <math.h>

#include "support/check.h"

#include "hyprof_samples.h"
#include "tree/error_bars.h"
#include "tree/merge.h"

enum { PROFILES = 6 };

static hp_profile *made(uint64_t seed) {
    hp_sample_shape shape = {.seed = seed,
                             .stacks = 40 + (uint32_t)seed * 13,
                             .functions = 30,
                             .threads = 1 + (uint32_t)seed % 4,
                             .depth = 6,
                             .main_name = seed % 2 ? "MainThread" : "Thread-1 (main)"};
    hp_profile *profile = sample_profile(&shape);
    profile->meta.rate_hz = seed % 3 == 0 ? 1000.0 : 99.5;
    profile->meta.python = hp_profile_string(profile, seed % 2 ? "3.13.0" : "3.11.4");
    profile->tree.overflowed = seed;
    if (seed % 3 == 0)
        hp_profile_add_warning(profile, seed % 2 ? "odd" : "even");
    return profile;
}

static hp_profile *merged(hp_profile *const *profiles, const int *order, int count) {
    hp_merge *merge = NULL;
    hp_profile *out = NULL;
    hp_error error = {0};
    assert_ok(hp_merge_new(&merge));
    for (int i = 0; i < count; i++) {
        bool added;
        if (hp_merge_add(merge, profiles[order[i]], &added, &error) != HP_OK)
            fail_msg("%s", error.text);
    }
    if (hp_merge_finish(merge, &out, &error) != HP_OK)
        fail_msg("%s", error.text);
    hp_merge_free(merge);
    return out;
}

static void assert_same_bytes(const hp_profile *a, const hp_profile *b) {
    size_t size = 0, other = 0;
    uint8_t *bytes = sample_encode(a, &size), *others = sample_encode(b, &other);
    assert_non_null(bytes);
    assert_int_equal(size, other);
    assert_memory_equal(bytes, others, size);
    free(bytes);
    free(others);
}

static void assert_same_data(const hp_profile *a, const hp_profile *b) {
    char *text = sample_dump(a, false), *other = sample_dump(b, false);
    assert_string_equal(text, other);
    free(text);
    free(other);
}

static void shuffle(int *order, int count, uint64_t *random) {
    for (int i = count - 1; i > 0; i--) {
        int other = (int)(sample_random(random) % (uint64_t)(i + 1)), swap = order[i];
        order[i] = order[other];
        order[other] = swap;
    }
}

static void test_any_order(void **state) {
    (void)state;
    hp_profile *profiles[PROFILES];
    int order[PROFILES];
    uint64_t random = 5;
    for (int i = 0; i < PROFILES; i++)
        profiles[order[i] = i] = made((uint64_t)i + 1);
    hp_profile *first = merged(profiles, order, PROFILES);
    for (int round = 0; round < 20; round++) {
        shuffle(order, PROFILES, &random);
        hp_profile *other = merged(profiles, order, PROFILES);
        assert_same_data(first, other);
        assert_same_bytes(first, other);
        hp_profile_free(other);
    }
    hp_profile_free(first);
    for (int i = 0; i < PROFILES; i++)
        hp_profile_free(profiles[i]);
}

/* The first `cut` and the others apart, written and read in between, then together. */
static void test_any_grouping(void **state) {
    (void)state;
    hp_profile *profiles[PROFILES];
    int order[PROFILES];
    uint64_t random = 6;
    for (int i = 0; i < PROFILES; i++)
        profiles[order[i] = i] = made((uint64_t)i + 1);
    hp_profile *whole = merged(profiles, order, PROFILES);
    for (int cut = 1; cut < PROFILES; cut++) {
        shuffle(order, PROFILES, &random);
        hp_profile *halves[2] = {merged(profiles, order, cut), merged(profiles, order + cut, PROFILES - cut)};
        size_t size = 0;
        uint8_t *bytes = sample_encode(halves[0], &size);
        hp_profile_free(halves[0]);
        assert_ok(hp_format_hyprof.read(bytes, size, &halves[0], NULL));
        hp_profile *again = merged(halves, (int[]){1, 0}, 2);
        assert_same_data(whole, again);
        assert_same_bytes(whole, again);
        hp_profile *alone = merged(&again, (int[]){0}, 1);
        assert_same_bytes(whole, alone);
        hp_profile_free(alone);
        hp_profile_free(again);
        hp_profile_free(halves[0]);
        hp_profile_free(halves[1]);
        free(bytes);
    }
    hp_profile_free(whole);
    for (int i = 0; i < PROFILES; i++)
        hp_profile_free(profiles[i]);
}

static void test_counts_once(void **state) {
    (void)state;
    hp_profile *profiles[] = {made(1), made(2), NULL};
    hp_profile *pair = merged(profiles, (int[]){0, 1}, 2);
    profiles[2] = pair;
    hp_profile *twice = merged(profiles, (int[]){0, 1, 0, 1, 0}, 5);
    assert_same_bytes(pair, twice);
    hp_profile *inside = merged(profiles, (int[]){2, 0, 1}, 3);
    assert_same_bytes(pair, inside);
    hp_merge *merge = NULL;
    hp_error error = {0};
    bool added = true;
    assert_ok(hp_merge_new(&merge));
    assert_ok(hp_merge_add(merge, profiles[0], &added, &error));
    assert_true(added);
    assert_int_equal(hp_merge_add(merge, pair, &added, &error), HP_BAD_VALUE); /* half of it would count twice */
    assert_false(added);
    assert_non_null(strstr(error.text, "1 of the 2 profiles"));
    hp_merge_free(merge);
    hp_profile_free(twice);
    hp_profile_free(inside);
    for (int i = 0; i < 3; i++)
        hp_profile_free(profiles[i]);
}

typedef struct sums {
    uint64_t samples, sampled, calls, exact, overhead, lines, measured, thread_samples;
} sums;

static void sums_add(sums *to, const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->tree.count; i++) {
        to->samples += profile->tree.nodes[i].samples;
        to->sampled += profile->tree.nodes[i].sampled;
        to->calls += profile->tree.nodes[i].calls;
        to->exact += profile->tree.nodes[i].exact;
        to->overhead += profile->tree.nodes[i].overhead;
    }
    for (uint32_t i = 0; i < profile->line_count; i++)
        to->lines += profile->lines[i].sampled;
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        to->measured += profile->threads[i].measured_ns;
        to->thread_samples += profile->threads[i].samples;
    }
}

static void test_nothing_lost(void **state) {
    (void)state;
    hp_profile *profiles[PROFILES];
    sums parts = {0}, whole = {0};
    uint64_t duration = 0, kept = 0, overflowed = 0;
    int order[PROFILES];
    for (int i = 0; i < PROFILES; i++) {
        profiles[order[i] = i] = made((uint64_t)i + 1);
        sums_add(&parts, profiles[i]);
        duration += profiles[i]->meta.duration_ns;
        kept += profiles[i]->meta.samples_kept;
        overflowed += profiles[i]->tree.overflowed;
    }
    hp_profile *out = merged(profiles, order, PROFILES);
    sums_add(&whole, out);
    assert_memory_equal(&whole, &parts, sizeof whole);
    assert_int_equal(out->meta.duration_ns, duration);
    assert_int_equal(out->meta.samples_kept, kept);
    assert_int_equal(out->tree.overflowed, overflowed);
    assert_int_equal(out->meta.pid, 0);
    assert_string_equal(out->meta.python, "3.11.4, 3.13.0");
    assert_true(out->meta.rate_hz > 99.5 && out->meta.rate_hz < 1000.0);
    assert_int_equal(out->meta.warning_count, 3);
    assert_int_equal(out->source_count, PROFILES);
    assert_int_equal(out->thread_count, 3); /* MainThread, Thread-* (main), worker-* */
    hp_profile_free(out);
    for (int i = 0; i < PROFILES; i++)
        hp_profile_free(profiles[i]);
}

static uint64_t error_of(const hp_profile *profile, const char *name, bool total) {
    for (uint32_t i = 0; i < profile->row_count; i++)
        if (strcmp(profile->functions[profile->rows[i].function].qualname, name) == 0)
            return total ? profile->rows[i].total_error_ns : profile->rows[i].self_error_ns;
    return 0;
}

/* f takes a share of one thread's samples, each of which stands for `gap` ns. */
static hp_profile *simple(uint8_t id, uint64_t samples, uint64_t seen, uint64_t runs, uint64_t gap) {
    hp_profile *profile = NULL;
    assert_ok(hp_profile_new(&profile));
    memset(profile->meta.id, id, sizeof profile->meta.id);
    profile->meta.python = profile->meta.implementation = profile->meta.platform = "";
    profile->meta.duration_ns = samples * gap;
    uint32_t thread = hp_profile_add_thread(profile, "MainThread", id), root = profile->threads[thread].root;
    uint32_t f = hp_profile_function(profile, &(hp_function){HP_CODE_PYTHON, "m", "f", "f", "m.py", 1});
    uint32_t g = hp_profile_function(profile, &(hp_function){HP_CODE_PYTHON, "m", "g", "g", "m.py", 9});
    uint32_t at = hp_tree_child(&profile->tree, root, f), other = hp_tree_child(&profile->tree, root, g);
    hp_node *nodes = profile->tree.nodes;
    nodes[at].samples = seen;
    nodes[at].sampled = seen * gap;
    nodes[other].samples = samples - seen;
    nodes[other].sampled = (samples - seen) * gap;
    profile->threads[thread].samples = samples;
    profile->threads[thread].sampled_ns = profile->threads[thread].measured_ns = samples * gap;
    assert_ok(hp_profile_add_estimate(profile, &(hp_estimate){thread, f, seen, runs, seen, runs, 0, 0}));
    assert_ok(hp_profile_summarize(profile));
    return profile;
}

/* A coarse profile and a fine one: what counts is the time that each sample stood for where it was taken, not their mean. */
static void test_variances_add(void **state) {
    (void)state;
    hp_profile *parts[] = {simple(1, 1000, 400, 100, 10000000), simple(2, 1000, 200, 50, 1000000)};
    hp_profile *out = merged(parts, (int[]){0, 1}, 2);
    for (int total = 0; total < 2; total++) {
        double a = (double)error_of(parts[0], "f", total != 0), b = (double)error_of(parts[1], "f", total != 0);
        double sum = sqrt(a * a + b * b), got = (double)error_of(out, "f", total != 0);
        assert_true(a > 5 * b && fabs(got - sum) < sum * 1e-5);
    }
    /* g has no estimate: judged by the merged thread's mean, as independent samples. */
    assert_int_equal(error_of(out, "g", false),
                     hp_error_half_width(hp_error_variance(1400, hp_error_independent_runs(1400, 2000), 2000, 11000000000)));
    hp_profile_free(out);
    hp_profile_free(parts[0]);
    hp_profile_free(parts[1]);
}

static void test_refused(void **state) {
    (void)state;
    hp_merge *merge = NULL;
    hp_profile *wall = simple(1, 10, 5, 2, 1000), *cpu = simple(2, 10, 5, 2, 1000), *flat = sample_flat(),
               *none = simple(0, 10, 5, 2, 1000);
    hp_error error = {0};
    bool added;
    assert_ok(hp_merge_new(&merge));
    assert_ok(hp_merge_add(merge, wall, &added, &error));
    cpu->meta.clock = HP_CLOCK_CPU;
    assert_int_equal(hp_merge_add(merge, cpu, &added, &error), HP_BAD_VALUE);
    assert_non_null(strstr(error.text, "measured by the CPU clock and the profiles before it by the wall clock"));
    memset(flat->meta.id, 3, sizeof flat->meta.id);
    assert_int_equal(hp_merge_add(merge, flat, &added, &error), HP_BAD_VALUE);
    assert_non_null(strstr(error.text, "no calling contexts"));
    assert_int_equal(hp_merge_add(merge, none, &added, &error), HP_BAD_VALUE);
    assert_non_null(strstr(error.text, "no id"));
    hp_profile *vast = simple(4, 10, 5, 2, UINT64_MAX / 12);
    assert_ok(hp_merge_add(merge, vast, &added, &error));
    memset(vast->meta.id, 5, sizeof vast->meta.id);
    assert_int_equal(hp_merge_add(merge, vast, &added, &error), HP_BAD_VALUE);
    assert_non_null(strstr(error.text, "2^64"));
    hp_profile *out = NULL;
    assert_ok(hp_merge_finish(merge, &out, &error)); /* what was refused left nothing behind */
    assert_int_equal(out->source_count, 2);
    hp_profile_free(out);
    hp_profile_free(vast);
    hp_profile_free(wall);
    hp_profile_free(cpu);
    hp_profile_free(flat);
    hp_profile_free(none);
    hp_merge_free(merge);
}

/* Threads named by letters, more than there may be: which of them stay does not depend on the order. */
static hp_profile *crowd(uint8_t id, uint32_t from, uint32_t to) {
    hp_profile *profile = NULL;
    assert_ok(hp_profile_new(&profile));
    memset(profile->meta.id, id, sizeof profile->meta.id);
    for (uint32_t n = from; n < to; n++) {
        char name[] = {(char)('a' + n / 676 % 26), (char)('a' + n / 26 % 26), (char)('a' + n % 26), '\0'};
        uint32_t added = hp_profile_add_thread(profile, name, n);
        hp_profile_thread *thread = &profile->threads[added];
        profile->tree.nodes[thread->root].samples = thread->samples = 1;
        profile->tree.nodes[thread->root].sampled = thread->sampled_ns = n;
        assert_ok(hp_profile_add_warning(profile, name));
    }
    assert_ok(hp_profile_summarize(profile));
    return profile;
}

static void test_bounds(void **state) {
    (void)state;
    hp_profile *parts[] = {crowd(1, 0, 3000), crowd(2, 2000, 5000), crowd(3, 500, 700), NULL};
    hp_profile *out = merged(parts, (int[]){0, 1, 2}, 3), *backwards = merged(parts, (int[]){2, 1, 0}, 3);
    assert_same_bytes(out, backwards);
    assert_int_equal(out->thread_count, HP_MERGE_THREADS + 1);
    assert_string_equal(out->threads[0].name, "<other threads>");
    assert_string_equal(out->threads[HP_MERGE_THREADS].name, "bml"); /* number 999 */
    sums whole = {0}, expected = {0};
    sums_add(&whole, out);
    for (int i = 0; i < 3; i++)
        sums_add(&expected, parts[i]);
    assert_memory_equal(&whole, &expected, sizeof whole);
    assert_int_equal(out->meta.warning_count, HP_MERGE_WARNINGS + 1);
    assert_string_equal(out->meta.warnings[HP_MERGE_WARNINGS - 1], "adv"); /* number 99 */
    assert_non_null(strstr(out->meta.warnings[HP_MERGE_WARNINGS], "were left out"));
    hp_profile *pair = merged(parts, (int[]){1, 2}, 2);
    parts[3] = pair;
    hp_profile *grouped = merged(parts, (int[]){0, 3}, 2);
    assert_same_bytes(out, grouped);
    hp_profile_free(grouped);
    hp_profile_free(backwards);
    hp_profile_free(out);
    for (int i = 0; i < 4; i++)
        hp_profile_free(parts[i]);
}

static void test_names_of_threads(void **state) {
    (void)state;
    static const char *const names[] = {"Thread-1 (work)", "Thread-22 (work)", "pool-3_14", "9", "", "plain"};
    hp_profile *profile = NULL;
    assert_ok(hp_profile_new(&profile));
    memset(profile->meta.id, 9, sizeof profile->meta.id);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint32_t added = hp_profile_add_thread(profile, names[i], i);
        profile->threads[added].measured_ns = 1;
    }
    profile->threads[1].root = HP_NO_NODE; /* a thread that has none; its node is a root without a thread */
    assert_ok(hp_profile_summarize(profile));
    hp_profile *out = merged(&profile, (int[]){0}, 1);
    assert_int_equal(out->thread_count, 6);
    static const char *const folded[] = {"", "*", "<thread Thread-* (work) #*>", "Thread-* (work)", "plain", "pool-*_*"};
    for (uint32_t i = 0; i < out->thread_count; i++)
        assert_string_equal(out->threads[i].name, folded[i]);
    assert_int_equal(out->threads[3].measured_ns, 2);
    hp_profile_free(out);
    hp_profile_free(profile);
}

/* Deeper than any C stack would bear. */
static void test_deep(void **state) {
    (void)state;
    hp_profile *profile = simple(1, 10, 5, 2, 1000);
    uint32_t at = profile->threads[0].root;
    for (uint32_t depth = 0; depth < 200000; depth++)
        at = hp_tree_child(&profile->tree, at, 1 + depth % 2);
    profile->tree.nodes[at].calls = 1;
    hp_profile *out = merged(&profile, (int[]){0}, 1);
    assert_int_equal(out->tree.count, profile->tree.count);
    hp_profile_free(out);
    hp_profile_free(profile);
}

static void test_nothing(void **state) {
    (void)state;
    hp_profile *out = merged(NULL, NULL, 0);
    assert_int_equal(out->tree.count, 1);
    assert_int_equal(out->source_count, 0);
    hp_profile_free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),    cmocka_unit_test(test_any_grouping),     cmocka_unit_test(test_counts_once),
        cmocka_unit_test(test_nothing_lost), cmocka_unit_test(test_variances_add),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),       cmocka_unit_test(test_names_of_threads), cmocka_unit_test(test_deep),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
