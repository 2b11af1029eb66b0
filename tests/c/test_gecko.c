/* SPDX-License-Identifier: MIT */
/* The tables are read as the Firefox Profiler reads them: columns of one length, indices in range, stacks behind their prefixes. And the
 * numbers: for each function the sums over all samples, by category, are those of the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/gecko/gecko.h"
#include "formats/pstats/pstats.h"
#include "support/bytes.h"
#include "support/json.h"
#include "support/profiles.h"

typedef struct viewed {
    hp_test_json *file;
    const hp_test_json *strings, *categories, *frames, *functions, *stacks, *resources, *sources, *libs, *threads;
} viewed;

static const hp_test_json *cell(const hp_test_json *table, const char *column, size_t i) {
    const hp_test_json *values = hp_test_json_at(table, column);
    assert_true(i < values->count);
    return &values->items[i];
}

/* An index into something of `limit` entries, or what stands for none. */
static bool index_is_sound(const hp_test_json *value, size_t limit, bool may_lack) {
    if (value->type == 'n' || strcmp(value->text, "-1") == 0)
        return may_lack;
    return hp_test_json_u64(value) < limit;
}

static void assert_indices(const hp_test_json *table, const char *column, size_t limit, bool may_lack) {
    size_t length = hp_test_json_u64(hp_test_json_at(table, "length"));
    const hp_test_json *values = hp_test_json_at(table, column);
    assert_int_equal(values->count, length);
    for (size_t i = 0; i < length; i++) {
        if (!index_is_sound(&values->items[i], limit, may_lack))
            fail_msg("%s[%zu] is %s", column, i, values->items[i].text != NULL ? values->items[i].text : "null");
    }
}

static size_t length_of(const hp_test_json *table) {
    return hp_test_json_u64(hp_test_json_at(table, "length"));
}

/* Every column of a table has its length. */
static void assert_columns(const hp_test_json *table) {
    for (size_t i = 0; i < table->count; i++) {
        if (table->items[i].type == '[')
            assert_int_equal(table->items[i].count, length_of(table));
    }
}

static void assert_tables(const viewed *v) {
    const hp_test_json *all[] = {v->frames, v->functions, v->stacks, v->resources, v->sources};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_columns(all[i]);
    assert_indices(v->stacks, "frame", length_of(v->frames), false);
    for (size_t i = 0; i < length_of(v->stacks); i++)
        assert_true(index_is_sound(cell(v->stacks, "prefix", i), i, true));
    assert_indices(v->frames, "func", length_of(v->functions), false);
    assert_indices(v->frames, "category", v->categories->count, true);
    assert_indices(v->functions, "name", v->strings->count, false);
    assert_indices(v->functions, "resource", length_of(v->resources), true);
    assert_indices(v->functions, "source", length_of(v->sources), true);
    assert_indices(v->resources, "lib", v->libs->count, false);
    assert_indices(v->resources, "name", v->strings->count, false);
    assert_indices(v->sources, "filename", v->strings->count, false);
    for (size_t i = 0; i < v->threads->count; i++) {
        const hp_test_json *samples = hp_test_json_at(&v->threads->items[i], "samples");
        assert_columns(samples);
        assert_indices(samples, "stack", length_of(v->stacks), false);
        assert_string_equal(hp_test_json_text(hp_test_json_at(samples, "weightType")), "tracing-ms");
    }
}

static viewed view(const char *text, size_t size) {
    viewed v = {.file = hp_test_json_parse(text, size)};
    const hp_test_json *shared = hp_test_json_at(v.file, "shared");
    v.strings = hp_test_json_at(shared, "stringArray");
    v.frames = hp_test_json_at(shared, "frameTable");
    v.functions = hp_test_json_at(shared, "funcTable");
    v.stacks = hp_test_json_at(shared, "stackTable");
    v.resources = hp_test_json_at(shared, "resourceTable");
    v.sources = hp_test_json_at(shared, "sources");
    v.libs = hp_test_json_at(v.file, "libs");
    v.threads = hp_test_json_at(v.file, "threads");
    v.categories = hp_test_json_at(hp_test_json_at(v.file, "meta"), "categories");
    assert_tables(&v);
    return v;
}

