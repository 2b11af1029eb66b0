/* SPDX-License-Identifier: MIT */
/* A disk whose syncs take as long as the test likes: what is appended is in the file at once all the same, so that a kill -9, which needs
 * no sync, costs nothing but what came since.
 *
 * fsync, fdatasync, rename, pwrite and the clock are ours: the linker prefers a program's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "hyprof_streams.h"

static pthread_t appender;
static _Atomic bool disk_hangs;
static _Atomic int waiting, synced, in_the_way; /* syncs that hang, that are done, and that whoever appends had to make itself */
static _Atomic int failure;                     /* errno of all syncs to come */
static int64_t later_ns;                        /* how far the clock is ahead */

static ino_t on_disk_now[64]; /* the files that were synced, newest at the end of `synced` */
static int taken_unsynced;    /* files that took their place before they were */
static bool second_is_full;   /* no more room for temporary files */

static int slow_sync(int descriptor) {
    struct stat file;
    if (pthread_equal(pthread_self(), appender)) { /* it would never come back: count that, and go on */
        in_the_way += disk_hangs;
    } else {
        waiting++;
        while (disk_hangs)
            sched_yield();
        waiting--;
    }
    if (fstat(descriptor, &file) == 0)
        on_disk_now[synced % 64] = file.st_ino;
    synced++;
    errno = failure;
    return failure == 0 ? 0 : -1;
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the system's are reserved */
int fsync(int descriptor) {
    return slow_sync(descriptor);
}
int fdatasync(int descriptor) {
    return slow_sync(descriptor);
}
int rename(const char *from, const char *to) {
    bool known = false;
    for (int i = 0; i < synced && i < 64; i++)
        known = known || on_disk_now[i] == status_of(from).st_ino;
    taken_unsynced += !known;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t at) {
    struct stat file = {0};
    if (second_is_full && fstat(descriptor, &file) == 0 && file.st_ino != status_of(path).st_ino) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, descriptor, bytes, size, at);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    now->tv_sec += (time_t)(later_ns / 1000000000);
    return result;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static int begin(void **state) {
    appender = pthread_self();
    disk_hangs = false;
    waiting = synced = in_the_way = failure = 0;
    later_ns = taken_unsynced = second_is_full = 0;
    return empty_folder(state);
}

/* The first file of each test is there at once. */
static int end(void **state) {
    disk_hangs = false;
    if (taken_unsynced != 1)
        return -1;
    return empty_folder(state);
}

/* Until there is a compact file, which waits for the disk. */
static void append_until_second(hp_hyprof_stream *stream, hp_profile *profile) {
    for (uint64_t step = 0; temporaries() == 0; step++) {
        let_time_pass(profile, step);
        append_at_once(stream, profile);
        assert_int_equal(in_the_way, 0);
    }
}

static void append_until_refused(hp_hyprof_stream *stream, hp_profile *profile) {
    for (uint64_t step = 0; hp_hyprof_notice(stream)[0] == '\0'; step++) {
        let_time_pass(profile, step);
        append_at_once(stream, profile);
        assert_int_equal(in_the_way, 0);
    }
}

static void expect_waiting(void) {
    assert_int_equal(in_the_way, 0);
    while (waiting == 0)
        sched_yield();
    assert_int_equal(waiting, 1);
}

/* The file is there with the first append, and has each later one, while its first sync hangs. */
static void test_appends_wait_for_no_sync(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    hp_hyprof_compact_above(stream, UINT64_MAX);
    disk_hangs = true;
    for (uint64_t step = 0; step < 20; step++) {
        append_at_once(stream, profile);
        expect_same(path, profile, 1);
        let_time_pass(profile, step);
    }
    expect_waiting(); /* the sync was begun all the same */
    disk_hangs = false;
    append(stream, profile);
    finish(stream);
    assert_true(synced > 1);
    expect_same(path, profile, 0);
    hp_profile_free(profile);
}

/* Now and then, one at a time. */
static void test_one_sync_at_a_time(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    hp_hyprof_compact_above(stream, UINT64_MAX);
    append(stream, profile);
    int before = synced;
    append(stream, profile);
    assert_int_equal(synced, before);
    disk_hangs = true;
    for (int i = 0; i < 5; i++) {
        later_ns += INT64_C(31000000000);
        append_at_once(stream, profile);
        expect_waiting();
    }
    disk_hangs = false;
    append(stream, profile);
    assert_true(synced > before);
    finish(stream);
    hp_profile_free(profile);
}

/* The compact file may not take the old one's place before it is on the disk. Until then both get what is appended. */
static void test_made_compact_behind_a_slow_disk(void **state) {
    (void)state;
    hp_sample_shape shape = usual;
    hp_profile *profile = sample_profile(&shape);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    ino_t old = status_of(path).st_ino;
    disk_hangs = true;
    append_until_second(stream, profile);
    for (uint64_t step = 0; step < 10; step++) { /* also what neither has met before */
        hp_profile_free(profile);
        shape.stacks += 10;
        profile = sample_profile(&shape);
        append_at_once(stream, profile);
        expect_same(path, profile, 1);
        assert_true(status_of(path).st_ino == old);
    }
    assert_int_equal(in_the_way, 0);
    disk_hangs = false;
    append(stream, profile);
    assert_true(status_of(path).st_ino != old);
    assert_int_equal(temporaries(), 0);
    expect_same(path, profile, 1);
    finish(stream);
    expect_same(path, profile, 0);
    hp_profile_free(profile);
}

/* The stream ends while a sync is under way: what waits for it is done first. */
static void test_the_end_waits(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    ino_t old = status_of(path).st_ino;
    disk_hangs = true;
    append_until_second(stream, profile);
    disk_hangs = false;
    finish(stream);
    assert_true(status_of(path).st_ino != old);
    assert_int_equal(temporaries(), 0);
    expect_same(path, profile, 0);
    hp_profile_free(profile);
}

/* A compact file that never got to the disk is let go; then the disk says the same of the file itself. */
static void test_a_sync_that_fails(void **state) {
    (void)state;
    hp_error error = {0};
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    failure = EIO;
    append_until_notice(stream, profile);
    failure = 0;
    assert_non_null(strstr(hp_hyprof_notice(stream), "Input/output error"));
    assert_int_equal(temporaries(), 0);
    expect_same(path, profile, 1);
    later_ns += INT64_C(31000000000);
    failure = EIO;
    hp_status status = HP_OK;
    for (int i = 0; i < 3 && status == HP_OK; i++) {
        status = hp_hyprof_append(stream, profile, &error);
        hp_hyprof_rest(stream, -1);
    }
    assert_int_equal(status, HP_IO);
    assert_int_equal(error.system, EIO);
    failure = 0;
    assert_int_equal(hp_hyprof_close(stream, false, NULL), HP_OK);
    expect_same(path, profile, 1);
    hp_profile_free(profile);
}

/* No room for what the compact file is to get while it waits: it goes, and the sync that still hangs for it counts for no other. */
static void test_a_second_file_that_fills_the_disk(void **state) {
    (void)state;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    disk_hangs = true;
    append_until_second(stream, profile);
    expect_waiting();
    second_is_full = true;
    append_until_refused(stream, profile);
    assert_non_null(strstr(hp_hyprof_notice(stream), "No space left on device"));
    assert_int_equal(temporaries(), 0);
    second_is_full = false;
    append_until_second(stream, profile);
    expect_waiting();
    ino_t old = status_of(path).st_ino;
    disk_hangs = false;
    append(stream, profile);
    assert_true(status_of(path).st_ino != old);
    expect_same(path, profile, 1);
    finish(stream);
    expect_same(path, profile, 0);
    hp_profile_free(profile);
}

/* A child that was forked while a sync hangs: it has no such thread, waits for none, and leaves the parent's second file alone. */
static void test_a_fork_meanwhile(void **state) {
    (void)state;
    int exit_status = 0;
    hp_profile *profile = sample_profile(&usual);
    hp_hyprof_stream *stream = open_stream(path);
    append(stream, profile);
    disk_hangs = true;
    append_until_second(stream, profile);
    hp_hyprof_rest(stream, 10); /* as before a fork: for a while only */
    pid_t child = fork();
    if (child == 0) {
        hp_status status = hp_hyprof_append(stream, profile, NULL);
        (void)hp_hyprof_close(stream, false, NULL);
        _exit(status == HP_UNSUPPORTED ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    assert_int_equal(exit_status, 0);
    assert_int_equal(temporaries(), 1);
    disk_hangs = false;
    finish(stream);
    expect_same(path, profile, 0);
    assert_int_equal(temporaries(), 0);
    hp_profile_free(profile);
}

#define SLOW(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        SLOW(test_appends_wait_for_no_sync),
        SLOW(test_one_sync_at_a_time),
        SLOW(test_made_compact_behind_a_slow_disk),
        SLOW(test_the_end_waits),
        SLOW(test_a_sync_that_fails),
        SLOW(test_a_fork_meanwhile),
        SLOW(test_a_second_file_that_fills_the_disk),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
