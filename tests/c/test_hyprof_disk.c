/* SPDX-License-Identifier: MIT */
/* What disks, limits and kills do to a .hyprof file while it is made compact: what was appended is in it all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include "hyprof_streams.h"

/* A disk of 256 KiB, all but `room` bytes of which another file has. */
static void fill_disk(off_t room) {
    struct statfs disk;
    assert_int_equal(statfs(".", &disk), 0);
    int descriptor = open("others", O_CREAT | O_WRONLY, 0600);
    assert_int_equal(posix_fallocate(descriptor, 0, (off_t)(disk.f_bavail * (uint64_t)disk.f_bsize) - room), 0);
    close(descriptor);
}

/* Room for what is appended, and not for a second copy; then for neither; then for both again. */
static void test_a_full_disk(void **state) {
    (void)state;
    hp_sample_shape shape = usual;
    hp_error error = {0};
    shape.stacks = 2000;
    shape.functions = 300;
    if (mkdir("disk", 0700) != 0 || mount("none", "disk", "tmpfs", 0, "size=256k") != 0)
        skip();
    assert_int_equal(chdir("disk"), 0);
    hp_profile *profile = sample_profile(&shape);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    assert_in_range(size_of(path), 4 * FLOOR, 16 * FLOOR);
    fill_disk((off_t)size_of(path) + 2 * FLOOR);
    append_until_notice(stream, profile);
    assert_non_null(strstr(hp_hyprof_notice(stream), "No space left on device"));
    assert_int_equal(temporaries(), 0);
    expect_same(path, profile, 1);
    while (hp_hyprof_append(stream, profile, &error) == HP_OK)
        let_time_pass(profile, 1);
    assert_int_equal(error.system, ENOSPC);
    hp_profile *whole = read_back(path);
    assert_true(whole->meta.duration_ns + 1000000000 == profile->meta.duration_ns);
    hp_profile_free(whole);
    assert_int_equal(remove("others"), 0);
    assert_true(append_until_compact(stream, profile, path, 4000));
    expect_same(path, profile, 1);
    finish(stream);
    expect_same(path, profile, 0);
    hp_profile_free(profile);
    assert_int_equal(chdir(".."), 0);
    assert_int_equal(umount2("disk", MNT_DETACH), 0);
}

/* No descriptor for a second file: appends go on, one sentence says so, and later it works. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_disk),
        TEST(test_no_room_for_the_compact_file),
        TEST(test_rights_that_were_given_up),
        TEST(test_killed_at_every_step),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
