/* SPDX-License-Identifier: MIT */
/* Callgrind text is read back as its viewers read it, and compared with sums made over every node's loop-erased stack, the slow and plain
 * way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/callgrind/callgrind.h"
#include "formats/pstats/pstats.h"
#include "support/bytes.h"
#include "support/profiles.h"

enum { COLUMNS = 4, MOST = 512 };

typedef struct viewed {
    int columns;
    char event[COLUMNS][32];
    uint64_t summary[COLUMNS], totals[COLUMNS];
    uint32_t functions, files, objects;
    char *name[MOST]; /* by id */
    uint64_t self[MOST][COLUMNS], in[MOST][COLUMNS], out[MOST][COLUMNS], called[MOST];
} viewed;

static void take_values(const char *text, uint64_t *values, int columns, bool add) {
    for (int i = 0; i < columns; i++) {
        char *end = NULL;
        uint64_t value = strtoull(text, &end, 10);
        assert_ptr_not_equal(end, text);
        values[i] = (add ? values[i] : 0) + value;
        text = end;
    }
    assert_int_equal(*text, '\n');
}

/* An id is new exactly if a name follows, and then it is the next one. */
static uint32_t take_id(const char *text, uint32_t *count, char **names) {
    char *end = NULL;
    uint32_t id = (uint32_t)strtoul(text + 1, &end, 10);
    assert_int_equal(*text, '(');
    assert_int_equal(*end, ')');
    if (end[1] == ' ') {
        assert_int_equal(id, *count + 1);
        if (id >= MOST)
            abort();
        ++*count;
        if (names != NULL)
            names[id] = strndup(end + 2, strcspn(end + 2, "\n"));
    }
    assert_true(id >= 1 && id <= *count);
    return id;
}

static bool starts(const char *line, const char *with) {
    return strncmp(line, with, strlen(with)) == 0;
}

static void take_events(viewed *v, const char *text) {
    while (*text == ' ') {
        if (v->columns >= COLUMNS)
            abort();
        text += strspn(text, " ");
        size_t size = strcspn(text, " \n");
        assert_true(size < sizeof v->event[0]);
        memcpy(v->event[v->columns++], text, size);
        text += size;
    }
}

static void view_line(viewed *v, const char *line, uint32_t *at, uint32_t *callee, bool *call) {
    if (starts(line, "events:"))
        take_events(v, line + 7);
    else if (starts(line, "summary:"))
        take_values(line + 8, v->summary, v->columns, false);
    else if (starts(line, "totals:"))
        take_values(line + 7, v->totals, v->columns, false);
    else if (starts(line, "fn="))
        *at = take_id(line + 3, &v->functions, v->name);
    else if (starts(line, "cfn="))
        *callee = take_id(line + 4, &v->functions, v->name);
    else if (starts(line, "fl=") || starts(line, "cfi="))
        take_id(strchr(line, '=') + 1, &v->files, NULL);
    else if (starts(line, "ob=") || starts(line, "cob="))
        take_id(strchr(line, '=') + 1, &v->objects, NULL);
    else if (starts(line, "calls=")) {
        uint64_t calls = strtoull(line + 6, NULL, 10);
        assert_int_not_equal(calls, 0);
        v->called[*callee] += calls;
        *call = true;
    } else if (*line >= '0' && *line <= '9') {
        const char *values = line + strcspn(line, " ");
        take_values(values, *call ? v->out[*at] : v->self[*at], v->columns, true);
        if (*call)
            take_values(values, v->in[*callee], v->columns, true);
        *call = false;
    }
}

static viewed *view(const char *text) {
    viewed *v = calloc(1, sizeof *v);
    uint32_t at = 0, callee = 0;
    bool call = false;
    assert_non_null(v);
    assert_true(starts(text, "# callgrind format\n"));
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        view_line(v, line, &at, &callee, &call);
    return v;
}

static void view_free(viewed *v) {
    for (uint32_t i = 1; i <= v->functions; i++)
        free(v->name[i]);
    free(v);
}

/* What every viewer relies on: costs conserve at each function, self costs make up the totals, and one function has no caller. */
static void assert_conserves(const viewed *v) {
    uint64_t self[COLUMNS] = {0};
    uint32_t roots = 0;
    for (uint32_t id = 1; id <= v->functions; id++) {
        bool root = v->called[id] == 0;
        roots += root;
        for (int i = 0; i < v->columns; i++) {
            self[i] += v->self[id][i];
            uint64_t inclusive = v->self[id][i] + v->out[id][i];
            if (!root && v->in[id][i] != inclusive)
                fail_msg("%s of %s: %llu come in, %llu go out", v->event[i], v->name[id], (unsigned long long)v->in[id][i],
                         (unsigned long long)inclusive);
            if (root)
                assert_int_equal(inclusive, v->summary[i]);
        }
    }
    assert_int_equal(roots, 1);
    for (int i = 0; i < v->columns; i++) {
        assert_int_equal(self[i], v->summary[i]);
        assert_int_equal(self[i], v->totals[i]);
    }
}

