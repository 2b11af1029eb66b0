/* SPDX-License-Identifier: MIT */
/* Every golden file of every format that is read, cut off at every byte and with bits flipped in every byte; and files that are whole but
 * claim what no profile can have. A reader gives a sentence or a sound profile, which every format can write or refuses in a sentence. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#include "formats/collapsed/collapsed.h"
#include "formats/hyprof/hyprof.h"
#include "formats/pprof/pprof.h"
#include "formats/pstats/pstats.h"
#include "hyprof_samples.h"
#include "support/bytes.h"
#include "support/pstats.h"

typedef hp_status (*read_function)(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);

/* --- what must hold of anything that was read -------------------------------------------------------------------------------------- */

/* In memory of its own size: sanitizers see a read behind it. NULL: refused, in a sentence. */
static hp_profile *read_own(read_function read, const void *bytes, size_t size) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    uint8_t *own = malloc(size == 0 ? 1 : size);
    memcpy(own, bytes, size);
    hp_status status = read(own, size, &profile, &error);
    free(own);
    assert_true((status == HP_OK) == (profile != NULL));
    if (status != HP_OK)
        assert_int_not_equal(error.text[0], '\0');
    return profile;
}

static bool survives(const hp_format *format, const void *bytes, size_t size) {
    hp_error error = {0};
    hp_profile *profile = read_own(format->read, bytes, size);
    if (profile != NULL && hp_profile_check(profile, &error) != HP_OK)
        fail_msg("%s: what was read is not sound: %s", format->name, error.text);
    bool read = profile != NULL;
    hp_profile_free(profile);
    const read_function cheaper[] = {format->read_parts, format->read_sources};
    for (size_t i = 0; i < sizeof cheaper / sizeof *cheaper; i++) {
        if (cheaper[i] != NULL)
            hp_profile_free(read_own(cheaper[i], bytes, size));
    }
    return read;
}

/* Each format writes it whole, or says why not. */
static void expect_exports(const hp_profile *profile) {
    for (size_t i = 0; hp_formats[i] != NULL; i++) {
        hp_sink *sink = NULL;
        hp_error error = {0};
        if (hp_formats[i]->write == NULL)
            continue;
        assert_ok(hp_sink_memory(&sink));
        hp_status status = hp_formats[i]->write(sink, profile, &error);
        if (status != HP_OK && error.text[0] == '\0')
            fail_msg("%s: refused without a sentence", hp_formats[i]->name);
        hp_sink_free(sink);
    }
}

/* --- damage ------------------------------------------------------------------------------------------------------------------------ */

static void damage(const hp_format *format, uint8_t *bytes, size_t size) {
    assert_true(survives(format, bytes, size));
    for (size_t at = 0; at < size; at++) {
        survives(format, bytes, at);
        for (unsigned bit = (unsigned)(at % 3); bit < 8; bit += 3) {
            bytes[at] ^= (uint8_t)(1u << bit);
            survives(format, bytes, size);
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
}

/* Go's own source and the texts that belong to a file are no profiles: the format says which files are. */
static uint32_t damage_golden_files(const hp_format *format) {
    char folder[512], path[1024];
    const char *root = getenv("HP_SOURCE_ROOT");
    uint32_t files = 0;
    snprintf(folder, sizeof folder, "%s/formats/%s/golden", root != NULL ? root : ".", format->name);
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t size = 0;
        hp_error error = {0};
        uint8_t *bytes = NULL;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strstr(entry->d_name, ".txt") != NULL || strstr(entry->d_name, ".py") != NULL || strstr(entry->d_name, ".go") != NULL ||
            entry->d_name[0] == '.')
            continue;
        if (hp_read_file(path, 1 << 20, &bytes, &size, &error) != HP_OK)
            fail_msg("%s", error.text);
        if (!format->recognize(bytes, size))
            fail_msg("%s is not recognized", path);
        damage(format, bytes, size);
        free(bytes);
        files++;
    }
    closedir(directory);
    return files;
}

static void test_hyprof_files(void **state) {
    (void)state;
    assert_in_range(damage_golden_files(&hp_format_hyprof), 4, 1000);
}

static void test_pprof_files(void **state) {
    (void)state;
    assert_in_range(damage_golden_files(&hp_format_pprof), 7, 1000);
}

static void test_pstats_files(void **state) {
    (void)state;
    assert_in_range(damage_golden_files(&hp_format_pstats), 16, 1000);
}

static void test_collapsed_files(void **state) {
    (void)state;
    assert_in_range(damage_golden_files(&hp_format_collapsed), 6, 1000);
}

/* --- numbers that do not fit ------------------------------------------------------------------------------------------------------- */

