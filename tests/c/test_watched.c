/* SPDX-License-Identifier: MIT */
/* The list of threads that the sampler has met, in a program that makes threads without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "sampler/private.h"

/* --- what the list asks for --- */

int64_t hp_other_thread_cpu_ns(uint64_t native_id) {
    return (int64_t)native_id;
}
bool hp_may_open(const hp_sampler *sampler) {
    return sampler == NULL;
}
void hp_thread_state_forget(hp_watched *watched) {
    watched->syscall_file = -1;
}
void hp_record_flush(hp_sampler *sampler, hp_watched *watched) {
    assert_non_null(sampler->threads);
    watched->repeats = 0;
}
void hp_open_gap_give(hp_sampler *sampler, hp_watched *watched) {
    assert_non_null(sampler->threads);
    watched->pending_ns = 0;
}

/* --- the checks --- */

static hp_sampler *sampler_new(void) {
    hp_sampler *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(hp_threads_new(&s->threads), HP_OK);
    s->tick = s->lists = 1;
    return s;
}

static void sampler_free(hp_sampler *s) {
    hp_watched_drop_all(s);
    hp_threads_free(s->threads);
    free(s);
}

static hp_watched *meet_again(hp_sampler *s, uint64_t id, uint64_t native_id, uint64_t pthread) {
    hp_state state = {.id = id, .native_id = native_id, .pthread = pthread};
    hp_watched *w = hp_watched_add(s, &state, 1, 1);
    if (w != NULL) {
        w->tick = s->tick;
        w->listed = s->lists;
        assert_ptr_equal(hp_watched_find(s, 0, id), w);
    }
    return w;
}

static hp_watched *meet(hp_sampler *s, uint64_t id) {
    return meet_again(s, id, id, id);
}

/* All met so far have ended. */
static void end_all(hp_sampler *s) {
    s->tick++;
    s->lists++;
    hp_watched_sweep(s);
}

static void a_full_list_goes_on(void **state) {
    hp_sampler *s = sampler_new();
    uint64_t id = 0;
    (void)state;
    while (id < HP_WATCHED_LIMIT)
        assert_non_null(meet(s, ++id));
    assert_null(meet(s, HP_WATCHED_LIMIT + 1));
    for (int round = 0; round < 3; round++) {
        end_all(s);
        for (uint32_t i = 0; i < HP_WATCHED_LIMIT; i++)
            assert_non_null(meet(s, ++id));
        assert_null(meet(s, id + 1));
    }
    assert_int_equal(s->watched_count, HP_WATCHED_LIMIT);
    assert_int_equal(hp_threads_count(s->threads), HP_WATCHED_LIMIT);
    sampler_free(s);
}

static void one_that_has_a_record_leaves_the_others_theirs(void **state) {
    hp_sampler *s = sampler_new();
    (void)state;
    for (uint64_t id = 1; id <= HP_WATCHED_APART; id++)
        assert_non_null(meet(s, id));
    end_all(s);
    const hp_thread *own = hp_threads_get(s->threads, 0, 5000, NULL); /* as for a thread that is beneath a target */
    assert_ptr_equal(meet(s, 5000)->thread, own);
    assert_int_equal(own->earlier, 0);
    assert_int_equal(s->ended_count, HP_WATCHED_APART);
    assert_int_equal(meet(s, 5001)->thread->earlier, 1);
    assert_int_equal(s->ended_count, HP_WATCHED_APART - 1);
    sampler_free(s);
}

/* A thread of C code that calls Python now and then has another state each time. */
static void a_thread_that_comes_back_goes_on(void **state) {
    hp_sampler *s = sampler_new();
    (void)state;
    const hp_thread *thread = meet_again(s, 1, 70, 700)->thread;
    for (uint64_t id = 2; id < 5000; id++) {
        s->tick++;
        s->lists++;
        assert_ptr_equal(meet_again(s, id, 70, 700)->thread, thread);
        assert_null(hp_watched_find(s, 0, id - 1));
    }
    assert_int_equal(thread->earlier, 0);
    assert_int_equal(s->watched_count, 1);
    /* Two states at once, the id of one that ended in another thread, and one that the tracer knows are others. */
    assert_ptr_not_equal(meet_again(s, 5000, 70, 700)->thread, thread);
    s->tick++;
    s->lists++;
    assert_ptr_not_equal(meet_again(s, 5001, 70, 701)->thread, thread);
    hp_thread *traced = hp_threads_find(s->threads, 0, 5001);
    traced->recorder = &traced;
    s->tick++;
    s->lists++;
    assert_ptr_not_equal(meet_again(s, 5002, 70, 701)->thread, traced);
    /* Two that the short table of ids takes for one keep apart. */
    const hp_thread *far = meet_again(s, 6000, 70 + HP_IDS_KNOWN, 700)->thread;
    s->tick++;
    s->lists++;
    assert_ptr_not_equal(meet_again(s, 6001, 70, 701)->thread, far);
    sampler_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_full_list_goes_on),
                                       cmocka_unit_test(one_that_has_a_record_leaves_the_others_theirs),
                                       cmocka_unit_test(a_thread_that_comes_back_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
