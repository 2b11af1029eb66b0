/* SPDX-License-Identifier: MIT */
/* A .hyprof file that is written for a long time: it stays as small as what is in it, and nothing that happens on the way costs more than
 * the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hyprof_samples.h"

enum { FLOOR = 4096 };

static char in_memory[] = "/dev/shm/hyprof-XXXXXX", on_disk[] = "/tmp/hyprof-XXXXXX"; /* there each fsync takes its time */
static const char *folder;
static const char path[] = "live.hyprof";

static int make_folder(void **state) {
    (void)state;
    folder = mkdtemp(in_memory);
    folder = folder == NULL ? mkdtemp(on_disk) : folder;
    return folder != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return chdir("/") != 0 || rmdir(folder) != 0 ? -1 : 0;
}

/* Each test begins and leaves with an empty folder. */
static int empty_folder(void **state) {
    (void)state;
    DIR *here = opendir(".");
    const struct dirent *entry = here == NULL ? NULL : readdir(here);
    for (; entry != NULL; entry = readdir(here))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)!remove(entry->d_name);
    return here == NULL || closedir(here) != 0 ? -1 : 0;
}

static uint32_t temporaries(void) {
    uint32_t count = 0;
    DIR *here = opendir(".");
    const struct dirent *entry = here == NULL ? NULL : readdir(here);
    for (; entry != NULL; entry = readdir(here))
        count += strncmp(entry->d_name, ".hybridprof-", 12) == 0;
    closedir(here);
    return count;
}

static struct stat status_of(const char *name) {
    struct stat file;
    assert_int_equal(stat(name, &file), 0);
    return file;
}

static uint64_t size_of(const char *name) {
    return (uint64_t)status_of(name).st_size;
}

static hp_profile *read_back(const char *name) {
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
static void expect_same(const char *name, const hp_profile *profile, uint32_t endings) {
    hp_profile *read = read_back(name);
    assert_int_equal(read->meta.warning_count, profile->meta.warning_count + endings);
    read->meta.warning_count = profile->meta.warning_count;
    char *expected = sample_dump(profile, true), *got = sample_dump(read, true);
    assert_string_equal(expected, got);
    free(expected);
    free(got);
    hp_profile_free(read);
}

static hp_hyprof_stream *open_stream(const char *name) {
    hp_hyprof_stream *stream = NULL;
    assert_int_equal(hp_hyprof_open(&stream, name, NULL), HP_OK);
    hp_hyprof_compact_above(stream, FLOOR);
    return stream;
}

static void append(hp_hyprof_stream *stream, const hp_profile *profile) {
    hp_error error = {0};
    if (hp_hyprof_append(stream, profile, &error) != HP_OK)
        fail_msg("%s", error.text);
}

static void finish(hp_hyprof_stream *stream) {
    hp_error error = {0};
    if (hp_hyprof_close(stream, true, &error) != HP_OK)
        fail_msg("%s", error.text);
}

static const hp_sample_shape usual = {.seed = 2, .stacks = 120, .functions = 60, .threads = 3, .depth = 7, .main_name = "MainThread"};

/* The same session later: every tenth node has been met again. */
static void let_time_pass(hp_profile *profile, uint64_t step) {
    for (uint32_t id = 1 + (uint32_t)(step % 10); id < profile->tree.count; id += 10)
        if (profile->tree.nodes[id].samples > 0) {
            profile->tree.nodes[id].samples++;
            profile->tree.nodes[id].sampled += 9000000 + step * 7919;
        }
    profile->meta.duration_ns += 1000000000;
    assert_int_equal(sample_summarize(profile), HP_OK);
}

/* Goes on until the file has been made compact, or `most` times. */
static bool append_until_compact(hp_hyprof_stream *stream, hp_profile *profile, const char *name, int most) {
    ino_t before = status_of(name).st_ino;
    for (int i = 0; i < most && status_of(name).st_ino == before; i++) {
        let_time_pass(profile, (uint64_t)i);
        append(stream, profile);
    }
    return status_of(name).st_ino != before;
}

static void append_until_notice(hp_hyprof_stream *stream, hp_profile *profile) {
    for (uint64_t step = 0; hp_hyprof_notice(stream)[0] == '\0' && step < 3000; step++) {
        let_time_pass(profile, step);
        append(stream, profile);
    }
}

/* However often something is appended. At each moment a reader sees what was appended last. */
static void test_the_file_is_bounded(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    uint64_t alone = size_of(path), longest = 0, shrunk = 0;
    for (uint64_t step = 0; step < 1500; step++) {
        uint64_t before = size_of(path);
        let_time_pass(profile, step);
        append(stream, profile);
        shrunk += size_of(path) < before;
        longest = size_of(path) > longest ? size_of(path) : longest;
        if (step % 100 == 0 || size_of(path) < before)
            expect_same(path, profile, 1);
    }
    assert_true(shrunk > 5);
    assert_true(alone > FLOOR && longest < 2 * (alone + alone / 2)); /* longer counters take longer numbers */
    assert_int_equal(temporaries(), 0);
    assert_string_equal(hp_hyprof_notice(stream), "");
    finish(stream);
    expect_same(path, profile, 0);
    hp_profile_free(profile);
}

/* What was absent is left out for good, ids are given anew, and differences go on from them. */
static void test_what_is_gone_takes_no_room(void **state) {
    (void)state;
    hp_sample_shape shape = usual;
    shape.stacks = 600;
    hp_profile *large = sample_profile(&shape), *small = NULL;
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, large);
    uint64_t full = size_of(path);
    shape.stacks = 30;
    shape.main_name = "renamed";
    small = sample_profile(&shape);
    assert_true(append_until_compact(stream, small, path, 3000));
    assert_true(size_of(path) < full / 3);
    expect_same(path, small, 1);
    append(stream, large);
    expect_same(path, large, 1);
    append(stream, small);
    finish(stream);
    expect_same(path, small, 0);
    hp_profile_free(large);
    hp_profile_free(small);
}

