/* SPDX-License-Identifier: MIT */
/* A folder of its own, and a .hyprof file in it that is written for a long time. cmocka.h comes first. */
#ifndef HP_TESTS_HYPROF_STREAMS_H
#define HP_TESTS_HYPROF_STREAMS_H

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hyprof_samples.h"

enum { FLOOR = 4096 };

static char in_memory[] = "/dev/shm/hyprof-XXXXXX", on_disk[] = "/tmp/hyprof-XXXXXX"; /* there each fsync takes its time */
static const char *folder;
static const char path[] = "live.hyprof";

static inline int make_folder(void **state) {
    (void)state;
    folder = mkdtemp(in_memory);
    folder = folder == NULL ? mkdtemp(on_disk) : folder;
    return folder != NULL && chdir(folder) == 0 ? 0 : -1;
}

static inline int remove_folder(void **state) {
    (void)state;
    return chdir("/") != 0 || rmdir(folder) != 0 ? -1 : 0;
}

/* Each test begins and leaves with an empty folder. */
static inline int empty_folder(void **state) {
    (void)state;
    DIR *here = opendir(".");
    const struct dirent *entry = here == NULL ? NULL : readdir(here);
    for (; entry != NULL; entry = readdir(here))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)!remove(entry->d_name);
    return here == NULL || closedir(here) != 0 ? -1 : 0;
}

static inline uint32_t temporaries(void) {
    uint32_t count = 0;
    DIR *here = opendir(".");
    const struct dirent *entry = here == NULL ? NULL : readdir(here);
    for (; entry != NULL; entry = readdir(here))
        count += strncmp(entry->d_name, ".hybridprof-", 12) == 0;
    closedir(here);
    return count;
}

static inline struct stat status_of(const char *name) {
    struct stat file;
    assert_int_equal(stat(name, &file), 0);
    return file;
}

static inline uint64_t size_of(const char *name) {
    return (uint64_t)status_of(name).st_size;
}

static inline hp_profile *read_back(const char *name) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    hp_error error = {0};
    hp_profile *profile = NULL;
    if (hp_read_file(name, 1 << 28, &bytes, &size, &error) != HP_OK || hp_format_hyprof.read(bytes, size, &profile, &error) != HP_OK)
        fail_msg("%s", error.text);
    free(bytes);
    return profile;
}

/* `endings`: warnings that the file itself adds. */
static inline void expect_same(const char *name, const hp_profile *profile, uint32_t endings) {
    hp_profile *read = read_back(name);
    assert_int_equal(read->meta.warning_count, profile->meta.warning_count + endings);
    read->meta.warning_count = profile->meta.warning_count;
    char *expected = sample_dump(profile, true), *got = sample_dump(read, true);
    assert_string_equal(expected, got);
    free(expected);
    free(got);
    hp_profile_free(read);
}

static inline hp_hyprof_stream *open_stream(const char *name) {
    hp_hyprof_stream *stream = NULL;
    assert_int_equal(hp_hyprof_open(&stream, name, NULL), HP_OK);
    hp_hyprof_compact_above(stream, FLOOR);
    return stream;
}

static inline void append_at_once(hp_hyprof_stream *stream, const hp_profile *profile) {
    hp_error error = {0};
    if (hp_hyprof_append(stream, profile, &error) != HP_OK)
        fail_msg("%s", error.text);
}

/* And whatever waits for the disk: then it does not matter how quick that is. */
static inline void append(hp_hyprof_stream *stream, const hp_profile *profile) {
    append_at_once(stream, profile);
    hp_hyprof_rest(stream, -1);
}

static inline void finish(hp_hyprof_stream *stream) {
    hp_error error = {0};
    if (hp_hyprof_close(stream, true, &error) != HP_OK)
        fail_msg("%s", error.text);
}

static const hp_sample_shape usual = {.seed = 2, .stacks = 120, .functions = 60, .threads = 3, .depth = 7, .main_name = "MainThread"};

/* The same session later: every tenth node has been met again. */
static inline void let_time_pass(hp_profile *profile, uint64_t step) {
    for (uint32_t id = 1 + (uint32_t)(step % 10); id < profile->tree.count; id += 10)
        if (profile->tree.nodes[id].samples > 0) {
            profile->tree.nodes[id].samples++;
            profile->tree.nodes[id].sampled += 9000000 + step * 7919;
        }
    profile->meta.duration_ns += 1000000000;
    assert_int_equal(sample_summarize(profile), HP_OK);
}

/* Goes on until the file has been made compact, or `most` times. */
static inline bool append_until_compact(hp_hyprof_stream *stream, hp_profile *profile, const char *name, int most) {
    ino_t before = status_of(name).st_ino;
    for (int i = 0; i < most && status_of(name).st_ino == before; i++) {
        let_time_pass(profile, (uint64_t)i);
        append(stream, profile);
    }
    return status_of(name).st_ino != before;
}

static inline void append_until_notice(hp_hyprof_stream *stream, hp_profile *profile) {
    for (uint64_t step = 0; hp_hyprof_notice(stream)[0] == '\0' && step < 3000; step++) {
        let_time_pass(profile, step);
        append(stream, profile);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, empty_folder, empty_folder)

#endif
