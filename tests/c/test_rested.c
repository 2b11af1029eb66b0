/* SPDX-License-Identifier: MIT */
/* The sampler's reading of threads against a runtime that is simulated: threads take the GIL and change their stacks at random, and each
 * thread that is said to stand where it stood must not have run since its stack was read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sampler/private.h"

enum { THREADS = 6, TICKS = 200000 };

/* --- the simulated runtime --- */

static struct {
    uint64_t stack[THREADS]; /* what a reader would see: changes whenever the thread does something that shows */
    uint64_t runs[THREADS];  /* how often the thread has run, seen or not */
    uint64_t switches;
    int holder; /* the last one */
    bool locked;
    bool half; /* a take whose holder is written and whose number is not */
} world;

static int thread_of(uintptr_t address) {
    return (int)(address / 1000) - 1;
}
static uintptr_t address_of(int thread) {
    return (uintptr_t)(thread + 1) * 1000;
}

static void finish_take(void) {
    if (!world.half)
        return;
    world.half = false;
    world.switches++;
    world.runs[world.holder]++;
    world.stack[world.holder]++;
}

static void begin_take(int thread) {
    finish_take();
    world.half = thread != world.holder;
    world.holder = thread;
    world.locked = true;
}

static void take(int thread) {
    finish_take();
    world.switches += thread != world.holder;
    world.holder = thread;
    world.locked = true;
    world.runs[thread]++;
    world.stack[thread] += rand() % 4 != 0; /* at times it comes back to where it was */
}

/* What happens between two ticks, or between two reads of one tick. */
static void live(int most) {
    for (int i = rand() % (most + 1); i > 0; i--)
        take(rand() % 3 == 0 ? rand() % THREADS : rand() % 2);
    if (!world.half && rand() % 4 == 0)
        world.locked = false;
    if (world.locked && rand() % 2 == 0)
        take(world.holder); /* runs on without a take that shows */
    if (rand() % 8 == 0)
        begin_take(rand() % THREADS);
}

hp_gil hp_gil_read(uintptr_t gil) {
    assert_int_equal(gil, 7);
    return (hp_gil){address_of(world.holder), world.switches, world.locked, false};
}
bool hp_stack_read(hp_stack *stack, const hp_state *state, const hp_bounds *bounds, bool trust) {
    (void)bounds;
    (void)trust;
    stack->count = 1;
    stack->whole = true;
    stack->cut = false;
    stack->doubt = HP_CERTAIN;
    stack->frames[0] = (hp_frame){1, 1, world.stack[thread_of(state->address)]};
    return true;
}
bool hp_stack_equal(const hp_stack *a, const hp_stack *b, bool top_may_move) {
    (void)top_may_move;
    return a->frames[0].instruction == b->frames[0].instruction;
}
/* Chains of tasks were not asked for. */
hp_tasks_found hp_tasks_read(hp_tasks *tasks, const hp_stack *stack, const hp_state *state, bool trust) {
    fail_msg("a chain was read for %p of %p in %p, trusting %d", (const void *)tasks, (const void *)stack, (const void *)state, trust);
    return HP_TASKS_NONE;
}
void hp_tasks_insert(const hp_tasks *tasks, hp_stack *stack) {
    fail_msg("a chain was put into %p from %p", (void *)stack, (const void *)tasks);
}
void hp_memory_lock(void) {}
void hp_memory_unlock(void) {}
bool hp_memory_outermost(void) {
    return true;
}
bool hp_is_collecting(uintptr_t interpreter) {
    return interpreter != 0;
}
int hp_follow_cpu_of(const hp_follow *follow, uint64_t pthread, uint64_t native_id) {
    return follow->pinned + (int)(pthread * 0 + native_id * 0);
}
bool hp_follow_is_there(const hp_follow *follow) {
    return follow->pinned >= 0;
}
bool hp_stop_is_ours(void) {
    return false;
}
bool hp_stop_thread(uint64_t native_id) {
    return native_id == UINT64_MAX;
}
bool hp_stop_release(void) {
    return false;
}
bool hp_thread_is_running(hp_sampler *sampler, hp_watched *watched) {
    return sampler == NULL && watched == NULL;
}

/* --- the checks --- */

static uint64_t looked;
static bool by_look[THREADS];

static bool make_room(hp_watched *w) {
    if (w->progress != HP_TOO_DEEP)
        return false;
    w->last.capacity = 4;
    w->progress = HP_TO_READ;
    return true;
}

static void read_all(hp_sampler *s, hp_watched *watched, uint64_t *runs) {
    int first = rand() % THREADS;
    for (int i = 0; i < THREADS; i++) {
        int cpu, t = (first + i) % THREADS;
        hp_watched *w = &watched[t];
        if (w->progress != HP_TO_READ)
            continue;
        runs[t] = world.runs[t];
        do {
            s->scratch[0].count = 0;
            (void)hp_thread_read(s, w, &s->states[t], &cpu);
        } while (make_room(w));
        by_look[t] = s->scratch[0].count > 0;
        looked += by_look[t];
        if (rand() % 8 == 0)
            live(1);
    }
}

/* One tick over all threads, in any order; the program goes on in between. */
static void tick(hp_sampler *s, hp_watched *watched, uint64_t *runs_when_read) {
    uint64_t runs[THREADS] = {0};
    s->tick++;
    for (int t = 0; t < THREADS; t++)
        watched[t].progress = HP_TO_READ;
    watched[rand() % THREADS].last.capacity = 0; /* no room for a stack that is not the last one */
    hp_rested_begin(s);
    do {
        read_all(s, watched, runs);
        finish_take(); /* see rested.c on the one that is stopped in its midst for the whole tick */
    } while (!hp_rested_end(s));
    for (int t = 0; t < THREADS; t++) {
        hp_watched *w = &watched[t];
        if (w->progress == HP_READ_SAME && !by_look[t])
            assert_int_equal(runs[t], runs_when_read[t]);
        if (w->progress == HP_READ_SAME || w->progress == HP_READ_FRESH)
            runs_when_read[t] = runs[t];
    }
}

static void nobody_is_said_to_rest_who_ran(void **state) {
    hp_frame frames[THREADS + 2][4] = {0};
    hp_thread threads[THREADS] = {0};
    hp_state states[THREADS] = {0};
    hp_watched watched[THREADS] = {0}, *present[THREADS];
    uint64_t runs_when_read[THREADS] = {0};
    hp_sampler *s = calloc(1, sizeof *s);
    (void)state;
    s->states = states;
    s->present = present;
    s->state_count = THREADS;
    s->follow.possible = true;
    assert_int_equal(hp_code_table_new(&s->code), HP_OK);
    for (int i = 0; i < THREADS; i++) {
        states[i] = (hp_state){.address = address_of(i), .gil = 7};
        watched[i].thread = &threads[i];
        watched[i].last = (hp_stack){.frames = frames[i], .capacity = 4};
        present[i] = &watched[i];
    }
    for (int i = 0; i < 2; i++)
        s->scratch[i] = (hp_stack){.frames = frames[THREADS + i], .capacity = 4};
    srand(1);
    for (int i = 0; i < TICKS; i++) {
        live(i % 7);
        tick(s, watched, runs_when_read);
    }
    assert_true(looked < (uint64_t)TICKS * THREADS * 9 / 10); /* and it is worth it */
    hp_code_table_free(s->code);
    free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_is_said_to_rest_who_ran)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