static void test_mode_owner_and_links_stay(void **state) {
    (void)state;
    struct stat file;
    hp_profile *profile = sample_profile(&usual);
    assert_int_equal(mkdir("there", 0700), 0);
    assert_int_equal(symlink("there/real", path), 0);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    assert_int_equal(stat("there/real", &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    assert_int_equal(chmod("there/real", 0640), 0);
    if (geteuid() == 0)
        assert_int_equal(chown("there/real", 65534, 65534), 0);
    assert_true(append_until_compact(stream, profile, path, 3000));
    assert_int_equal(lstat(path, &file), 0);
    assert_true(S_ISLNK(file.st_mode));
    assert_int_equal(lstat("there/real", &file), 0);
    assert_int_equal(file.st_mode & 07777, 0640);
    assert_int_equal(file.st_uid, geteuid() == 0 ? 65534 : geteuid());
    finish(stream);
    expect_same("there/real", profile, 0);
    hp_profile_free(profile);
    assert_int_equal(unlink("there/real"), 0);
}

static void expect_left_alone(hp_hyprof_stream *stream, hp_profile *profile, const char *name, const char *words) {
    assert_false(append_until_compact(stream, profile, name, 400));
    assert_non_null(strstr(hp_hyprof_notice(stream), words));
    assert_non_null(strstr(hp_hyprof_notice(stream), path));
    expect_same(name, profile, 1);
    assert_int_equal(temporaries(), 0);
    finish(stream);
    expect_same(name, profile, 0);
    hp_profile_free(profile);
}

/* Another writer's file, or whatever else stands there now, is not ours to replace. Ours, renamed, goes on. */
static void test_a_moved_file_is_followed_and_its_place_respected(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    assert_int_equal(rename(path, "moved.hyprof"), 0);
    hp_profile *other = sample_profile(&usual);
    hp_hyprof_stream *second = open_stream(path);
    append(second, other);
    expect_left_alone(stream, profile, "moved.hyprof", "moved, replaced");
    expect_same(path, other, 1);
    finish(second);
    hp_profile_free(other);
}

static void test_a_second_name_is_not_left_behind(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    assert_int_equal(link(path, "second.hyprof"), 0);
    expect_left_alone(stream, profile, "second.hyprof", "second name");
}

/* A link to a link to /dev/fd/N, and the name itself: whoever gave us the descriptor reads that file. */
static void test_a_descriptors_file_is_not_replaced(void **state) {
    (void)state;
    for (int indirect = 0; indirect < 2; indirect++) {
        char name[64];
        int descriptor = open("real", O_RDWR | O_CREAT | O_TRUNC, 0600);
        assert_true(descriptor >= 0);
        snprintf(name, sizeof name, "/dev/fd/%d", descriptor);
        (void)unlink(path);
        assert_int_equal(symlink(name, path), 0);
        hp_profile *profile = sample_profile(&usual);
        hp_hyprof_stream *stream = open_stream(indirect ? path : name);
        append(stream, profile);
        assert_false(append_until_compact(stream, profile, "real", 400));
        assert_non_null(strstr(hp_hyprof_notice(stream), "grows on"));
        finish(stream);
        expect_same("real", profile, 0);
        assert_int_equal(temporaries(), 0);
        hp_profile_free(profile);
        close(descriptor);
    }
}

/* The disk has no room for a second copy: appends go on, one sentence says so, and later it works. */
static void test_no_room_for_the_compact_file(void **state) {
    (void)state;
    struct rlimit old, low;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    getrlimit(RLIMIT_NOFILE, &old);
    low = (struct rlimit){3, old.rlim_max}; /* no descriptor for the temporary file */
    setrlimit(RLIMIT_NOFILE, &low);
    append_until_notice(stream, profile);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_non_null(strstr(hp_hyprof_notice(stream), "Too many open files"));
    expect_same(path, profile, 1);
    assert_true(append_until_compact(stream, profile, path, 4000));
    expect_same(path, profile, 1);
    finish(stream);
    expect_same(path, profile, 0);
    hp_profile_free(profile);
}

/* Another user's folder, after the program has given up its rights: the file cannot be replaced any more, but it is open. */
static void test_rights_that_were_given_up(void **state) {
    (void)state;
    int exit_status = 0;
    if (geteuid() != 0)
        skip();
    pid_t child = fork();
    if (child == 0) {
        hp_profile *profile = sample_profile(&usual);
        hp_hyprof_stream *stream = open_stream(path);
        append(stream, profile);
        bool fine = seteuid(65534) == 0; /* the folder is for root alone */
        append_until_notice(stream, profile);
        fine = fine && strstr(hp_hyprof_notice(stream), "Permission denied") != NULL;
        finish(stream);
        hp_profile_free(profile);
        _exit(fine ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    assert_int_equal(exit_status, 0);
    hp_profile_free(read_back(path));
}

/* A forked child neither appends nor makes compact, whatever state it was copied in. */
static void test_a_forked_child_leaves_it_alone(void **state) {
    (void)state;
    int exit_status = 0;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    ino_t before = status_of(path).st_ino;
    uint64_t size = size_of(path);
    pid_t child = fork();
    if (child == 0) {
        hp_error error = {0};
        hp_hyprof_compact_above(stream, 0);
        for (uint64_t step = 0; step < 50; step++) {
            let_time_pass(profile, step);
            if (hp_hyprof_append(stream, profile, &error) != HP_UNSUPPORTED)
                _exit(1);
        }
        hp_hyprof_close(stream, true, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    assert_int_equal(exit_status, 0);
    assert_true(status_of(path).st_ino == before && size_of(path) == size);
    finish(stream);
    hp_profile_free(profile);
}

enum { NO_TRACING = 77 };

/* In a child that its parent steps from system call to system call: one append that makes the file compact. */
static void append_and_compact(const hp_profile *first, const hp_profile *second) {
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, first);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(NO_TRACING);
    raise(SIGSTOP);
    append(stream, second);
    _exit(hp_hyprof_notice(stream)[0] == '\0' ? 0 : 1);
}

/* Kills the child at its `steps`th stop: before and behind each of its system calls. False: it ended before that. */
static bool kill_at(int steps, const hp_profile *first, const hp_profile *second) {
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        append_and_compact(first, second);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_TRACING)
        skip();
    for (int i = 0; i < steps && WIFSTOPPED(status); i++) {
        ptrace(PTRACE_SYSCALL, child, NULL, NULL);
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    if (!WIFSTOPPED(status)) {
        assert_int_equal(status, 0);
        return false;
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    return true;
}

/* Whatever the moment: a whole file under the name, with the append or without it, and never again without it once it was there. What
 * else lies there is one file that the next start knows. */
static void test_killed_at_every_step(void **state) {
    (void)state;
    hp_sample_shape shape = usual;
    shape.stacks = 40;
    hp_profile *first = sample_profile(&shape);
    shape.stacks = 400;
    hp_profile *second = sample_profile(&shape);
    int without = 0, with = 0, left = 0;
    for (int steps = 0; kill_at(steps, first, second); steps++) {
        hp_profile *read = read_back(path);
        bool has_second = read->meta.samples_kept == second->meta.samples_kept;
        without += !has_second;
        with += has_second;
        assert_true(has_second || with == 0);
        expect_same(path, has_second ? second : first, 1);
        assert_true(temporaries() <= 1);
        left += temporaries() == 1;
        hp_profile_free(read);
        (void)empty_folder(NULL);
    }
    assert_true(without > 3 && left > 3 && with > left);
    hp_profile_free(first);
    hp_profile_free(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, empty_folder, empty_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_the_file_is_bounded),
        TEST(test_what_is_gone_takes_no_room),
        TEST(test_mode_owner_and_links_stay),
        TEST(test_a_moved_file_is_followed_and_its_place_respected),
        TEST(test_a_second_name_is_not_left_behind),
        TEST(test_a_descriptors_file_is_not_replaced),
        TEST(test_no_room_for_the_compact_file),
        TEST(test_rights_that_were_given_up),
        TEST(test_a_forked_child_leaves_it_alone),
        TEST(test_killed_at_every_step),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