#define BYTES(text) text, sizeof text - 1
#define LONG_63 "l\5\0\0\0\0\0\0\0\0\0\0\0\10\0"                /* 2^63, in digits of 15 bits */
#define LONG_90 "l\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40"           /* beyond 64 bits */
#define KEY(name) "(\3\0\0\0u\2\0\0\0/fi\3\0\0\0u\1\0\0\0" name /* ('/f', 3, name) */
#define CENTURY "g\0\0\0\0\x20\x5f\xa0\x41"                     /* 137.4e6 s: 1.37e17 ns */
#define ENDLESS "g\x9c\x75\x00\x88\x3c\xe4\x37\x7e"             /* 1e300 s */
#define ROW(calls, time) "(\5\0\0\0" calls calls time time "{0"

static void test_counts_that_do_not_fit(void **state) {
    (void)state;
    /* The same key three times: 3 * 2^63 calls are not 2^63 again. */
    hp_profile *profile = read_own(
        hp_format_pstats.read, BYTES("{" KEY("a") ROW(LONG_63, CENTURY) KEY("a") ROW(LONG_63, CENTURY) KEY("a") ROW(LONG_63, CENTURY) "0"));
    assert_non_null(profile);
    assert_true(row_of(profile, "a")->calls == UINT64_MAX);
    expect_exports(profile);
    hp_profile_free(profile);
    profile = read_own(hp_format_pstats.read, BYTES("{" KEY("a") ROW(LONG_90, CENTURY) "0"));
    assert_true(profile == NULL || row_of(profile, "a")->calls == UINT64_MAX);
    if (profile != NULL)
        expect_exports(profile);
    hp_profile_free(profile);
    assert_null(read_own(hp_format_pstats.read, BYTES("{" KEY("a") ROW(LONG_63, ENDLESS) "0")));
}

/* Nodes whose times add up to more than 64 bits hold: no reader of ours takes them for a small sum without a word. */
static void test_sums_that_do_not_fit(void **state) {
    (void)state;
    hp_sample_shape shape = {.seed = 3, .stacks = 12, .functions = 9, .threads = 2, .depth = 4, .main_name = "MainThread"};
    hp_profile *profile = sample_profile(&shape);
    for (uint32_t i = 1; i < profile->tree.count; i++)
        profile->tree.nodes[i].calls = profile->tree.nodes[i].exact = UINT64_C(1) << 63;
    expect_exports(profile);
    size_t size = 0;
    uint8_t *bytes = sample_encode(profile, &size);
    if (bytes != NULL) {
        hp_profile *back = read_own(hp_format_hyprof.read, bytes, size);
        if (back != NULL) {
            assert_ok(hp_profile_check(back, NULL));
            expect_exports(back);
        }
        hp_profile_free(back);
    }
    free(bytes);
    hp_profile_free(profile);
    assert_null(read_own(hp_format_collapsed.read, BYTES("a;b 900000000000000000\na;c 900000000000000000\n")));
    assert_null(read_own(hp_format_collapsed.read, BYTES("a;b 99999999999999999999999999999999\n")));
    assert_null(read_own(hp_format_collapsed.read, BYTES("# interval: 99999999999999999999\na;b 9000000000000000000\n")));
}

/* --- circles ----------------------------------------------------------------------------------------------------------------------- */

#define CALLED_BY(name) "(\5\0\0\0i\1\0\0\0i\1\0\0\0" CENTURY CENTURY "{" KEY(name) "(\4\0\0\0i\1\0\0\0i\1\0\0\0" CENTURY CENTURY "0"

/* a calls b, b calls c, c calls a, and nobody calls them; d calls itself. A tree cannot have such links: its file is refused ("node before
 * its parent" in test_hyprof_damage.c). */
static void test_circles_of_callers(void **state) {
    (void)state;
    hp_profile *profile = read_own(hp_format_pstats.read, BYTES("{" KEY("a") CALLED_BY("c") KEY("b") CALLED_BY("a") KEY("c") CALLED_BY("b")
                                                                    KEY("d") CALLED_BY("d") "0"));
    assert_non_null(profile);
    assert_ok(hp_profile_check(profile, NULL));
    assert_int_equal(profile->row_count, 4);
    assert_int_equal(edge_of(profile, "c", "a")->calls, 1);
    assert_int_equal(edge_of(profile, "d", "d")->calls, 1);
    expect_exports(profile);
    hp_profile_free(profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hyprof_files),           cmocka_unit_test(test_pprof_files),
        cmocka_unit_test(test_pstats_files),           cmocka_unit_test(test_collapsed_files),
        cmocka_unit_test(test_counts_that_do_not_fit), cmocka_unit_test(test_sums_that_do_not_fit),
        cmocka_unit_test(test_circles_of_callers),
    };
    return cmocka_run_group_tests_name("damage of golden files", tests, NULL, NULL);
}
