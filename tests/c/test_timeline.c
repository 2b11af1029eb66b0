/* SPDX-License-Identifier: MIT */
/* Samples in the order of time: as they were put into a file they come out of it, however often it was appended to and made compact; they
 * take three bytes or less; and what they say of order and length is what viewers get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/gecko/gecko.h"
#include "formats/speedscope/speedscope.h"
#include "hyprof_samples.h"

static char path[] = "/tmp/hyprof-timeline-XXXXXX";

static const hp_sample_shape usual = {.seed = 2, .stacks = 600, .functions = 300, .threads = 8, .depth = 14, .main_name = "MainThread"};

static void summarize(hp_profile *profile) {
    assert_int_equal(sample_summarize(profile), HP_OK);
}

static void put(hp_profile *profile, uint64_t time, uint32_t node, uint64_t weight) {
    profile->timeline.kept = true;
    assert_int_equal(hp_timeline_reserve(&profile->timeline, 1), HP_OK);
    hp_timeline_append(&profile->timeline, (hp_moment){time, node, (uint32_t)weight});
}

static hp_profile *read_file(const char *name) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    if (hp_import(name, HP_IMPORT_ALL, &profile, &error) != HP_OK)
        fail_msg("%s", error.text);
    return profile;
}

/* Nodes may have other numbers in the file: they are compared by depth and function. */
static void expect_moments(const hp_profile *wanted, const hp_profile *got) {
    assert_int_equal(wanted->timeline.count, got->timeline.count);
    assert_int_equal(wanted->timeline.lost, got->timeline.lost);
    assert_true(wanted->timeline.kept == got->timeline.kept);
    for (uint32_t i = 0; i < wanted->timeline.count; i++) {
        const hp_moment *a = &wanted->timeline.moments[i], *b = &got->timeline.moments[i];
        assert_int_equal(a->time, b->time);
        assert_int_equal(a->weight, b->weight);
        uint32_t x = a->node, y = b->node;
        for (; x != 0 && y != 0; x = wanted->tree.nodes[x].parent, y = got->tree.nodes[y].parent)
            assert_string_equal(wanted->functions[wanted->tree.nodes[x].function].qualname,
                                got->functions[got->tree.nodes[y].function].qualname);
        assert_int_equal(x, y);
    }
}

/* Node by node in any order, times that jump, weights that are not the gap, one of each extreme. */
static void test_round_trip(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    uint64_t random = 7, time = 0;
    for (uint32_t i = 0; i < 140000; i++) {
        time += sample_random(&random) % 3 == 0 ? sample_random(&random) % 2000 : 0;
        put(profile, time, 1 + (uint32_t)(sample_random(&random) % (profile->tree.count - 1)),
            i % 1000 == 0 ? UINT32_MAX
            : i % 7 == 0  ? 0
                          : sample_random(&random) % 5000);
    }
    put(profile, HP_MOMENT_TIME_LIMIT, 1, 1);
    profile->timeline.lost = 12;
    summarize(profile);
    hp_error error = {0};
    assert_int_equal(hp_export(profile, path, &hp_format_hyprof, &error), HP_OK);
    hp_profile *got = read_file(path);
    expect_moments(profile, got);
    hp_profile_free(profile);
    hp_profile_free(got);
}

/* One that was asked for and has nothing yet is there all the same; none that was not. */
static void test_empty_and_none(void **state) {
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        hp_profile *profile = sample_profile(&usual);
        profile->timeline.kept = kept;
        assert_int_equal(hp_export(profile, path, &hp_format_hyprof, NULL), HP_OK);
        hp_profile *got = read_file(path);
        expect_moments(profile, got);
        hp_profile_free(profile);
        hp_profile_free(got);
    }
}

/* A session of `seconds`: what came in each goes to the file, and all of it to `all`. Returns how often the file was made compact. */
static uint32_t play(hp_profile *all, uint32_t threads, uint32_t seconds, uint64_t floor) {
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = NULL;
    hp_error error = {0};
    struct stat file;
    ino_t inode = 0;
    uint32_t compacted = 0;
    uint64_t random = 3, now = 0, before = 0, stacks = profile->tree.count - 1 - usual.threads;
    assert_int_equal(hp_hyprof_open(&stream, path, &error), HP_OK);
    hp_hyprof_compact_above(stream, floor);
    for (uint32_t second = 0; second < seconds; second++) {
        profile->timeline.count = 0;
        while (now < (uint64_t)(second + 1) * (1000000000 / HP_MOMENT_NS)) {
            double uniform = (double)(sample_random(&random) >> 11) * 0x1p-53;
            before = now;
            now += (uint64_t)(-log(1 - uniform) * 10000000 / HP_MOMENT_NS); /* 100 Hz on average */
            for (uint32_t thread = 0; thread < threads; thread++) {
                double place = (double)(sample_random(&random) >> 11) * 0x1p-53;
                uint32_t node = 1 + usual.threads + (uint32_t)(place * place * place * 250) * (uint32_t)(stacks / 250);
                put(profile, now, node, now - before);
                put(all, now, node, now - before);
                profile->tree.nodes[node].samples++;
                profile->tree.nodes[node].sampled += (now - before) * HP_MOMENT_NS;
            }
        }
        if (hp_hyprof_append(stream, profile, &error) != HP_OK)
            fail_msg("%s", error.text);
        if (second % 5 == 0) /* elsewhere two files may get what is appended */
            hp_hyprof_rest(stream, -1);
        assert_int_equal(stat(path, &file), 0);
        compacted += inode != 0 && file.st_ino != inode;
        inode = file.st_ino;
    }
    assert_int_equal(hp_hyprof_close(stream, true, &error), HP_OK);
    hp_profile_free(profile);
    return compacted;
}

