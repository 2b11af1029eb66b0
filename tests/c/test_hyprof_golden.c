/* SPDX-License-Identifier: MIT */
/* Files of earlier releases: kept for ever, must be read for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "formats/hyprof/encode.h"
#include "hyprof_samples.h"
#include "tree/merge.h"

static const hp_sample_shape whole = {.seed = 7, .stacks = 24, .functions = 20, .threads = 3, .depth = 5, .main_name = "MainThread"};

/* Every chunk inflated: what two zlib versions agree on. */
static char *inflated(const uint8_t *bytes, size_t size) {
    char *text = NULL;
    size_t text_size = 0;
    hp_inflater inflater = {0};
    FILE *to = open_memstream(&text, &text_size);
    for (size_t at = HP_FILE_HEADER_SIZE; at < size;) {
        hp_chunk chunk;
        const uint8_t *raw = NULL;
        assert_int_equal(hp_chunk_read(bytes + at, size - at, &chunk), HP_CHUNK_WHOLE);
        assert_int_equal(hp_chunk_inflate(&chunk, &inflater, &raw, NULL), HP_OK);
        fprintf(to, "%u %u ", chunk.type, chunk.raw_size);
        for (uint32_t i = 0; i < chunk.raw_size; i++)
            fprintf(to, "%02x", raw[i]);
        fputc('\n', to);
        at += HP_CHUNK_HEADER_SIZE + (size_t)chunk.size;
    }
    fclose(to);
    hp_inflater_fini(&inflater);
    return text;
}

/* Two sessions and a file that could not be read. */
static hp_profile *merged(void) {
    hp_merge *merge = NULL;
    hp_profile *out = NULL;
    hp_error error = {0};
    hp_merge_new(&merge);
    for (uint64_t seed = 7; seed < 9; seed++) {
        hp_sample_shape shape = whole;
        bool added = false;
        shape.seed = seed;
        hp_profile *profile = sample_profile(&shape);
        if (hp_merge_add(merge, profile, &added, &error) != HP_OK || !added)
            fail_msg("%s", error.text);
        hp_profile_free(profile);
    }
    hp_merge_leave_out(merge, "old.hyprof: damaged at byte 16: nothing can be recovered");
    if (hp_merge_finish(merge, &out, &error) != HP_OK)
        fail_msg("%s", error.text);
    hp_merge_free(merge);
    return out;
}

/* Of what came in append `i`: it follows what the ones before brought, and among the weights are some that a gap does not explain. */
static void later_moments(hp_profile *profile, uint32_t i) {
    uint64_t random = i;
    profile->timeline.kept = true;
    assert_int_equal(hp_timeline_reserve(&profile->timeline, 40), HP_OK);
    for (uint32_t k = 0; k < 40; k++) {
        uint32_t weight = k % 13 == 0 ? 0 : k % 17 == 0 ? UINT32_MAX : 200;
        uint32_t node = 1 + (uint32_t)(sample_random(&random) % (profile->tree.count - 1));
        hp_timeline_append(&profile->timeline, (hp_moment){9000 * i + 200 * (k / whole.threads), node, weight});
    }
    profile->timeline.lost = 2 * i;
}

static hp_profile *with_timeline(void) {
    hp_profile *profile = sample_profile(&whole);
    later_moments(profile, 1);
    return profile;
}

static const char *golden_folder(void) {
    const char *folder = getenv("HYPROF_GOLDEN");
    return folder != NULL ? folder : "formats/hyprof/golden";
}

static uint8_t *golden_file(const char *name, size_t *size) {
    char path[512];
    uint8_t *bytes = NULL;
    hp_error error = {0};
    snprintf(path, sizeof path, "%s/%s", golden_folder(), name);
    if (hp_read_file(path, 1 << 20, &bytes, size, &error) != HP_OK)
        fail_msg("%s", error.text);
    return bytes;
}

