/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
        cmocka_unit_test_setup_teardown(test_read_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
