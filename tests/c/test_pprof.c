/* SPDX-License-Identifier: MIT */
/* What is written as pprof: golden files, what is read back of it, bounds. */
#include "hyprof_samples.h"
#include "support/check.h"

#include "formats/pprof/gzip.h"
#include "formats/pprof/pprof.h"
#include "formats/pprof/wire.h"
#include "support/bytes.h"
#include "support/profiles.h"

/* What a file holds before compression, which may differ from zlib to zlib. */
static uint8_t *export_raw(const hp_profile *profile, size_t *raw_size) {
    size_t size = 0;
    uint8_t *raw = NULL;
    hp_error error = {0};
    char *bytes = hp_test_export(profile, &hp_format_pprof, &size);
    if (hp_gunzip((uint8_t *)bytes, size, &raw, raw_size, &error) != HP_OK)
        fail_msg("%s", error.text);
    free(bytes);
    return raw;
}

/* Estimates, the mark of calls that were still open and the overflow count have no place in the format. */
static void forget_lost(hp_profile *profile) {
    profile->estimate_count = 0;
    profile->tree.overflowed = 0;
    for (uint32_t i = 0; i < profile->tree.count; i++)
        profile->tree.nodes[i].flags &= ~(uint32_t)HP_NODE_OPEN;
    assert_ok(hp_profile_summarize(profile));
}

/* The lines of a dump but for functions that nothing refers to. */
static char *told(const hp_profile *profile) {
    char *text = sample_dump(profile, true), *to = text;
    for (char *line = text; *line != '\0';) {
        char *end = strchr(line, '\n');
        size_t size = end == NULL ? strlen(line) : (size_t)(end - line) + 1;
        if (strncmp(line, "function ", 9) != 0) {
            memmove(to, line, size);
            to += size;
        }
        line += size;
    }
    *to = '\0';
    return text;
}

static void assert_same(const hp_profile *a, const hp_profile *b) {
    char *left = told(a), *right = told(b);
    assert_string_equal(left, right);
    free(left);
    free(right);
}

static hp_profile *read_back(const hp_profile *profile) {
    size_t size = 0;
    char *bytes = hp_test_export(profile, &hp_format_pprof, &size);
    assert_true(hp_format_pprof.recognize((uint8_t *)bytes, size));
    hp_profile *back = hp_test_read(&hp_format_pprof, bytes, size);
    free(bytes);
    return back;
}

static void test_golden(void **state) {
    (void)state;
    for (size_t i = 0; hp_fixtures[i].name != NULL; i++) {
        char path[128];
        size_t size = 0;
        hp_profile *profile = hp_fixtures[i].make();
        uint8_t *raw = export_raw(profile, &size);
        snprintf(path, sizeof path, "formats/pprof/golden/%s.pb", hp_fixtures[i].name);
        hp_test_golden(path, (char *)raw, size);
        assert_true(hp_format_pprof.recognize(raw, size));
        hp_profile *back = hp_test_read(&hp_format_pprof, raw, size);
        assert_int_equal(back->row_count, profile->row_count);
        free(raw);
        hp_profile_free(back);
        hp_profile_free(profile);
    }
}

/* Everything that the format can hold, of profiles that use everything. */
static void test_round_trip(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 12; i++) {
        hp_sample_shape shape = {
            .seed = i, .stacks = 2 + i * i * 10, .functions = 4 + i * 5, .threads = 1 + i % 4, .depth = 3 + i, .main_name = "MainThread"};
        hp_profile *profile = sample_profile(&shape);
        forget_lost(profile);
        hp_profile *back = read_back(profile);
        assert_same(profile, back);
        hp_profile *again = read_back(back);
        assert_same(profile, again);
        hp_profile_free(again);
        hp_profile_free(back);
        hp_profile_free(profile);
    }
}

static void test_round_trip_of_fixtures(void **state) {
    (void)state;
    for (size_t i = 0; hp_fixtures[i].name != NULL; i++) {
        hp_profile *profile = hp_fixtures[i].make();
        hp_profile *back = read_back(profile);
        memcpy(back->meta.id, profile->meta.id, sizeof back->meta.id); /* these have none: the reader makes one */
        if (strcmp(hp_fixtures[i].name, "hostile") != 0) /* one of its names is no UTF-8, which no profile read from a file holds */
            assert_same(profile, back);
        assert_int_equal(back->row_count, profile->row_count);
        for (uint32_t row = 0; row < profile->row_count; row++) {
            assert_int_equal(back->rows[row].measured, profile->rows[row].measured);
            assert_int_equal(back->rows[row].self_sampled, profile->rows[row].self_sampled);
            assert_int_equal(back->rows[row].total_exact, profile->rows[row].total_exact);
            assert_int_equal(back->rows[row].calls, profile->rows[row].calls);
        }
        hp_profile_free(back);
        hp_profile_free(profile);
    }
}

