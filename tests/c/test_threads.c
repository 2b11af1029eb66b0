/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <string.h>

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
    const char *kept = hp_threads_name(threads, 0);
    assert_ok(hp_threads_suggest_name(threads, 0, "other"));
    assert_ptr_equal(hp_threads_name(threads, 0), kept);
    assert_null(hp_threads_find(threads, 0, 2));
    const hp_thread *second = hp_threads_get(threads, 0, 2, NULL);
    assert_non_null(second);
    assert_ptr_equal(hp_threads_find(threads, 0, 2), second);
    assert_ok(hp_threads_suggest_name(threads, 1, "libuv-worker"));
    assert_string_equal(hp_threads_name(threads, 1), "libuv-worker");
    hp_threads_free(threads);
}

/* A server that makes a thread for each request, for years. */
static void test_records_are_taken_over(void **state) {
    (void)state;
    hp_threads *threads = NULL;
    assert_ok(hp_threads_new(&threads));
    for (uint64_t i = 0; i < 10; i++)
        assert_non_null(hp_threads_get(threads, 0, i, NULL));
    hp_thread *shared = hp_threads_at(threads, 4);
    assert_ok(hp_threads_set_name(threads, 4, "worker"));
    for (uint64_t id = 10; id < 100000; id++) {
        assert_ptr_equal(hp_threads_take_over(threads, shared, 0, id, false), shared);
        assert_ptr_equal(hp_threads_find(threads, 0, id), shared);
        assert_null(hp_threads_find(threads, 0, id == 10 ? 4 : id - 1));
        assert_ptr_equal(hp_threads_get(threads, 0, id, NULL), shared);
    }
    assert_int_equal(hp_threads_count(threads), 10);
    assert_int_equal(shared->earlier, 99990);
    assert_string_equal(hp_threads_name(threads, 4), "worker");
    for (uint64_t i = 0; i < 10; i++)
        assert_true(i == 4 || hp_threads_find(threads, 0, i) == hp_threads_at(threads, (uint32_t)i));
    assert_int_equal(hp_threads_get(threads, 0, 200000, NULL)->index, 10);
    hp_threads_free(threads);
}

static void test_some_records_stay(void **state) {
    (void)state;
    hp_threads *threads = NULL;
    assert_ok(hp_threads_new(&threads));
    hp_thread *kept = hp_threads_get(threads, 0, 1, NULL), *traced = hp_threads_get(threads, 0, 2, NULL),
              *beneath = hp_threads_get(threads, 0, 3, NULL), *plain = hp_threads_get(threads, 0, 4, NULL);
    hp_threads_keep(threads, kept);
    traced->recorder = &traced;
    hp_thread_enter_traced(beneath, 1000);
    assert_null(hp_threads_take_over(threads, kept, 0, 9, false));
    assert_null(hp_threads_take_over(threads, traced, 0, 9, false));
    assert_null(hp_threads_take_over(threads, beneath, 0, 9, false));
    assert_null(hp_threads_take_over(threads, plain, 0, 1, false)); /* it has one */
    assert_ptr_equal(hp_threads_take_over(threads, plain, 0, 9, false), plain);
    hp_threads_free(threads);
}

/* What a thread lived is what all lived that had its record. */
static void test_lives_add_up(void **state) {
    (void)state;
    hp_threads *threads = NULL;
    assert_ok(hp_threads_new(&threads));
    hp_thread *thread = hp_threads_get(threads, 0, 1, NULL);
    int64_t began = thread->first_seen_ns;
    hp_thread_seen(thread, began + 5000000);
    assert_int_equal(hp_threads_lived_ns(threads, thread, began, began + 5000000), 5000000);
    assert_non_null(hp_threads_take_over(threads, thread, 0, 2, false));
    assert_true(thread->first_seen_ns > began);
    assert_int_equal(hp_threads_lived_ns(threads, thread, thread->first_seen_ns, thread->first_seen_ns + 300), 5000300);
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

/* The sampler's part beside that of who holds the GIL: names, last sights and the traced clock of the same records. */
static void *sampler_part(void *argument) {
    hp_threads *threads = argument;
    uintptr_t wrong = 0;
    uint64_t before = 0;
    bool inside;
    for (int64_t now = 1; now < 20000; now++) {
        hp_thread *thread = hp_threads_find(threads, 0, (uint64_t)now % 8);
        hp_thread_seen(thread, now);
        wrong += hp_threads_suggest_name(threads, thread->index, "comm") != HP_OK;
        wrong += atomic_load_explicit(&thread->last_seen_ns, memory_order_relaxed) < now;
        uint64_t ticks = hp_thread_traced_ticks(hp_threads_at(threads, 0), UINT64_C(1) << 40, &inside);
        wrong += !inside && ticks < before;
        before = inside ? before : ticks;
    }
    return (void *)wrong; // NOLINT(performance-no-int-to-ptr)
}

static void test_sampler_beside_the_gil(void **state) {
    (void)state;
    hp_threads *threads = NULL;
    pthread_t sampler;
    void *wrong;
    assert_ok(hp_threads_new(&threads));
    for (uint64_t i = 0; i < 8; i++)
        assert_non_null(hp_threads_get(threads, 0, i, NULL));
    assert_ok(pthread_create(&sampler, NULL, sampler_part, threads));
    for (uint64_t i = 0; i < 5000; i++) {
        uint32_t index = (uint32_t)(i % 8);
        hp_thread_enter_traced(hp_threads_at(threads, 0), 100 * i);
        hp_thread_leave_traced(hp_threads_at(threads, 0), 100 * i + 50);
        hp_thread_seen(hp_threads_at(threads, index), (int64_t)i);
        assert_ok(hp_threads_set_name(threads, index, i % 3 == 0 ? "even" : "odd"));
        const char *name = hp_threads_name(threads, index); /* nobody else frees it */
        assert_true(strcmp(name, "even") == 0 || strcmp(name, "odd") == 0);
        assert_non_null(hp_threads_get(threads, 1, i, NULL));
    }
    pthread_join(sampler, &wrong);
    assert_null(wrong);
    hp_threads_free(threads);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_several_threads),        cmocka_unit_test(test_sampler_beside_the_gil),
                                       cmocka_unit_test(test_records_are_stable),     cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_records_are_taken_over), cmocka_unit_test(test_some_records_stay),
                                       cmocka_unit_test(test_lives_add_up),           cmocka_unit_test(test_traced_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
