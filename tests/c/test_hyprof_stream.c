/* SPDX-License-Identifier: MIT */
/* A .hyprof file that grows: after each append a reader sees exactly the profile that was appended, whatever changed since the one before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hyprof_samples.h"

static char folder[] = "/tmp/hyprof-XXXXXX";
static char path[64];

static int make_folder(void **state) {
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/live.hyprof", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails if a temporary file was left behind */
}

static hp_profile *read_back(uint32_t warnings, const char *words) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    hp_error error = {0};
    hp_profile *profile = NULL;
    if (hp_read_file(path, 1 << 28, &bytes, &size, &error) != HP_OK || hp_format_hyprof.read(bytes, size, &profile, &error) != HP_OK)
        fail_msg("%s", error.text);
    free(bytes);
    assert_int_equal(profile->meta.warning_count, warnings);
    if (words != NULL)
        assert_non_null(strstr(profile->meta.warnings[warnings - 1], words));
    return profile;
}

/* What is read is the same profile, but for the warning that the file has no end yet. */
static void expect_same(const hp_profile *profile, bool complete) {
    hp_profile *read = complete ? read_back(1, NULL) : read_back(2, "no end mark");
    read->meta.warning_count = 1;
    char *expected = sample_dump(profile, true), *got = sample_dump(read, true);
    assert_string_equal(expected, got);
    free(expected);
    free(got);
    hp_profile_free(read);
}

static void append(hp_hyprof_stream *stream, const hp_profile *profile) {
    hp_error error = {0};
    if (hp_hyprof_append(stream, profile, &error) != HP_OK)
        fail_msg("%s", error.text);
}

static void append_sample(hp_hyprof_stream *stream, const hp_sample_shape *shape) {
    hp_profile *profile = sample_profile(shape);
    append(stream, profile);
    expect_same(profile, false);
    hp_profile_free(profile);
}

static void close_complete(hp_hyprof_stream *stream) {
    hp_error error = {0};
    if (hp_hyprof_close(stream, true, &error) != HP_OK)
        fail_msg("%s", error.text);
}

static void test_growing(void **state) {
    (void)state;
    hp_hyprof_stream *stream = NULL;
    hp_sample_shape shape = {.seed = 11, .stacks = 0, .functions = 200, .threads = 3, .depth = 9, .main_name = "MainThread"};
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    assert_int_equal(access(path, F_OK), -1);
    for (uint32_t step = 0; step < 12; step++) {
        shape.stacks = step * step * 10;
        shape.backwards = step % 2 == 1; /* ids of one snapshot mean nothing in the next */
        append_sample(stream, &shape);
    }
    hp_profile *last = sample_profile(&shape);
    close_complete(stream);
    expect_same(last, true);
    hp_profile_free(last);
}

/* Values and sets that shrink: a session that was reset, a renamed thread (its root is another function), back to what was before. */
static void test_shrinking_and_renaming(void **state) {
    (void)state;
    hp_hyprof_stream *stream = NULL;
    hp_sample_shape shape = {.seed = 5, .stacks = 300, .functions = 60, .threads = 4, .depth = 7, .main_name = "Thread-1"};
    const struct {
        uint32_t stacks, threads;
        const char *name;
    } steps[] = {{300, 4, "Thread-1"}, {320, 4, "MainThread"}, {10, 2, "MainThread"}, {400, 5, "Thread-1"},
                 {0, 1, "x"},          {50, 3, "MainThread"}};
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        shape.stacks = steps[i].stacks;
        shape.threads = steps[i].threads;
        shape.main_name = steps[i].name;
        append_sample(stream, &shape);
    }
    close_complete(stream);
}

/* An open activation is estimated anew in each snapshot and may come out smaller. */
static void test_counters_that_shrink(void **state) {
    (void)state;
    hp_hyprof_stream *stream = NULL;
    hp_sample_shape shape = {.seed = 9, .stacks = 40, .functions = 10, .threads = 1, .depth = 4, .main_name = "MainThread"};
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    for (uint64_t step = 0; step < 4; step++) {
        hp_profile *profile = sample_profile(&shape);
        hp_node *node = &profile->tree.nodes[profile->tree.count - 1];
        node->calls += 1;
        node->exact += step % 2 == 0 ? 900000000 : 5;
        node->flags = step == 3 ? 0 : HP_NODE_OPEN;
        assert_int_equal(sample_summarize(profile), HP_OK);
        append(stream, profile);
        expect_same(profile, false);
        hp_profile_free(profile);
    }
    close_complete(stream);
}

/* An append that brings nothing new costs its commit. */
static void test_nothing_new_is_small(void **state) {
    (void)state;
    struct stat before, after;
    hp_hyprof_stream *stream = NULL;
    hp_sample_shape shape = {.seed = 1, .stacks = 500, .functions = 100, .threads = 2, .depth = 9, .main_name = "MainThread"};
    hp_profile *profile = sample_profile(&shape);
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    append(stream, profile);
    assert_int_equal(stat(path, &before), 0);
    append(stream, profile);
    assert_int_equal(stat(path, &after), 0);
    assert_true(after.st_size - before.st_size < 40);
    expect_same(profile, false);
    close_complete(stream);
    hp_profile_free(profile);
}

static void test_existing_file(void **state) {
    (void)state;
    struct stat file;
    hp_hyprof_stream *stream = NULL;
    FILE *old = fopen(path, "w");
    if (old == NULL)
        abort();
    fputs("precious", old);
    fclose(old);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    assert_int_equal(hp_hyprof_close(stream, true, NULL), HP_OK);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_size, 8); /* nothing was appended, nothing is overwritten */
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    append_sample(stream, &(hp_sample_shape){.seed = 1, .stacks = 5, .functions = 5, .threads = 1, .depth = 3, .main_name = "MainThread"});
    close_complete(stream);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0640);
    unlink(path);
}

