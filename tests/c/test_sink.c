/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sink.h"
#include "support/check.h"

static char folder[64];

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/hybridprof-test-XXXXXX");
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int entries(void) {
    int count = 0;
    DIR *directory = opendir(folder);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 2;
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void expect_number(uint64_t value) {
    char wanted[32];
    size_t size;
    hp_sink *sink = NULL;
    snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)value);
    assert_ok(hp_sink_memory(&sink));
    hp_sink_u64(sink, value);
    const uint8_t *bytes = hp_sink_bytes(sink, &size);
    assert_int_equal(size, strlen(wanted));
    assert_memory_equal(bytes, wanted, size);
    hp_sink_free(sink);
}

static void test_numbers(void **state) {
    (void)state;
    uint64_t power = 1;
    for (int i = 0; i < 64; i++, power = power * 2) {
        expect_number(power - 1);
        expect_number(power);
    }
    expect_number(UINT64_MAX);
    for (power = 1; power < 10000000000000000000u; power *= 10) {
        expect_number(power - 1);
        expect_number(power);
    }
}

static void test_memory_grows(void **state) {
    (void)state;
    hp_sink *sink = NULL;
    size_t size;
    assert_ok(hp_sink_memory(&sink));
    for (int i = 0; i < 100000; i++) {
        hp_sink_text(sink, "ab");
        hp_sink_byte(sink, 'c');
    }
    hp_sink_format(sink, "%s-%d", "x", 7);
    assert_ok(hp_sink_flush(sink, NULL));
    const uint8_t *bytes = hp_sink_bytes(sink, &size);
    assert_int_equal(size, 300003);
    assert_memory_equal(bytes + 299997, "abcx-7", 6);
    hp_sink_free(sink);
}

static void test_first_failure_sticks(void **state) {
    (void)state;
    hp_sink *sink = NULL;
    hp_error error;
    int full = open("/dev/full", O_WRONLY);
    assert_ok(hp_sink_descriptor(&sink, full));
    for (int i = 0; i < 100000; i++)
        hp_sink_text(sink, "some text");
    assert_int_equal(hp_sink_flush(sink, &error), HP_IO);
    assert_int_equal(error.system, ENOSPC);
    assert_int_equal(hp_sink_flush(sink, &error), HP_IO);
    hp_sink_free(sink);
    close(full);
}

static hp_status write_text(hp_sink *sink, const void *what, hp_error *error) {
    (void)error;
    hp_sink_text(sink, what);
    return HP_OK;
}

static hp_status write_half(hp_sink *sink, const void *what, hp_error *error) {
    hp_sink_text(sink, what);
    return hp_fail(error, HP_BAD_VALUE, 0, "the number %d is odd", 3);
}

static void expect_file(const char *path, const char *wanted) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_ok(hp_read_file(path, 1 << 20, &bytes, &size, NULL));
    assert_int_equal(size, strlen(wanted));
    assert_memory_equal(bytes, wanted, size);
    free(bytes);
}

static void test_write_new_and_replace(void **state) {
    (void)state;
    struct stat file;
    assert_ok(hp_write_atomically("out", write_text, "one", NULL));
    expect_file("out", "one");
    assert_ok(stat("out", &file));
    assert_int_equal(file.st_mode & 07777, 0600);
    assert_ok(chmod("out", 0644));
    assert_ok(hp_write_atomically("out", write_text, "two", NULL));
    expect_file("out", "two");
    assert_ok(stat("out", &file));
    assert_int_equal(file.st_mode & 07777, 0644);
    assert_int_equal(entries(), 1);
}

static void test_failure_leaves_the_old_file(void **state) {
    (void)state;
    hp_error error;
    assert_ok(hp_write_atomically("out", write_text, "one", NULL));
    assert_int_equal(hp_write_atomically("out", write_half, "tw", &error), HP_BAD_VALUE);
    assert_string_equal(error.text, "cannot write out: the number 3 is odd");
    expect_file("out", "one");
    assert_int_equal(entries(), 1);
    assert_int_equal(hp_write_atomically("none/out", write_text, "x", &error), HP_IO);
    assert_string_equal(error.text, "cannot write none/out: No such file or directory");
    assert_int_equal(hp_write_atomically("/dev/full", write_text, "x", &error), HP_IO);
    assert_string_equal(error.text, "cannot write /dev/full: No space left on device");
    assert_int_equal(hp_write_atomically(folder, write_text, "x", &error), HP_IO);
    assert_int_equal(error.system, EISDIR);
}

static void test_links_are_followed(void **state) {
    (void)state;
    struct stat link;
    assert_ok(mkdir("there", 0700));
    assert_ok(symlink("there/new", "link"));
    assert_ok(symlink("link", "link2"));
    assert_ok(hp_write_atomically("link2", write_text, "through", NULL));
    expect_file("there/new", "through");
    assert_ok(lstat("link2", &link));
    assert_true(S_ISLNK(link.st_mode));
    assert_ok(symlink("loop", "loop"));
    hp_error error;
    assert_int_equal(hp_write_atomically("loop", write_text, "x", &error), HP_IO);
    assert_int_equal(error.system, ELOOP);
}

