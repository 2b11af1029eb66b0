/* SPDX-License-Identifier: MIT */
/* Reading one thread's stack so that it is a stack the thread really had.
 *
 *   did not run since           stands where it stood: no copy is needed (rested.c)
 *   does not hold the GIL       stands still; the GIL's switch number proves it, one copy is exact (3.11 with several interpreters: two
 *                               equal copies, because a thread changes interpreters without a switch)
 *   held it last, gave it up    may take it again without a trace: two equal copies, GIL free before and after
 *   holds it, we on its CPU     is stopped as long as we run; two equal copies and its CPU unchanged show that we ran throughout
 *   holds it, stopped by us     stands still inside our signal's handler (on request): one copy is exact
 *   holds it, elsewhere         two equal copies; biased towards moments in which little happens, so only where nothing else is possible */
#include <sched.h>
#include <string.h>

#include "sampler/private.h"

enum {
    FOLLOW_ATTEMPTS = 10, /* then remote copies: never seen on a machine where following works */
    REMOTE_TRIES = 200,
    REMOTE_TRIES_PER_GATE = 20, /* so that a thread that frees memory does not wait for all of them */
    CHAIN_ATTEMPTS = 4,         /* of which the code could not be confirmed; then without awaiting tasks */
    DOUBT_ATTEMPTS = 8,         /* a stack that stays unknowable for so long is as it is */
    PREEMPTED_NS = 200000,      /* a read that took longer was interrupted, whatever the copies say, */
    FRAME_NS = 3000,            /* but for what it had to read */
    PAGE_NS = 10000,            /* where the kernel refuses process_vm_readv: twice what one takes */
};

static bool copy_once(hp_sampler *s, hp_stack *into, const hp_state *state, const hp_watched *w) {
    return hp_stack_read(into, state, &w->bounds, s->trust_ranges && hp_memory_outermost()) &&
           (into->doubt == HP_CERTAIN || (into->doubt == HP_UNKNOWABLE && w->attempts >= DOUBT_ATTEMPTS));
}

/* Gate held. The tasks that await the one on the stack just read. Where a chain's code cannot be confirmed the thread's own stack matters
 * more, so after some attempts it goes without. */
static void read_chain(hp_sampler *s, const hp_stack *stack, const hp_state *state, const hp_watched *w) {
    if (s->tasks == NULL)
        return;
    bool trust = s->trust_ranges && hp_memory_outermost();
    s->tasks->reading.length = s->tasks->reading.pages.copied = 0;
    if (w->chains_refused < CHAIN_ATTEMPTS)
        s->tasks->unknown |= hp_tasks_read(&s->tasks->reading, stack, state, trust) == HP_TASKS_UNKNOWN;
}

static void insert_chain(hp_sampler *s) {
    if (s->tasks != NULL)
        hp_tasks_insert(&s->tasks->reading, &s->scratch[0]);
}

/* Two copies under one gate, and the chain between them: as long as a thread does not run, nobody wakes who awaits its task. */
static bool copies_equal(hp_sampler *s, const hp_state *state, const hp_watched *w) {
    hp_memory_lock();
    bool equal = copy_once(s, &s->scratch[0], state, w);
    if (equal)
        read_chain(s, &s->scratch[0], state, w);
    equal = equal && copy_once(s, &s->scratch[1], state, w) && hp_stack_equal(&s->scratch[0], &s->scratch[1], false);
    if (equal)
        insert_chain(s);
    hp_memory_unlock();
    return equal;
}

static bool same_coroutine(const hp_stack *a, const hp_stack *b, uint32_t outer) {
    return a->count >= outer && b->count >= outer &&
           memcmp(&a->frames[a->count - outer], &b->frames[b->count - outer], outer * sizeof *a->frames) == 0;
}

static double longest_ns(const hp_sampler *s) {
    uint32_t pages = s->tasks == NULL ? 0 : s->tasks->reading.pages.copied;
    return PREEMPTED_NS + (double)FRAME_NS * s->scratch[0].count + (double)PAGE_NS * pages;
}

/* The thread runs on, and what counts is that its task does: from the base to its coroutine the frames are still the same. If we were
 * interrupted the loop may have come round meanwhile, to another task in the same memory, and what was read is of neither. */