static int column(const viewed *v, const char *event) {
    for (int i = 0; i < v->columns; i++) {
        if (strcmp(v->event[i], event) == 0)
            return i;
    }
    return -1;
}

/* By function: self and inclusive ns over loop-erased stacks, each stack built anew from its node. */
static void add_erased(const hp_profile *profile, uint32_t leaf, uint64_t *inclusive) {
    static uint32_t stack[1024], erased[1024];
    uint32_t depth = 0, kept = 0;
    const hp_node *nodes = profile->tree.nodes;
    for (uint32_t at = leaf; at != 0; at = nodes[at].parent)
        stack[depth++] = nodes[at].function;
    while (depth-- > 0) {
        uint32_t place = 0;
        while (place < kept && erased[place] != stack[depth])
            place++;
        erased[place] = stack[depth];
        kept = place + 1;
    }
    for (uint32_t i = 0; i < kept; i++)
        inclusive[erased[i]] += nodes[leaf].sampled + nodes[leaf].exact;
}

static void assert_erased(const hp_profile *profile, const viewed *v) {
    uint64_t *inclusive = calloc(profile->function_count, sizeof *inclusive);
    const char **labels = NULL;
    int all = v->columns == COLUMNS ? 0 : column(v, "Wall_est_ns") >= 0 ? column(v, "Wall_est_ns") : column(v, "Wall_exact_ns");
    uint32_t found = 0;
    assert_int_equal(hp_labels_new(profile, &labels), HP_OK);
    for (uint32_t i = 1; i < profile->tree.count; i++)
        add_erased(profile, i, inclusive);
    for (uint32_t id = 1; id <= v->functions; id++) {
        for (uint32_t f = 0; f < profile->function_count; f++) {
            if (strcmp(labels[f], v->name[id]) != 0)
                continue;
            found++;
            assert_int_equal(v->self[id][all] + v->out[id][all], inclusive[f]);
        }
    }
    assert_true(found + 1 >= v->functions);
    hp_labels_free(labels);
    free(inclusive);
}

static void assert_text_conserves(const hp_profile *profile, const char *text, size_t size) {
    (void)profile;
    (void)size;
    viewed *v = view(text);
    assert_conserves(v);
    view_free(v);
}

static void test_golden(void **state) {
    (void)state;
    hp_test_goldens(&hp_format_callgrind, "callgrind", assert_text_conserves);
}

static void test_random(void **state) {
    (void)state;
    int mixed = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        size_t size = 0;
        hp_profile *profile = hp_fixture_random(seed, 50 + 20 * (uint32_t)seed, 4 + (uint32_t)seed, 40, 1 + (uint32_t)seed % 3);
        char *text = hp_test_export(profile, &hp_format_callgrind, &size);
        viewed *v = view(text);
        mixed += v->columns == COLUMNS;
        assert_conserves(v);
        assert_erased(profile, v);
        view_free(v);
        free(text);
        hp_profile_free(profile);
    }
    assert_true(mixed > 40);
}

static uint64_t row_total(const hp_profile *profile, const char *name) {
    for (uint32_t i = 0; i < profile->row_count; i++) {
        if (strcmp(profile->functions[profile->rows[i].function].name, name) == 0)
            return profile->rows[i].total_sampled + profile->rows[i].total_exact;
    }
    fail_msg("no row of %s", name);
    return 0;
}

/* From rows alone: still conserves whatever the recursion; without recursion it is exact. */
static void test_from_table(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        size_t size = 0;
        hp_profile *profile = seed == 0 ? hp_fixture_make("plain")
                                        : hp_fixture_random(seed, 40 * (uint32_t)seed, 3 + (uint32_t)seed, 20, 1 + (uint32_t)seed % 3);
        char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
        hp_profile *table = hp_test_read(&hp_format_pstats, bytes, size);
        char *text = hp_test_export(table, &hp_format_callgrind, &size);
        viewed *v = view(text);
        assert_conserves(v);
        for (uint32_t id = 1; seed == 0 && id <= v->functions; id++) {
            const char *dot = strrchr(v->name[id], '.');
            if (v->name[id][0] != '<' && dot != NULL)
                assert_int_equal(v->self[id][0] + v->out[id][0], row_total(profile, dot + 1));
        }
        view_free(v);
        free(text);
        free(bytes);
        hp_profile_free(table);
        hp_profile_free(profile);
    }
}