static void test_removed_file(void **state) {
    (void)state;
    hp_error error = {0};
    hp_hyprof_stream *stream = NULL;
    hp_sample_shape shape = {.seed = 1, .stacks = 5, .functions = 5, .threads = 1, .depth = 3, .main_name = "MainThread"};
    hp_profile *profile = sample_profile(&shape);
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    append(stream, profile);
    unlink(path);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hp_hyprof_append(stream, profile, &error), HP_IO);
        assert_non_null(strstr(error.text, "was removed"));
        assert_non_null(strstr(error.text, path));
    }
    assert_int_equal(hp_hyprof_close(stream, true, &error), HP_IO);
    assert_int_equal(access(path, F_OK), -1);
    hp_profile_free(profile);
}

static void test_places_that_cannot_be_written(void **state) {
    (void)state;
    hp_error error = {0};
    hp_hyprof_stream *stream = NULL;
    hp_sample_shape shape = {.seed = 1, .stacks = 5, .functions = 5, .threads = 1, .depth = 3, .main_name = "MainThread"};
    hp_profile *profile = sample_profile(&shape);
    const char *const places[] = {"/nonexistent/folder/x.hyprof", folder, "/dev/null"};
    const char *const words[] = {"No such file", "not a regular file", "not a regular file"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hp_hyprof_open(&stream, places[i], NULL), HP_OK);
        assert_int_not_equal(hp_hyprof_append(stream, profile, &error), HP_OK);
        assert_non_null(strstr(error.text, words[i]));
        assert_non_null(strstr(error.text, places[i]));
        assert_int_equal(hp_hyprof_close(stream, true, &error), HP_OK);
    }
    hp_profile_free(profile);
}

/* A disk that is full for a while (here: a limit on the size of files): the append fails, the file stays whole, and the next one that fits
 * holds everything. */
static void test_full_disk(void **state) {
    (void)state;
    struct rlimit old, low;
    hp_error error = {0};
    hp_hyprof_stream *stream = NULL;
    hp_sample_shape shape = {.seed = 2, .stacks = 50, .functions = 400, .threads = 2, .depth = 9, .main_name = "MainThread"};
    hp_profile *first = sample_profile(&shape);
    shape.stacks = 3000;
    hp_profile *second = sample_profile(&shape);
    shape.stacks = 3001;
    shape.main_name = "renamed";
    hp_profile *third = sample_profile(&shape);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    append(stream, first);
    getrlimit(RLIMIT_FSIZE, &old);
    low = (struct rlimit){12000, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &low);
    hp_status status = hp_hyprof_append(stream, second, &error);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, HP_IO);
    assert_non_null(strstr(error.text, "File too large"));
    expect_same(first, false);
    append(stream, third); /* what only the second held was numbered, written now and absent */
    expect_same(third, false);
    append(stream, second);
    close_complete(stream);
    expect_same(second, true);
    hp_profile_free(first);
    hp_profile_free(second);
    hp_profile_free(third);
}

/* A forked child has the descriptor too; writing from both would ruin the file. */
static void test_forked_child(void **state) {
    (void)state;
    int exit_status = 0;
    hp_hyprof_stream *stream = NULL;
    hp_sample_shape shape = {.seed = 2, .stacks = 50, .functions = 40, .threads = 2, .depth = 9, .main_name = "MainThread"};
    hp_profile *profile = sample_profile(&shape);
    assert_int_equal(hp_hyprof_open(&stream, path, NULL), HP_OK);
    append(stream, profile);
    pid_t child = fork();
    if (child == 0) {
        hp_error error = {0};
        bool refused = hp_hyprof_append(stream, profile, &error) == HP_UNSUPPORTED && strstr(error.text, "forked child") != NULL;
        hp_hyprof_close(stream, true, &error);
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    assert_int_equal(exit_status, 0);
    expect_same(profile, false);
    close_complete(stream);
    expect_same(profile, true);
    hp_profile_free(profile);
}

/* A process that is killed at any moment leaves what it had appended. */
static void test_killed(void **state) {
    (void)state;
    for (int round = 0; round < 8; round++) {
        int pipe_ends[2];
        char said = 0;
        unlink(path);
        assert_int_equal(pipe(pipe_ends), 0);
        pid_t child = fork();
        if (child == 0) {
            hp_hyprof_stream *stream = NULL;
            hp_sample_shape shape = {.seed = 2, .stacks = 1, .functions = 4000, .threads = 2, .depth = 9, .main_name = "MainThread"};
            hp_hyprof_open(&stream, path, NULL);
            for (;; shape.stacks += 40) {
                hp_profile *profile = sample_profile(&shape);
                hp_hyprof_append(stream, profile, NULL);
                hp_profile_free(profile);
                if (write(pipe_ends[1], "x", 1) != 1)
                    _exit(1);
            }
        }
        for (int i = 0; i <= round; i++)
            assert_int_equal(read(pipe_ends[0], &said, 1), 1);
        usleep((useconds_t)(round * 700));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        hp_profile *profile = read_back(2, "cut short");
        assert_true(profile->meta.samples_kept >= 1 + 40 * (uint64_t)round);
        hp_profile_free(profile);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_shrinking_and_renaming),
        cmocka_unit_test(test_counters_that_shrink),
        cmocka_unit_test(test_nothing_new_is_small),
        cmocka_unit_test(test_existing_file),
        cmocka_unit_test(test_removed_file),
        cmocka_unit_test(test_places_that_cannot_be_written),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_forked_child),
        cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