static const char *string_at(const viewed *v, const hp_test_json *index) {
    return hp_test_json_text(&v->strings->items[hp_test_json_u64(index)]);
}

typedef struct tally {
    uint64_t sampled_self, sampled_total, exact_self, exact_total;
    size_t last; /* the sample that it was met in, and one */
} tally;

static const char *category_at(const viewed *v, size_t stack) {
    const hp_test_json *category = cell(v->frames, "category", hp_test_json_u64(cell(v->stacks, "frame", stack)));
    return hp_test_json_text(hp_test_json_at(&v->categories->items[hp_test_json_u64(category)], "name"));
}

static void add_sample(const viewed *v, tally *by_function, size_t number, size_t stack, uint64_t ns) {
    bool exact = strcmp(category_at(v, stack), "Exact") == 0;
    bool top = true;
    assert_true(exact || strncmp(category_at(v, stack), "Sampled", 7) == 0);
    for (;;) {
        tally *each = &by_function[hp_test_json_u64(cell(v->frames, "func", hp_test_json_u64(cell(v->stacks, "frame", stack))))];
        *(exact ? &each->exact_self : &each->sampled_self) += top ? ns : 0;
        *(exact ? &each->exact_total : &each->sampled_total) += each->last == number ? 0 : ns;
        each->last = number;
        top = false;
        if (cell(v->stacks, "prefix", stack)->type == 'n')
            return;
        stack = hp_test_json_u64(cell(v->stacks, "prefix", stack));
    }
}

static uint64_t add_thread(const viewed *v, tally *by_function, const hp_test_json *thread, size_t *number) {
    const hp_test_json *samples = hp_test_json_at(thread, "samples");
    uint64_t elapsed = 0;
    for (size_t i = 0; i < length_of(samples); i++) {
        uint64_t ns = hp_test_json_ns(cell(samples, "weight", i));
        assert_int_equal(hp_test_json_ns(cell(samples, "time", i)), elapsed);
        add_sample(v, by_function, ++*number, hp_test_json_u64(cell(samples, "stack", i)), ns);
        elapsed += ns;
    }
    return elapsed;
}

static void assert_rows(const hp_profile *profile, const viewed *v, const tally *by_function) {
    const char **labels = NULL;
    uint64_t self = 0, expected = 0;
    assert_int_equal(hp_labels_new(profile, &labels), HP_OK);
    for (size_t i = 0; i < length_of(v->functions); i++) {
        const hp_row *row = NULL;
        for (uint32_t r = 0; r < profile->row_count; r++)
            row = strcmp(labels[profile->rows[r].function], string_at(v, cell(v->functions, "name", i))) == 0 ? &profile->rows[r] : row;
        assert_non_null(row);
        assert_int_equal(by_function[i].sampled_self, row->self_sampled);
        assert_int_equal(by_function[i].exact_self, row->self_exact);
        assert_int_equal(by_function[i].sampled_total, row->total_sampled);
        assert_int_equal(by_function[i].exact_total, row->total_exact);
        self += by_function[i].sampled_self + by_function[i].exact_self;
    }
    for (uint32_t r = 0; r < profile->row_count; r++)
        expected += profile->rows[r].self_sampled + profile->rows[r].self_exact;
    assert_int_equal(self, expected);
    hp_labels_free(labels);
}

static void assert_holds(const hp_profile *profile, const char *text, size_t size) {
    viewed v = view(text, size);
    tally *by_function = calloc(length_of(v.functions) + 1, sizeof *by_function);
    uint64_t longest = 0;
    size_t number = 0;
    assert_non_null(by_function);
    for (size_t i = 0; i < v.threads->count; i++) {
        uint64_t sum = add_thread(&v, by_function, &v.threads->items[i], &number);
        longest = sum > longest ? sum : longest;
    }
    if (longest != 0)
        assert_int_equal(hp_test_json_ns(hp_test_json_at(hp_test_json_at(v.file, "meta"), "profilingEndTime")), longest);
    assert_rows(profile, &v, by_function);
    free(by_function);
    hp_test_json_free(v.file);
}