/* Edges whose times are more together than 64 bits hold, and a function that has nearly as much. */
static void test_vast_edges(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    profile->rows = calloc(4, sizeof *profile->rows);
    profile->edges = calloc(6, sizeof *profile->edges);
    profile->row_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        char name[] = {(char)('a' + i), '\0'};
        uint32_t id = hp_profile_function(profile, &(hp_function){HP_CODE_PYTHON, "vast", name, name, "/srv/vast.py", i});
        profile->rows[i] = (hp_row){.function = id, .self_sampled = i < 3 ? 0 : UINT64_C(31) << 59};
    }
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t id = profile->rows[i].function;
        profile->edges[i] = (hp_edge){.caller = id, .callee = profile->rows[3].function, .total_sampled = UINT64_C(1) << 63};
        profile->edges[3 + i] = (hp_edge){.caller = HP_NO_FUNCTION, .callee = id};
    }
    profile->edge_count = 6;
    size_t size = 0;
    char *text = hp_test_export(profile, &hp_format_callgrind, &size);
    viewed *v = view(text);
    assert_conserves(v);
    view_free(v);
    free(text);
    hp_profile_free(profile);
}

/* What is estimated and what is exact is told by the columns, and a column that would be zero throughout is not there. */
static void test_events(void **state) {
    (void)state;
    static const struct {
        const char *fixture;
        const char *events[COLUMNS + 1];
    } expected[] = {{"plain", {"Wall_est_ns"}},
                    {"recursive", {"Wall_exact_ns", "Calls_exact"}},
                    {"generators", {"Cpu_exact_ns", "Calls_exact"}},
                    {"mixed", {"Wall_ns", "Wall_est_ns", "Wall_exact_ns", "Calls_exact"}}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        size_t size = 0;
        hp_profile *profile = hp_fixture_make(expected[i].fixture);
        char *text = hp_test_export(profile, &hp_format_callgrind, &size);
        viewed *v = view(text);
        int count = 0;
        for (; expected[i].events[count] != NULL; count++)
            assert_string_equal(v->event[count], expected[i].events[count]);
        assert_int_equal(v->columns, count);
        view_free(v);
        free(text);
        hp_profile_free(profile);
    }
}

/* Calls without a time, and nothing at all: no event says that anything was estimated. */
static void test_events_without_time(void **state) {
    (void)state;
    for (uint32_t calls = 0; calls < 2; calls++) {
        size_t size = 0;
        hp_profile *profile = NULL;
        assert_int_equal(hp_profile_new(&profile), HP_OK);
        uint32_t thread = hp_profile_add_thread(profile, "main", 1);
        uint32_t function = hp_profile_function(profile, &(hp_function){HP_CODE_PYTHON, "m", "f", "f", "/srv/m.py", 1});
        profile->tree.nodes[hp_tree_child(&profile->tree, profile->threads[thread].root, function)].calls = 5 * calls;
        assert_int_equal(hp_profile_summarize(profile), HP_OK);
        char *text = hp_test_export(profile, &hp_format_callgrind, &size);
        viewed *v = view(text);
        assert_int_equal(v->columns, 1);
        assert_string_equal(v->event[0], calls > 0 ? "Calls_exact" : "Wall_exact_ns");
        assert_null(strstr(text, "estimated"));
        assert_null(strstr(text, "Samples"));
        if (calls > 0)
            assert_conserves(v);
        view_free(v);
        free(text);
        hp_profile_free(profile);
    }
}

static void test_deep(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    assert_int_equal(hp_profile_new(&profile), HP_OK);
    uint32_t thread = hp_profile_add_thread(profile, "deep", 1), node = profile->threads[thread].root;
    for (uint32_t i = 0; i < 100000; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i % 50000); /* two rounds: the second goes back to the first, each a level further */
        hp_function function = {HP_CODE_PYTHON, "deep", name, name, "/srv/deep.py", i % 50000};
        node = hp_tree_child(&profile->tree, node, hp_profile_function(profile, &function));
        profile->tree.nodes[node].exact = 1;
    }
    assert_int_equal(hp_profile_summarize(profile), HP_OK);
    size_t size = 0;
    char *text = hp_test_export(profile, &hp_format_callgrind, &size);
    assert_non_null(strstr(text, "\nsummary: 100000\n"));
    assert_non_null(strstr(text, ") deep.f49999\n"));
    free(text);
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_from_table),
        cmocka_unit_test(test_vast_edges),
        cmocka_unit_test(test_events_without_time),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_deep),
    };
    return cmocka_run_group_tests_name("callgrind", tests, NULL, NULL);
}