static void test_a_stream_that_is_made_compact(void **state) {
    (void)state;
    hp_profile *all = sample_profile(&usual);
    assert_true(play(all, 3, 120, 4096) >= 2);
    hp_profile *got = read_file(path);
    expect_moments(all, got);
    hp_profile_free(all);
    hp_profile_free(got);
}

/* What was asked for and has nothing yet (only targets ran) is still there in the file that takes the other's place. */
static void test_an_empty_one_stays(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = NULL;
    struct stat before, after;
    profile->timeline.kept = true;
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    hp_hyprof_compact_above(stream, 0);
    assert_int_equal(hp_hyprof_append(stream, profile, NULL), HP_OK);
    assert_int_equal(stat(path, &before), 0);
    after = before;
    for (uint32_t step = 0; step < 100 && after.st_ino == before.st_ino; step++) {
        for (uint32_t i = 0; i < profile->tree.count; i++)
            profile->tree.nodes[i].calls += i;
        assert_int_equal(hp_hyprof_append(stream, profile, NULL), HP_OK);
        hp_hyprof_rest(stream, -1);
        assert_int_equal(stat(path, &after), 0);
    }
    assert_int_not_equal(after.st_ino, before.st_ino);
    assert_int_equal(hp_hyprof_close(stream, true, NULL), HP_OK);
    hp_profile *got = read_file(path);
    expect_moments(profile, got);
    hp_profile_free(profile);
    hp_profile_free(got);
}

/* Its chunks, their headers too. */
static double bytes_of_moments(const uint8_t *bytes, size_t size) {
    double sum = 0;
    for (size_t at = 16; at + 20 <= size;) {
        uint32_t payload = (uint32_t)bytes[at + 4] | (uint32_t)bytes[at + 5] << 8 | (uint32_t)bytes[at + 6] << 16;
        sum += bytes[at] == 32 ? 20 + payload : 0;
        at += 20 + payload;
    }
    return sum;
}

static double bytes_a_sample(uint32_t threads, uint32_t seconds) {
    hp_profile *all = sample_profile(&usual);
    uint8_t *bytes = NULL;
    size_t size = 0;
    play(all, threads, seconds, 0);
    hp_profile *got = read_file(path);
    expect_moments(all, got);
    assert_int_equal(hp_read_file(path, 1 << 28, &bytes, &size, NULL), HP_OK);
    double each = bytes_of_moments(bytes, size) / got->timeline.count;
    free(bytes);
    hp_profile_free(all);
    hp_profile_free(got);
    return each;
}

/* What no sampler writes is refused where it is read. */
static void test_what_cannot_be(void **state) {
    (void)state;
    static const hp_moment wrong[] = {{5, 1, 1}, {HP_MOMENT_TIME_LIMIT + 1, 1, 1}};
    static const char *const words[] = {"not in the order of time", "out of range"};
    for (size_t i = 0; i < 2; i++) {
        hp_profile *profile = sample_profile(&usual), *got = NULL;
        hp_error error = {0};
        put(profile, 6, 1, 1);
        put(profile, wrong[i].time, wrong[i].node, wrong[i].weight);
        assert_int_equal(hp_export(profile, path, &hp_format_hyprof, NULL), HP_OK);
        assert_int_equal(hp_import(path, HP_IMPORT_ALL, &got, &error), HP_BAD_FORMAT);
        assert_non_null(strstr(error.text, words[i]));
        profile->timeline.moments[0].node = profile->tree.count;
        assert_int_equal(hp_export(profile, path, &hp_format_hyprof, NULL), HP_BAD_VALUE);
        hp_profile_free(profile);
    }
}

static uint64_t number_behind(const char *key) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(hp_read_file(path, 1 << 20, &bytes, &size, NULL), HP_OK);
    char *text = strndup((const char *)bytes, size);
    assert_non_null(text);
    free(bytes);
    const char *last = NULL, *at = text;
    while ((at = strstr(at, key)) != NULL)
        last = at += strlen(key);
    assert_non_null(last);
    uint64_t number = strtoull(last, NULL, 10);
    free(text);
    return number;
}

/* A file may claim weights that overlap: viewers get a thread that ends when its last sample was taken. */
static void test_weights_that_overlap(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    for (uint64_t i = 0; i < 4; i++)
        put(profile, HP_MOMENT_TIME_LIMIT, 1, i % 2 == 0 ? UINT32_MAX : 5);
    hp_error error = {0};
    assert_int_equal(hp_export(profile, path, &hp_format_speedscope, &error), HP_OK);
    assert_int_equal(number_behind("\"endValue\":"), HP_MOMENT_TIME_LIMIT * HP_MOMENT_NS);
    assert_int_equal(hp_export(profile, path, &hp_format_gecko, &error), HP_OK);
    assert_int_equal(number_behind("\"profilingEndTime\":"), HP_MOMENT_TIME_LIMIT * HP_MOMENT_NS / 1000000);
    hp_profile_free(profile);
}

static void test_three_bytes_a_sample(void **state) {
    (void)state;
    double eight = bytes_a_sample(8, 120), one = bytes_a_sample(1, 600);
    print_message("bytes a sample: 8 threads %.2f, 1 thread %.2f\n", eight, one);
    assert_true(eight <= 3 && one <= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_empty_and_none),
        cmocka_unit_test(test_a_stream_that_is_made_compact),
        cmocka_unit_test(test_an_empty_one_stays),
        cmocka_unit_test(test_what_cannot_be),
        cmocka_unit_test(test_weights_that_overlap),
        cmocka_unit_test(test_three_bytes_a_sample),
    };
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        return 1;
    close(descriptor);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