static void *read_fifo(void *out) {
    char *text = out;
    int descriptor = open("fifo", O_RDONLY);
    ssize_t size = read(descriptor, text, 15);
    text[size < 0 ? 0 : size] = '\0';
    close(descriptor);
    return NULL;
}

static void test_fifo_is_written_straight(void **state) {
    (void)state;
    char text[16] = "";
    pthread_t reader;
    struct stat file;
    assert_ok(mkfifo("fifo", 0600));
    assert_ok(pthread_create(&reader, NULL, read_fifo, text));
    assert_ok(hp_write_atomically("fifo", write_text, "stream", NULL));
    pthread_join(reader, NULL);
    assert_string_equal(text, "stream");
    assert_ok(stat("fifo", &file));
    assert_true(S_ISFIFO(file.st_mode));
}

enum { MUCH = 3000000 };

static hp_status write_much(hp_sink *sink, const void *what, hp_error *error) {
    (void)what;
    (void)error;
    for (uint32_t i = 0; i < MUCH / 4; i++)
        hp_sink_write(sink, &i, sizeof i);
    return HP_OK;
}

/* Reads slowly and in odd pieces what write_much wrote. */
static void *read_much(void *argument) {
    int descriptor = *(int *)argument;
    uint8_t piece[4099];
    size_t at = 0;
    bool same = true;
    for (ssize_t got; (got = read(descriptor, piece, sizeof piece)) > 0;) {
        for (ssize_t i = 0; i < got; i++, at++)
            same = same && piece[i] == (uint8_t)((at / 4) >> (at % 4 * 8));
    }
    return same && at == MUCH ? argument : NULL;
}

/* A pipe that takes little at a time, blocking or not. */
static void test_partial_writes(void **state) {
    (void)state;
    for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
        int ends[2];
        void *same = NULL;
        pthread_t reader;
        hp_sink *sink = NULL;
        assert_ok(pipe(ends));
        assert_ok(fcntl(ends[1], F_SETFL, flags));
        assert_ok(pthread_create(&reader, NULL, read_much, &ends[0]));
        assert_ok(hp_sink_descriptor(&sink, ends[1]));
        assert_ok(write_much(sink, NULL, NULL));
        assert_ok(hp_sink_flush(sink, NULL));
        hp_sink_free(sink);
        close(ends[1]);
        pthread_join(reader, &same);
        assert_non_null(same);
        close(ends[0]);
    }
}

static void test_reader_goes_away(void **state) {
    (void)state;
    int ends[2];
    hp_sink *sink = NULL;
    hp_error error;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    assert_ok(pipe(ends));
    close(ends[0]);
    assert_ok(hp_sink_descriptor(&sink, ends[1]));
    assert_ok(write_much(sink, NULL, NULL));
    assert_int_equal(hp_sink_flush(sink, &error), HP_IO);
    assert_int_equal(error.system, EPIPE);
    hp_sink_free(sink);
    close(ends[1]);
    signal(SIGPIPE, before);
}

/* The disk fills up in the middle of the file. */
static void test_no_space_leaves_the_old_file(void **state) {
    (void)state;
    hp_error error;
    struct rlimit before, small;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_ok(hp_write_atomically("out", write_text, "old", NULL));
    assert_ok(getrlimit(RLIMIT_FSIZE, &before));
    small = (struct rlimit){1000000, before.rlim_max};
    assert_ok(setrlimit(RLIMIT_FSIZE, &small));
    hp_status status = hp_write_atomically("out", write_much, NULL, &error);
    assert_ok(setrlimit(RLIMIT_FSIZE, &before));
    signal(SIGXFSZ, handler);
    assert_int_equal(status, HP_IO);
    assert_string_equal(error.text, "cannot write out: File too large");
    expect_file("out", "old");
    assert_int_equal(entries(), 1);
}

static void test_existing_modes_are_kept(void **state) {
    (void)state;
    static const mode_t modes[] = {0600, 0640, 0664, 0666, 0755};
    mode_t mask = umask(077);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct stat file;
        assert_ok(hp_write_atomically("out", write_text, "x", NULL));
        assert_ok(chmod("out", modes[i]));
        assert_ok(hp_write_atomically("out", write_text, "y", NULL));
        assert_ok(stat("out", &file));
        assert_int_equal(file.st_mode & 07777, modes[i]);
    }
    umask(mask);
}

