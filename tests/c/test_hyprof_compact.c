/* SPDX-License-Identifier: MIT */
/* A .hyprof file that is written for a long time: it stays as small as what is in it, and nothing that happens on the way costs more than
 * the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "hyprof_streams.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_the_file_is_bounded),
        TEST(test_what_is_gone_takes_no_room),
        TEST(test_mode_owner_and_links_stay),
        TEST(test_a_moved_file_is_followed_and_its_place_respected),
        TEST(test_a_second_name_is_not_left_behind),
        TEST(test_a_descriptors_file_is_not_replaced),
        TEST(test_a_forked_child_leaves_it_alone),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