/* Reads NAME.hyprof and compares it with NAME.txt, which was written by the release that wrote the file. */
static void expect_golden(const char *name) {
    char file[64];
    size_t size = 0, text_size = 0;
    hp_error error = {0};
    hp_profile *profile = NULL;
    snprintf(file, sizeof file, "%s.hyprof", name);
    uint8_t *bytes = golden_file(file, &size);
    snprintf(file, sizeof file, "%s.txt", name);
    uint8_t *expected = golden_file(file, &text_size);
    if (hp_format_hyprof.read(bytes, size, &profile, &error) != HP_OK)
        fail_msg("%s", error.text);
    char *text = sample_dump_data(profile);
    assert_int_equal(strlen(text), text_size);
    assert_memory_equal(text, expected, text_size);
    free(text);
    free(bytes);
    free(expected);
    hp_profile_free(profile);
}

static void test_golden(void **state) {
    (void)state;
    expect_golden("1.0-whole");
    expect_golden("1.0-live");
    expect_golden("1.0-flat");
    expect_golden("1.1-merged");
    expect_golden("1.1-live");
    expect_golden("1.1-flat");
    expect_golden("1.2-timeline");
    expect_golden("1.2-live");
}

/* What this version writes is what the golden file of its format version holds, but for zlib's choices. */
static void expect_written(const char *name, hp_profile *profile) {
    size_t golden_size = 0, size = 0;
    uint8_t *bytes = sample_encode(profile, &size), *golden = golden_file(name, &golden_size);
    char *expected = inflated(golden, golden_size), *got = inflated(bytes, size);
    assert_string_equal(expected, got);
    free(expected);
    free(got);
    free(golden);
    free(bytes);
    hp_profile_free(profile);
}

static void test_golden_written(void **state) {
    (void)state;
    expect_written("1.0-whole.hyprof", sample_profile(&whole));
    expect_written("1.1-merged.hyprof", merged());
    expect_written("1.2-timeline.hyprof", with_timeline());
}

static void golden_write(const char *name, const uint8_t *bytes, size_t size) {
    char path[512];
    hp_profile *profile = NULL;
    hp_format_hyprof.read(bytes, size, &profile, NULL);
    char *text = sample_dump_data(profile);
    snprintf(path, sizeof path, "%s/%s.hyprof", golden_folder(), name);
    FILE *to = fopen(path, "wb");
    if (to == NULL)
        abort();
    fwrite(bytes, 1, size, to);
    fclose(to);
    snprintf(path, sizeof path, "%s/%s.txt", golden_folder(), name);
    to = fopen(path, "wb");
    if (to == NULL)
        abort();
    fputs(text, to);
    fclose(to);
    free(text);
    hp_profile_free(profile);
}

static void golden_write_profile(const char *name, hp_profile *profile) {
    size_t size = 0;
    uint8_t *bytes = sample_encode(profile, &size);
    golden_write(name, bytes, size);
    free(bytes);
    hp_profile_free(profile);
}

/* Appends of a session that was killed in the midst of the fourth. The third knows less than the second, whose samples then have lost
 * their nodes, as after a thread has got another name. */
static void live(hp_group *group) {
    static const uint32_t stacks[] = {6, 12, 10, 24};
    hp_encoder encoder;
    hp_sample_shape shape = whole;
    size_t whole_groups = 0;
    hp_encoder_init(&encoder);
    hp_group_file_header(group);
    for (uint32_t i = 0; i < 4; i++) {
        shape.stacks = stacks[i];
        whole_groups = group->out.size;
        hp_profile *profile = sample_profile(&shape);
        later_moments(profile, i);
        hp_encoder_take(&encoder, profile, NULL);
        hp_encoder_write(&encoder, group);
        hp_encoder_written(&encoder);
        hp_profile_free(profile);
    }
    hp_encoder_fini(&encoder);
    group->out.size = (whole_groups + group->out.size) / 2;
}

/* For a new format version only: `HYPROF_GOLDEN=FOLDER test_hyprof_golden --write-golden`. Files of earlier ones are never written
 * again: 1.0's and 1.1's were a profile, a flat one, a merged one (1.1), and three appends of a session that was killed. */
static void golden_write_all(void) {
    hp_group group = {0};
    live(&group);
    golden_write("1.2-live", group.out.data, group.out.size);
    hp_group_free(&group);
    golden_write_profile("1.2-timeline", with_timeline());
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "--write-golden") == 0) {
        golden_write_all();
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_golden_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