static void chain_remotely(hp_sampler *s, const hp_state *state, const hp_watched *w, uint64_t begin) {
    if (s->tasks == NULL)
        return;
    read_chain(s, &s->scratch[0], state, w);
    uint32_t outer = s->scratch[0].count - s->tasks->reading.at;
    bool same =
        s->tasks->reading.length > 0 && copy_once(s, &s->scratch[1], state, w) && same_coroutine(&s->scratch[0], &s->scratch[1], outer);
    if (same && (double)(hp_ticks() - begin) * s->ns_per_tick <= longest_ns(s))
        insert_chain(s);
}

static bool read_remote(hp_sampler *s, const hp_state *state, const hp_watched *w) {
    bool equal = false;
    for (int tries = 0; tries < REMOTE_TRIES && !equal; tries += REMOTE_TRIES_PER_GATE) {
        hp_memory_lock();
        uint64_t began = hp_ticks(), began_before = began;
        copy_once(s, &s->scratch[1], state, w);
        for (int i = 0; i < REMOTE_TRIES_PER_GATE && !equal; i++) {
            /* Each copy is compared with the one before it: one walk for each further try, not two. */
            hp_stack before = s->scratch[1];
            s->scratch[1] = s->scratch[0];
            s->scratch[0] = before;
            began_before = began;
            began = hp_ticks();
            copy_once(s, &s->scratch[1], state, w);
            equal = s->scratch[0].whole && s->scratch[1].whole && s->scratch[0].doubt == HP_CERTAIN &&
                    hp_stack_equal(&s->scratch[0], &s->scratch[1], true);
            s->counts.retried += i + tries > 0;
        }
        if (equal)
            chain_remotely(s, state, w, began_before);
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

static bool has_task(const hp_stack *stack) {
    for (uint32_t i = 0; i < stack->count; i++)
        if (hp_frame_is_task(&stack->frames[i]))
            return true;
    return false;
}

static void note_traced(hp_watched *w) {
    w->traced_word = atomic_load_explicit(&w->thread->traced_clock, memory_order_acquire);
    w->traced_node = atomic_load_explicit(&w->thread->traced_node, memory_order_relaxed);
    w->edge_code = atomic_load_explicit(&w->thread->edge_code, memory_order_acquire);
}

/* A stack in scratch[0] is verified: does it say anything new? */
static void keep(hp_sampler *s, hp_watched *w, uint64_t epoch, uint64_t switches) {
    const hp_stack *fresh = &s->scratch[0];
    /* Looked at again behind the walk (hp_gil_read's fences are in between): code that died since may have left its address to what was
     * just read, and then the same numbers are another stack. */
    bool known = w->last_valid && w->last_epoch == epoch && hp_code_table_epoch(s->code) == epoch;
    w->last_switches = switches;
    note_traced(w);
    if (known && hp_stack_equal(fresh, &w->last, false)) {
        w->progress = HP_READ_SAME;
        return;
    }
    if (fresh->count > w->last.capacity || (fresh->cut && fresh->capacity < HP_STACK_LIMIT)) {
        w->last_valid = false; /* the number is this stack's now, and what rests must not be taken for the one before */
        w->progress = HP_TOO_DEEP;
        return;
    }
    w->same_codes = known && codes_equal(fresh, &w->last);
    w->in_task = s->tasks != NULL && has_task(fresh);
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

/* `handed_on`: it may change to another state of its own without a switch, so a second copy has to show that it did not. */
static bool copy_still(hp_sampler *s, const hp_state *state, const hp_watched *w, bool handed_on) {
    if (handed_on)
        return copies_equal(s, state, w);
    hp_memory_lock();
    bool good = copy_once(s, &s->scratch[0], state, w);
    if (good) {
        read_chain(s, &s->scratch[0], state, w);
        insert_chain(s);
    }
    hp_memory_unlock();
    return good;
}

static hp_read read_still(hp_sampler *s, hp_watched *w, const hp_state *state, const hp_gil *before, uint64_t epoch) {
    bool known = w->last_valid && w->last_epoch == epoch, was_in_task = w->in_task;
    uint64_t from = w->last_switches;
    bool good = copy_still(s, state, w, before->handed_on);
    hp_gil after = hp_gil_read(state->gil);
    if (after.switches != before->switches || after.last_holder == state->address)
        return again(w, HP_CAUSE_SWITCHED);
    if (!good)
        return again(w, failure(s));
    keep(s, w, epoch, after.switches);
    /* Another thread may give a task a name; that a stack with tasks is not the last one proves nothing. */
    if (known && !was_in_task && !w->in_task)
        hp_rested_note(s, w, state->gil, from);
    w->may_have_run = before->handed_on;
    return HP_READ_DONE;
}

static hp_read read_released(hp_sampler *s, hp_watched *w, const hp_state *state, const hp_gil *before, uint64_t epoch) {
    bool good = copies_equal(s, state, w);
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
    bool good = copies_equal(s, state, w);
    hp_gil after = hp_gil_read(state->gil);
    bool stayed = hp_follow_cpu_of(&s->follow, state->pthread, state->native_id) == s->follow.pinned && hp_follow_is_there(&s->follow);
    double took = (double)(hp_ticks() - begin) * s->ns_per_tick;
    if (!stayed)
        return again(w, HP_CAUSE_MOVED);
    if (after.last_holder != state->address)
        return again(w, HP_CAUSE_SWITCHED);
    if (!good || took > longest_ns(s))
        return again(w, failure(s));
    keep(s, w, epoch, after.switches);
    return HP_READ_DONE;
}

/* A thread that is in a system call with the GIL is left alone: the signal would interrupt the call. It stands still anyway, so that two
 * copies from here will be equal; so is one that does not answer, for a while. */
static bool may_be_stopped(hp_sampler *s, hp_watched *w) {
    if (!s->stops || w->attempts >= FOLLOW_ATTEMPTS || s->tick < w->no_stop_until)
        return false;
    if (!hp_stop_is_ours()) {
        s->stops = false;
        s->stop_reason = "somebody else handles SIGURG now";
        return false;
    }
    return hp_thread_is_running(s, w);
}

static hp_read read_by_signal(hp_sampler *s, hp_watched *w, const hp_state *state, uint64_t epoch) {
    enum { SILENCES = 3, PATIENCE = 256 };
    /* The gate first: a thread that was stopped while it holds it would keep it from us. */
    hp_memory_lock();
    bool stopped = hp_stop_thread(state->native_id), good = stopped && copy_once(s, &s->scratch[0], state, w);
    if (good)
        read_chain(s, &s->scratch[0], state, w);
    hp_gil after = hp_gil_read(state->gil);
    bool stayed = hp_stop_release();
    hp_memory_unlock();
    w->silences = stopped ? 0 : w->silences + 1;
    if (!stopped) {
        /* It has no CPU, or the signal blocked: this tick does without. */
        w->attempts = FOLLOW_ATTEMPTS - 1;
        w->no_stop_until = w->silences >= SILENCES ? s->tick + PATIENCE : 0;
        return again(w, HP_CAUSE_MOVED);
    }
    if (after.last_holder != state->address || !after.locked)
        return again(w, HP_CAUSE_SWITCHED);
    if (!good || !stayed)
        return again(w, HP_CAUSE_INTERRUPTED);
    insert_chain(s);
    keep(s, w, epoch, after.switches);
    return HP_READ_DONE;
}

static hp_read read_running(hp_sampler *s, hp_watched *w, const hp_state *state, uint64_t epoch, int *cpu) {
    if (may_be_stopped(s, w))
        return read_by_signal(s, w, state, epoch);
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
    watched->may_have_run |= last;
    if (watched->running)
        return read_running(sampler, watched, state, epoch, cpu);
    if (last)
        return read_released(sampler, watched, state, &gil, epoch);
    if (watched->last_valid && watched->last_epoch == epoch && hp_rested(sampler, watched, state, &gil)) {
        watched->progress = HP_READ_SAME;
        watched->last_switches = gil.switches;
        watched->proved_tick = sampler->tick;
        /* But whoever runs may have ended its extent: a target that is removed. */
        note_traced(watched);
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
    watched->same_codes = watched->in_task = false;
    watched->last_epoch = epoch;
    note_traced(watched);
    watched->progress = HP_READ_PART;
}