static void put_file(const char *name, time_t age) {
    const struct timespec then[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
    int descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(utimensat(AT_FDCWD, name, then, 0), 0);
}

/* What a killed writer left goes; what may still be written, or has another name, stays. */
static void test_leftovers_are_swept(void **state) {
    (void)state;
    static const char *const stay[] = {".hybridprof-12-00ff00f.tmp", ".hybridprof--00ff00ff.tmp", ".hybridprof-12-00ff00ff.tmp2",
                                       ".hybridprof-12-00ff00fg.tmp", "hybridprof-12-00ff00ff.tmp"};
    put_file(".hybridprof-12-00ff00ff.tmp", 4000);
    put_file(".hybridprof-13-00ff00ff.tmp", 3000);
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
        put_file(stay[i], 4000);
    hp_sweep_leftovers("out");
    assert_int_equal(access(".hybridprof-12-00ff00ff.tmp", F_OK), -1);
    assert_int_equal(access(".hybridprof-13-00ff00ff.tmp", F_OK), 0);
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
        assert_int_equal(access(stay[i], F_OK), 0);
}

/* In a child that is nobody, for root may write anywhere. */
static int write_as_nobody(void) {
    hp_error error;
    if (geteuid() == 0 && seteuid(65534) != 0)
        return 1;
    if (hp_write_atomically("closed/new", write_text, "x", &error) != HP_IO || error.system != EACCES)
        return 2;
    if (strcmp(error.text, "cannot write closed/new: Permission denied") != 0)
        return 3;
    if (hp_write_atomically("read-only", write_text, "x", &error) != HP_IO || error.system != EACCES)
        return 4;
    return 0;
}

static void test_unwritable(void **state) {
    (void)state;
    int how = -1;
    assert_ok(mkdir("closed", 0555));
    assert_ok(hp_write_atomically("read-only", write_text, "old", NULL));
    assert_ok(chmod("read-only", 0444));
    assert_ok(chmod(folder, 0777)); /* its folder would let anybody replace it */
    pid_t pid = fork();
    if (pid == 0)
        _exit(write_as_nobody());
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    expect_file("read-only", "old");
    assert_int_equal(entries(), 2);
}

/* Root rewrites a user's file: it stays the user's. */
static void test_owner_is_kept(void **state) {
    (void)state;
    struct stat file;
    if (geteuid() != 0)
        skip();
    assert_ok(hp_write_atomically("out", write_text, "x", NULL));
    assert_ok(chown("out", 65534, 65534));
    assert_ok(chmod("out", 0640));
    assert_ok(hp_write_atomically("out", write_text, "y", NULL));
    assert_ok(stat("out", &file));
    assert_int_equal(file.st_uid, 65534);
    assert_int_equal(file.st_gid, 65534);
    assert_int_equal(file.st_mode & 07777, 0640);
}

/* Renames file after file to "out", as fast as can be. */
static void replace_for_ever(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* where the test fails */
    for (;;) {
        int descriptor = open("others", O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (descriptor < 0 || write(descriptor, "others", 6) != 6 || close(descriptor) != 0 || rename("others", "out") != 0)
            _exit(1);
    }
}

/* Between any two looks at the name another writer may have put another file there: it is replaced like the one before, and not written
 * into.
 */
static void test_two_writers(void **state) {
    (void)state;
    int status = 0, ours = 0;
    char quick[] = "/dev/shm/hybridprof-test-XXXXXX"; /* each write syncs */
    if (mkdtemp(quick) != NULL)
        assert_int_equal(chdir(quick), 0);
    assert_ok(hp_write_atomically("out", write_text, "ours", NULL));
    pid_t child = fork();
    if (child == 0)
        replace_for_ever();
    for (int i = 0; i < 3000; i++) {
        uint8_t *bytes = NULL;
        size_t size = 0;
        assert_ok(hp_write_atomically("out", write_text, "ours", NULL));
        assert_ok(hp_read_file("out", 100, &bytes, &size, NULL));
        bool is_ours = size == 4 && memcmp(bytes, "ours", size) == 0;
        assert_true(is_ours || (size == 6 && memcmp(bytes, "others", size) == 0));
        ours += is_ours;
        free(bytes);
    }
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(ours > 0);
    remove("others");
    assert_int_equal(remove("out"), 0);
    assert_int_equal(chdir(folder), 0);
    rmdir(quick);
}

static void test_read_limit(void **state) {
    (void)state;
    uint8_t *bytes = NULL;
    size_t size = 0;
    hp_error error;
    assert_ok(hp_write_atomically("out", write_text, "12345", NULL));
    assert_ok(hp_read_file("out", 5, &bytes, &size, NULL));
    assert_int_equal(size, 5);
    free(bytes);
    assert_int_equal(hp_read_file("out", 4, &bytes, &size, &error), HP_BAD_VALUE);
    assert_string_equal(error.text, "out is over the limit of 4 bytes");
    assert_int_equal(hp_read_file("/dev/zero", 100000, &bytes, &size, &error), HP_BAD_VALUE);
    assert_int_equal(hp_read_file("gone", 4, &bytes, &size, &error), HP_IO);
    assert_string_equal(error.text, "cannot read gone: No such file or directory");
    assert_int_equal(hp_read_file(folder, 4, &bytes, &size, &error), HP_IO);
    assert_ok(hp_read_file("/dev/null", 4, &bytes, &size, &error));
    assert_int_equal(size, 0);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_memory_grows),
        cmocka_unit_test(test_first_failure_sticks),
        cmocka_unit_test_setup_teardown(test_write_new_and_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_leaves_the_old_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links_are_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fifo_is_written_straight, setup, teardown),
        cmocka_unit_test(test_partial_writes),
        cmocka_unit_test(test_reader_goes_away),
        cmocka_unit_test_setup_teardown(test_no_space_leaves_the_old_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_existing_modes_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leftovers_are_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unwritable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_owner_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_writers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
