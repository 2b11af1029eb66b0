/* SPDX-License-Identifier: MIT */
/* Reading one thread's stack so that it is a stack the thread really had.
 *
 *   does not hold the GIL       stands still; the GIL's switch number proves it, one copy is exact
 *   held it last, gave it up    may take it again without a trace: two equal copies, GIL free before and after
 *   holds it, we on its CPU     is stopped as long as we run; two equal copies and its CPU unchanged show that we ran throughout
 *   holds it, elsewhere         two equal copies; biased towards moments in which little happens, so only where nothing else is possible */
#include <sched.h>
#include <string.h>

#include "sampler/private.h"

enum {
    FOLLOW_ATTEMPTS = 10, /* then remote copies: never seen on a machine where following works */
    REMOTE_TRIES = 200,
    REMOTE_TRIES_PER_GATE = 20, /* so that a thread that frees memory does not wait for all of them */
    DOUBT_ATTEMPTS = 8,         /* a stack that stays unknowable for so long is as it is */
    PREEMPTED_NS = 200000,      /* a read that took longer was interrupted, whatever the copies say */
};

static bool copy_once(hp_sampler *s, hp_stack *into, const hp_state *state, const hp_watched *w) {
    return hp_stack_read(into, state, &w->bounds, s->trust_ranges) &&
           (into->doubt == HP_CERTAIN || (into->doubt == HP_UNKNOWABLE && w->attempts >= DOUBT_ATTEMPTS));
}

/* Two copies under one gate. */
static bool copies_equal(hp_sampler *s, const hp_state *state, const hp_watched *w, bool top_may_move) {
    hp_memory_lock();
    bool equal = copy_once(s, &s->scratch[0], state, w) && copy_once(s, &s->scratch[1], state, w) &&
                 hp_stack_equal(&s->scratch[0], &s->scratch[1], top_may_move);
    hp_memory_unlock();
    return equal;
}

static bool read_remote(hp_sampler *s, const hp_state *state, const hp_watched *w) {
    bool equal = false;
    for (int tries = 0; tries < REMOTE_TRIES && !equal; tries += REMOTE_TRIES_PER_GATE) {
        hp_memory_lock();
        copy_once(s, &s->scratch[1], state, w);
        for (int i = 0; i < REMOTE_TRIES_PER_GATE && !equal; i++) {
            /* Each copy is compared with the one before it: one walk for each further try, not two. */
            hp_stack before = s->scratch[1];
            s->scratch[1] = s->scratch[0];
            s->scratch[0] = before;
            copy_once(s, &s->scratch[1], state, w);
            equal = s->scratch[0].whole && s->scratch[1].whole && s->scratch[0].doubt == HP_CERTAIN &&
                    hp_stack_equal(&s->scratch[0], &s->scratch[1], true);
            s->counts.retried += i + tries > 0;
        }
        hp_memory_unlock();
        /* It stands still half-way into a call, perhaps because this very thread has its CPU: looking again shows the same. */
        if (!equal && s->scratch[0].doubt != HP_CERTAIN && hp_stack_equal(&s->scratch[0], &s->scratch[1], true))
            sched_yield();
    }
    return equal;
}

static bool codes_equal(const hp_stack *a, const hp_stack *b) {
    if (a->count != b->count || a->cut != b->cut)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->frames[i].code != b->frames[i].code)
            return false;
    return true;
}

/* A stack in scratch[0] is verified: does it say anything new? */
static void keep(hp_sampler *s, hp_watched *w, uint64_t epoch, uint64_t switches) {
    const hp_stack *fresh = &s->scratch[0];
    /* Looked at again behind the walk (hp_gil_read's fences are in between): code that died since may have left its address to what was
     * just read, and then the same numbers are another stack. */
    bool known = w->last_valid && w->last_epoch == epoch && hp_code_table_epoch(s->code) == epoch;
    w->last_switches = switches;
    w->traced_word = atomic_load_explicit(&w->thread->traced_clock, memory_order_acquire);
    if (known && hp_stack_equal(fresh, &w->last, false)) {
        w->progress = HP_READ_SAME;
        return;
    }
    if (fresh->count > w->last.capacity || (fresh->cut && fresh->capacity < HP_STACK_LIMIT)) {
        w->progress = HP_TOO_DEEP;
        return;
    }
    w->same_codes = known && codes_equal(fresh, &w->last);
    memcpy(w->last.frames, fresh->frames, fresh->count * sizeof *fresh->frames);
    w->last.count = fresh->count;
    w->last.cut = fresh->cut;
    w->last.shim_count = fresh->shim_count;
    memcpy(w->last.shims, fresh->shims, sizeof w->last.shims);
    w->last_valid = true;
    w->last_epoch = epoch;
    w->progress = HP_READ_FRESH;
}

static hp_cause failure(const hp_sampler *s) {
    return s->scratch[0].whole && s->scratch[0].doubt != HP_CERTAIN ? HP_CAUSE_HALFWAY : HP_CAUSE_INTERRUPTED;
}

static hp_read again(hp_watched *w, hp_cause cause) {
    w->cause = cause;
    return HP_READ_RETRY;
}