static void test_golden(void **state) {
    (void)state;
    hp_test_goldens(&hp_format_gecko, "gecko.json", assert_holds);
}

static void test_random(void **state) {
    (void)state;
    hp_test_randoms(&hp_format_gecko, assert_holds);
}

/* The main thread is selected, and seen with the first 50 that have time. */
static void test_threads_shown(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    profile->meta.pid = 60;
    for (uint64_t id = 1; id <= 70; id++) {
        uint32_t thread = hp_profile_add_thread(profile, "t", id);
        profile->tree.nodes[profile->threads[thread].root].exact = id > 5 ? 1 : 0;
    }
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    char *text = hp_test_export(profile, &hp_format_gecko, &size);
    viewed v = view(text, size);
    const hp_test_json *meta = hp_test_json_at(v.file, "meta"), *visible = hp_test_json_at(meta, "initialVisibleThreads");
    assert_int_equal(visible->count, 51);
    assert_int_equal(hp_test_json_u64(&visible->items[0]), 5);
    assert_int_equal(hp_test_json_u64(&visible->items[49]), 54);
    assert_int_equal(hp_test_json_u64(&visible->items[50]), 59);
    assert_int_equal(hp_test_json_u64(&hp_test_json_at(meta, "initialSelectedThreads")->items[0]), 59);
    for (size_t i = 0; i < 70; i++)
        assert_int_equal(hp_test_json_at(&v.threads->items[i], "isMainThread")->type, i == 59 ? 't' : 'f');
    hp_test_json_free(v.file);
    free(text);
    hp_profile_free(profile);
}

static size_t function_named(const viewed *v, const char *name) {
    for (size_t i = 0; i < length_of(v->functions); i++) {
        if (strcmp(string_at(v, cell(v->functions, "name", i)), name) == 0)
            return i;
    }
    fail_msg("no function is called %s", name);
    return 0;
}