static hp_profile *chain(uint32_t depth, bool every) {
    hp_profile *profile = NULL;
    assert_ok(hp_profile_new(&profile));
    uint32_t thread = hp_profile_add_thread(profile, "deep", 1), node = profile->threads[thread].root;
    hp_function function = {HP_CODE_PYTHON, "deep", "down", "down", "/srv/deep.py", 1};
    uint32_t id = hp_profile_function(profile, &function);
    for (uint32_t i = 0; i < depth; i++) {
        node = hp_tree_child(&profile->tree, node, id);
        profile->tree.nodes[node].exact = every || i + 1 == depth ? 7 : 0;
    }
    assert_ok(hp_profile_summarize(profile));
    return profile;
}

static void assert_depth(uint32_t depth, bool every) {
    hp_profile *profile = chain(depth, every);
    hp_profile *back = read_back(profile);
    assert_int_equal(back->tree.count, depth + 2);
    assert_int_equal(back->rows[1].total_exact, every ? UINT64_C(7) * depth : 7);
    hp_profile_free(back);
    hp_profile_free(profile);
}

/* The second deflates so well that blocks have to be stored for a reader to believe it: 72 MB before compression. */
static void test_depth(void **state) {
    (void)state;
    assert_depth(100000, false);
    assert_depth(12000, true);
}

static void assert_refused(const hp_profile *profile, const char *words) {
    hp_sink *sink = NULL;
    hp_error error = {0};
    size_t size = 1;
    assert_ok(hp_sink_memory(&sink));
    assert_int_equal(hp_format_pprof.write(sink, profile, &error), HP_UNSUPPORTED);
    if (strstr(error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
    hp_sink_bytes(sink, &size);
    assert_int_equal(size, 0);
    hp_sink_free(sink);
}

/* What the format cannot hold is refused before the first byte. */
static void test_refusals(void **state) {
    (void)state;
    hp_profile *deep = chain(100000, true), *large = chain(3, true);
    assert_refused(deep, "1 GiB");
    large->tree.nodes[3].exact = INT64_MAX;
    assert_refused(large, "63 bits");
    hp_profile_free(deep);
    hp_profile_free(large);
    size_t size = 0;
    hp_profile *plain = hp_fixture_make("plain");
    char *bytes = hp_test_export(plain, hp_format_named("pstats"), &size);
    hp_profile *table = hp_test_read(hp_format_named("pstats"), bytes, size);
    assert_refused(table, "whole stacks");
    free(bytes);
    hp_profile_free(table);
    hp_profile_free(plain);
}

static void test_empty(void **state) {
    (void)state;
    hp_profile *profile = NULL;
    assert_ok(hp_profile_new(&profile));
    assert_ok(hp_profile_summarize(profile));
    hp_profile *back = read_back(profile);
    assert_int_equal(back->row_count, 0);
    assert_int_equal(back->tree.count, 1);
    hp_profile_free(back);
    hp_profile_free(profile);
}

/* pprof merges what has one name and file: the names of all functions differ. And no system name, which its demangler would cut. */
static void test_names(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = hp_fixture_make("same_names");
    uint8_t *raw = export_raw(profile, &size);
    uint64_t seen[64] = {0};
    uint32_t count = 0;
    hp_wire wire = {raw, raw + size, false};
    hp_wire_field field, part;
    while (hp_wire_next(&wire, &field)) {
        hp_wire inside = hp_wire_inside(&field);
        while (field.number == PROFILE_FUNCTION && hp_wire_next(&inside, &part)) {
            assert_int_not_equal(part.number, FUNCTION_SYSTEM_NAME);
            for (uint32_t i = 0; part.number == FUNCTION_NAME && i < count; i++)
                assert_int_not_equal(seen[i], part.value);
            if (part.number == FUNCTION_NAME)
                seen[count++] = part.value;
        }
    }
    assert_int_equal(count, profile->row_count);
    free(raw);
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_round_trip_of_fixtures),
        cmocka_unit_test(test_depth),  cmocka_unit_test(test_refusals),   cmocka_unit_test(test_empty),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("pprof", tests, NULL, NULL);
}