static hp_read read_still(hp_sampler *s, hp_watched *w, const hp_state *state, const hp_gil *before, uint64_t epoch) {
    hp_memory_lock();
    bool good = copy_once(s, &s->scratch[0], state, w);
    hp_memory_unlock();
    hp_gil after = hp_gil_read(state->gil);
    if (after.switches != before->switches || after.last_holder == state->address)
        return again(w, HP_CAUSE_SWITCHED);
    if (!good)
        return again(w, failure(s));
    keep(s, w, epoch, after.switches);
    return HP_READ_DONE;
}

static hp_read read_released(hp_sampler *s, hp_watched *w, const hp_state *state, const hp_gil *before, uint64_t epoch) {
    bool good = copies_equal(s, state, w, false);
    hp_gil after = hp_gil_read(state->gil);
    if (after.locked || after.switches != before->switches)
        return again(w, HP_CAUSE_SWITCHED);
    if (!good)
        return again(w, failure(s));
    keep(s, w, epoch, after.switches);
    return HP_READ_DONE;
}

static hp_read read_stopped(hp_sampler *s, hp_watched *w, const hp_state *state, uint64_t epoch) {
    uint64_t begin = hp_ticks();
    bool good = copies_equal(s, state, w, false);
    hp_gil after = hp_gil_read(state->gil);
    bool stayed = hp_follow_cpu_of(&s->follow, state->pthread, state->native_id) == s->follow.pinned && hp_follow_is_there(&s->follow);
    double took = (double)(hp_ticks() - begin) * s->ns_per_tick;
    if (!stayed)
        return again(w, HP_CAUSE_MOVED);
    if (after.last_holder != state->address)
        return again(w, HP_CAUSE_SWITCHED);
    if (!good || took > PREEMPTED_NS + 3000.0 * s->scratch[0].count)
        return again(w, failure(s));
    keep(s, w, epoch, after.switches);
    return HP_READ_DONE;
}

static hp_read read_running(hp_sampler *s, hp_watched *w, const hp_state *state, uint64_t epoch, int *cpu) {
    w->remote = !s->follow.possible || w->attempts >= FOLLOW_ATTEMPTS;
    if (!w->remote) {
        w->cause = HP_CAUSE_MOVED;
        *cpu = hp_follow_cpu_of(&s->follow, state->pthread, state->native_id);
        bool there = *cpu == s->follow.pinned && hp_follow_is_there(&s->follow);
        return there ? read_stopped(s, w, state, epoch) : HP_READ_MOVE;
    }
    if (!read_remote(s, state, w)) {
        w->cause = s->scratch[0].doubt != HP_CERTAIN ? HP_CAUSE_HALFWAY : HP_CAUSE_CHANGED;
        hp_thread_read_part(s, w, state);
        return HP_READ_DONE;
    }
    keep(s, w, epoch, hp_gil_read(state->gil).switches);
    return HP_READ_DONE;
}

hp_read hp_thread_read(hp_sampler *sampler, hp_watched *watched, const hp_state *state, int *cpu) {
    uint64_t epoch = hp_code_table_epoch(sampler->code);
    hp_gil gil = hp_gil_read(state->gil);
    bool last = gil.last_holder == state->address;
    watched->running = last && gil.locked;
    watched->remote = false;
    watched->collecting = watched->running && hp_is_collecting(state->interpreter);
    if (watched->running)
        return read_running(sampler, watched, state, epoch, cpu);
    if (last)
        return read_released(sampler, watched, state, &gil, epoch);
    if (watched->last_valid && watched->last_switches == gil.switches && watched->last_epoch == epoch) {
        watched->progress = HP_READ_SAME; /* nobody took the GIL since, so it did not run */
        /* But whoever runs may have ended its extent: a target that is removed. */
        watched->traced_word = atomic_load_explicit(&watched->thread->traced_clock, memory_order_acquire);
        return HP_READ_DONE;
    }
    return read_still(sampler, watched, state, &gil, epoch);
}

/* What is above doubt: only a top frame's link to its caller can be half-way. */
static uint32_t certain(const hp_stack *stack) {
    return stack->doubt == HP_CERTAIN ? stack->count : stack->count - 1;
}

/* Frames that both copies share, counted from the base. */
static uint32_t common_outer(const hp_stack *a, const hp_stack *b) {
    uint32_t common = 0;
    if (!a->whole || !b->whole)
        return 0;
    while (common < certain(a) && common < certain(b) &&
           memcmp(&a->frames[a->count - 1 - common], &b->frames[b->count - 1 - common], sizeof *a->frames) == 0)
        common++;
    return common;
}

void hp_thread_read_part(hp_sampler *sampler, hp_watched *watched, const hp_state *state) {
    hp_stack *a = &sampler->scratch[0], *b = &sampler->scratch[1];
    uint64_t epoch = hp_code_table_epoch(sampler->code);
    hp_memory_lock();
    copy_once(sampler, a, state, watched);
    copy_once(sampler, b, state, watched);
    hp_memory_unlock();
    uint32_t common = common_outer(a, b);
    common = common < watched->last.capacity ? common : watched->last.capacity;
    memcpy(watched->last.frames, a->frames + (a->count - common), common * sizeof *a->frames);
    watched->last.count = common;
    watched->last_valid = false;
    watched->same_codes = false;
    watched->last_epoch = epoch;
    watched->traced_word = atomic_load_explicit(&watched->thread->traced_clock, memory_order_acquire);
    watched->progress = HP_READ_PART;
}