/* Function, file, line, package; and each thread. */
static void test_names(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = hp_fixture_make("mixed");
    char *text = hp_test_export(profile, &hp_format_gecko, &size);
    viewed v = view(text, size);
    size_t price = function_named(&v, "shop.cart.price"), joined = function_named(&v, "<method 'join' of 'str' objects>");
    size_t source = hp_test_json_u64(cell(v.functions, "source", price)), resource = hp_test_json_u64(cell(v.functions, "resource", price));
    assert_string_equal(string_at(&v, cell(v.sources, "filename", source)), "/srv/shop/cart.py");
    assert_string_equal(string_at(&v, cell(v.resources, "name", resource)), "shop");
    assert_string_equal(hp_test_json_text(hp_test_json_at(&v.libs->items[hp_test_json_u64(cell(v.resources, "lib", resource))], "name")),
                        "shop");
    assert_int_equal(hp_test_json_u64(cell(v.functions, "lineNumber", price)), 30);
    assert_int_equal(cell(v.functions, "source", joined)->type, 'n');
    assert_string_equal(cell(v.functions, "resource", joined)->text, "-1");
    assert_int_equal(v.threads->count, 3);
    assert_string_equal(hp_test_json_text(hp_test_json_at(&v.threads->items[1], "name")), "worker-1");
    assert_int_equal(hp_test_json_u64(hp_test_json_at(&v.threads->items[1], "tid")), 12);
    assert_int_equal(length_of(hp_test_json_at(&v.threads->items[2], "samples")), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(hp_test_json_at(&v.threads->items[i], "isMainThread")->type, i == 0 ? 't' : 'f');
    hp_test_json_free(v.file);
    free(text);
    hp_profile_free(profile);
}

static uint64_t at_line(const viewed *v, const char *category, uint32_t line) {
    const hp_test_json *samples = hp_test_json_at(&v->threads->items[0], "samples");
    uint64_t ns = 0;
    for (size_t i = 0; i < length_of(samples); i++) {
        size_t stack = hp_test_json_u64(cell(samples, "stack", i));
        const hp_test_json *at = cell(v->frames, "line", hp_test_json_u64(cell(v->stacks, "frame", stack)));
        if (strcmp(category_at(v, stack), category) == 0 && (at->type == 'n' ? line == 0 : hp_test_json_u64(at) == line))
            ns += hp_test_json_ns(cell(samples, "weight", i));
    }
    return ns;
}

/* Every state has a category of its own, and a line its own frame; time that no line is known of has one without. */
static void test_states_and_lines(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    uint32_t thread = hp_profile_add_thread(profile, "one", 1);
    hp_function function = {HP_CODE_PYTHON, "m", "f", "f", "/m.py", 3};
    uint32_t node = hp_tree_child(&profile->tree, profile->threads[thread].root, hp_profile_function(profile, &function));
    for (uint32_t i = 0; i < HP_STATES; i++)
        assert_int_equal(hp_profile_add_line(profile, &(hp_line){node, 10 + i % 2, (hp_thread_state)i, 1, 100 + i}), HP_OK);
    profile->tree.nodes[node].sampled = 1000; /* 936 at lines */
    profile->tree.nodes[node].exact = 5;
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    char *text = hp_test_export(profile, &hp_format_gecko, &size);
    viewed v = view(text, size);
    static const char *const names[HP_STATES] = {"Sampled",
                                                 "Sampled: Python",
                                                 "Sampled: C function",
                                                 "Sampled: garbage collection",
                                                 "Sampled: running without the GIL",
                                                 "Sampled: waiting for the GIL",
                                                 "Sampled: waiting for a lock",
                                                 "Sampled: sleeping",
                                                 "Sampled: in a system call"};
    for (uint32_t i = 0; i < HP_STATES; i++)
        assert_int_equal(at_line(&v, names[i], 10 + i % 2), 100 + i);
    assert_int_equal(at_line(&v, "Sampled", 0), 1000 - 936);
    assert_int_equal(at_line(&v, "Exact", 0), 5);
    hp_test_json_free(v.file);
    free(text);
    hp_profile_free(profile);
}

/* 100,000 deep with time at each level: every node is one stack on another, so nothing repeats. Over 2^53 ns nothing is rounded. */
static void test_depth(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    uint32_t thread = hp_profile_add_thread(profile, "deep", 1), node = profile->threads[thread].root;
    hp_function function = {HP_CODE_PYTHON, "deep", "down", "down", "/srv/deep.py", 1};
    uint32_t id = hp_profile_function(profile, &function);
    for (uint32_t i = 0; i < 100000; i++) {
        node = hp_tree_child(&profile->tree, node, id);
        profile->tree.nodes[node].exact = 7;
    }
    profile->tree.nodes[node].exact = (UINT64_C(1) << 53) + 1;
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    char *text = hp_test_export(profile, &hp_format_gecko, &size);
    assert_true(size < 100000 * 60);
    assert_non_null(strstr(text, ",9007199254.740993]"));
    free(text);
    hp_profile_free(profile);
}

static void test_refusal_and_empty(void **state) {
    (void)state;
    size_t size = 0;
    hp_sink *sink = NULL;
    hp_error error = {0};
    hp_profile *profile = hp_fixture_make("plain"), *empty = NULL;
    char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
    hp_profile *table = hp_test_read(&hp_format_pstats, bytes, size);
    assert_int_equal(hp_sink_memory(&sink), HP_OK);
    assert_int_equal(hp_format_gecko.write(sink, table, &error), HP_UNSUPPORTED);
    assert_non_null(strstr(error.text, "whole stacks"));
    hp_sink_bytes(sink, &size);
    assert_int_equal(size, 0);
    assert_int_equal(hp_profile_new(&empty), HP_OK);
    empty->meta.rate_hz = 1e-300; /* what a damaged file may say */
    assert_int_equal(hp_profile_summarize(empty), HP_OK);
    char *text = hp_test_export(empty, &hp_format_gecko, &size);
    assert_holds(empty, text, size);
    free(text);
    free(bytes);
    hp_sink_free(sink);
    hp_profile_free(empty);
    hp_profile_free(table);
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_threads_shown),
        cmocka_unit_test(test_states_and_lines),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_refusal_and_empty),
    };
    return cmocka_run_group_tests_name("gecko", tests, NULL, NULL);
}
