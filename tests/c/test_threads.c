/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "base/threads.h"
#include "support/check.h"

static void test_records_are_stable(void **state) {
    (void)state;
    hp_threads *threads = NULL;
    bool created = false;
    assert_ok(hp_threads_new(&threads));
    hp_thread *first = hp_threads_get(threads, 0, 1, &created);
    assert_true(created);
    for (uint64_t i = 0; i < 5000; i++) {
        hp_thread *thread = hp_threads_get(threads, i % 3, i / 3 + 1, NULL);
        assert_non_null(thread);
        assert_int_equal(thread->index, i);
    }
    assert_ptr_equal(hp_threads_get(threads, 0, 1, &created), first);
    assert_false(created);
    assert_int_equal(hp_threads_count(threads), 5000);
    assert_ptr_equal(hp_threads_at(threads, 0), first);
    assert_null(hp_threads_at(threads, 5000));
    hp_threads_after_fork(threads);
    assert_ptr_equal(hp_threads_get(threads, 0, 1, NULL), first);
    hp_threads_free(threads);
}

static void test_names(void **state) {
    (void)state;
    hp_threads *threads = NULL;
    assert_ok(hp_threads_new(&threads));
    assert_non_null(hp_threads_get(threads, 0, 1, NULL));
    assert_null(hp_threads_name(threads, 0));
    assert_ok(hp_threads_set_name(threads, 0, "MainThread"));
    assert_ok(hp_threads_set_name(threads, 0, "worker"));
    assert_string_equal(hp_threads_name(threads, 0), "worker");
    assert_int_equal(hp_threads_set_name(threads, 1, "x"), HP_BAD_VALUE);
    hp_threads_free(threads);
}

static void test_traced_clock(void **state) {
    (void)state;
    hp_thread thread = {0};
    bool inside = true;
    assert_int_equal(hp_thread_traced_ticks(&thread, 900, &inside), 0);
    assert_false(inside);
    hp_thread_enter_traced(&thread, 1000);
    uint64_t now = hp_thread_traced_ticks(&thread, 1500, &inside);
    assert_true(inside);
    assert_in_range(now, 499, 501);
    hp_thread_leave_traced(&thread, 2000);
    assert_in_range(hp_thread_traced_ticks(&thread, 9000, &inside), 998, 1001);
    assert_false(inside);
    hp_thread exact = {0};
    for (uint64_t parities = 0; parities < 4; parities++) { /* what bit 0 takes from some extents it gives to others */
        hp_thread_enter_traced(&exact, 100 * parities + (parities & 1));
        hp_thread_leave_traced(&exact, 100 * parities + 50 + (parities >> 1));
    }
    assert_int_equal(hp_thread_traced_ticks(&exact, 9000, &inside), 200);
    hp_thread_enter_traced(&thread, 10000);
    hp_thread_leave_traced(&thread, 10500);
    assert_in_range(hp_thread_traced_ticks(&thread, 11000, &inside), 1496, 1502);
}

enum { WORKERS = 4, SHARED = 3000 };

static void *meet_all(void *argument) {
    hp_threads *threads = argument;
    uint32_t made = 0;
    for (uint64_t i = 0; i < SHARED; i++) {
        bool created = false;
        hp_thread *thread = hp_threads_get(threads, 0, i, &created);
        made += created;
        if (thread == NULL || thread->state_id != i || hp_threads_at(threads, thread->index) != thread ||
            hp_threads_set_name(threads, thread->index, "x") != HP_OK)
            return NULL;
    }
    return (void *)(uintptr_t)(made + 1);
}

/* Whoever meets a thread first makes its record, and only one does. */
static void test_several_threads(void **state) {
    (void)state;
    hp_threads *threads = NULL;
    pthread_t workers[WORKERS];
    uintptr_t made = 0;
    assert_ok(hp_threads_new(&threads));
    for (int i = 0; i < WORKERS; i++)
        assert_ok(pthread_create(&workers[i], NULL, meet_all, threads));
    for (int i = 0; i < WORKERS; i++) {
        void *one = NULL;
        pthread_join(workers[i], &one);
        assert_non_null(one);
        made += (uintptr_t)one - 1;
    }
    assert_int_equal(made, SHARED);
    assert_int_equal(hp_threads_count(threads), SHARED);
    hp_threads_free(threads);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_several_threads), cmocka_unit_test(test_records_are_stable),
                                       cmocka_unit_test(test_names), cmocka_unit_test(test_traced_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
