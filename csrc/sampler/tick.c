/* SPDX-License-Identifier: MIT */
/* One tick: every thread of every interpreter gets one sample.
 *
 * It goes in rounds. A round lists the threads under the head lock, reads those that can be read from here, and lets go of every lock
 * before it moves to another CPU, allocates, looks up names or waits. Most ticks have one round. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sampler/private.h"

enum {
    ROUNDS = 64,
    ATTEMPTS = 16,     /* of one thread, then its outer part has to do */
    IDLE_TICKS = 64,   /* without a GIL holder: give the affinity back */
    MANY_THREADS = 16, /* from here on those that ran lately are read first: what they show may spare the others */
    BUSY_TICKS = 16,   /* how long that is */
    LOCK_YIELDS = 16,  /* tries for the head lock that only yield */
    LOCK_SLEEPS = 40,  /* further ones, 50 us apart */
    HP_NOBODY = -2,    /* in place of a CPU */
};

static void pause_us(long microseconds) {
    struct timespec t = {0, microseconds * 1000};
    nanosleep(&t, NULL);
}

static bool head_lock(void) {
    for (int tries = 0; tries < LOCK_YIELDS + LOCK_SLEEPS; tries++) {
        if (hp_states_try_lock())
            return true;
        if (tries < LOCK_YIELDS)
            sched_yield();
        else
            pause_us(50);
    }
    return false;
}

static bool reserve_states(hp_sampler *s, uint32_t count) {
    uint32_t capacity = count + count / 2 + 16;
    hp_state *states = realloc(s->states, capacity * sizeof *states);
    if (states != NULL)
        s->states = states;
    hp_watched **present = realloc(s->present, capacity * sizeof *present);
    if (present != NULL)
        s->present = present;
    uint32_t *next = realloc(s->next_alike, capacity * sizeof *next);
    if (next != NULL)
        s->next_alike = next;
    s->known_count = 0;
    if (states == NULL || present == NULL || next == NULL)
        return false;
    s->state_capacity = capacity;
    return true;
}

/* Who the listed states are. Returns how many are new. */
static uint32_t match(hp_sampler *s) {
    uint32_t unknown = 0;
    s->lists++;
    for (uint32_t i = 0; i < s->state_count; i++) {
        hp_watched *w = i < s->known_count ? s->present[i] : NULL; /* mostly the list is the last tick's */
        if (w == NULL || w->id != s->states[i].id || w->interpreter_id != s->states[i].interpreter_id)
            w = hp_watched_find(s, s->states[i].interpreter_id, s->states[i].id);
        s->present[i] = w;
        unknown += w == NULL;
        if (w == NULL)
            continue;
        w->listed = s->lists;
        if (w->tick == s->tick)
            continue;
        w->tick = s->tick;
        w->progress = HP_TO_READ;
        w->attempts = w->chains_refused = 0;
    }
    s->known_count = s->state_count;
    return unknown;
}

/* No locks. Threads that do not fit stay unknown: until the next tick, or for ever where there are too many. */
static void add_unknown(hp_sampler *s, int64_t now, uint64_t ticks) {
    for (uint32_t i = 0; i < s->state_count && !s->watched_full; i++)
        if (s->present[i] == NULL)
            s->watched_full = hp_watched_add(s, &s->states[i], now, ticks) == NULL;
}

/* States are listed by interpreter. */
static bool is_one_interpreter(const hp_sampler *s) {
    return s->state_count == 0 || s->states[0].interpreter == s->states[s->state_count - 1].interpreter;
}

/* Lists and matches until nobody is new; the head lock is held afterwards. False: nothing can be done at this tick. */
static bool begin_round(hp_sampler *s, int64_t now, uint64_t ticks) {
    for (int tries = 0; tries < 8; tries++) {
        if (!head_lock())
            return false;
        hp_states_prefetch(s->states, s->known_count);
        uint32_t count = hp_states_list(s->states, s->state_capacity);
        bool all = count <= s->state_capacity;
        s->state_count = all ? count : 0;
        if (all && (match(s) == 0 || s->watched_full)) {
            if (!is_one_interpreter(s))
                hp_states_find_threads(s);
            return true;
        }
        hp_states_unlock();
        if (!all && !reserve_states(s, count))
            return false;
        add_unknown(s, now, ticks);
    }
    return false;
}

static void after_read(hp_sampler *s, hp_watched *w, const hp_state *state, hp_read result) {
    bool too_deep = result == HP_READ_DONE && w->progress == HP_TOO_DEEP && w->attempts >= ATTEMPTS; /* and memory is short */
    if (result == HP_READ_DONE && !too_deep)
        return;
    s->counts.retried += result == HP_READ_RETRY;
    w->cause = too_deep ? HP_CAUSE_MEMORY : w->cause;
    if (++w->attempts >= ATTEMPTS)
        hp_thread_read_part(s, w, state);
}

/* A few threads ahead, so that the misses of several walks overlap. */
static void prefetch_ahead(const hp_sampler *s, uint32_t i) {
    enum { FAR = 6, NEAR = 3 };
    if (i + FAR < s->state_count && s->present[i + FAR] != NULL)
        __builtin_prefetch(s->present[i + FAR]->last.frames);
    const hp_watched *near = i + NEAR < s->state_count ? s->present[i + NEAR] : NULL;
    if (near == NULL || near->progress != HP_TO_READ || hp_rested(s, near, &s->states[i + NEAR], &s->takes.now))
        return;
    hp_stack_prefetch(&s->present[i + NEAR]->last, s->states[i + NEAR].address);
}

/* Returns the CPU it has to be followed to, -1 if that is unknown, or HP_NOBODY. */
static int read_one(hp_sampler *s, hp_watched *w, const hp_state *state) {
    int cpu = -1;
    if (w->pthread != state->pthread || w->native_id != state->native_id)
        hp_watched_bounds(s, w, state);
    hp_read result = hp_thread_read(s, w, state, &cpu);
    after_read(s, w, state, result);
    return result == HP_READ_MOVE ? cpu : HP_NOBODY;
}

/* Those that are still to be read and, unless `all`, ran lately. Returns where somebody has to be followed to, as read_one. */
static int read_some(hp_sampler *s, bool all, bool *holder) {
    int cpu = HP_NOBODY;
    for (uint32_t i = 0; i < s->state_count; i++) {
        hp_watched *w = s->present[i];
        if (all)
            prefetch_ahead(s, i);
        if (w == NULL || w->progress != HP_TO_READ || !(all || w->busy_tick + BUSY_TICKS >= s->tick))
            continue;
        int where = read_one(s, w, &s->states[i]);
        *holder |= w->running;
        cpu = where == HP_NOBODY ? cpu : where;
    }
    return cpu;
}

/* Head lock held. Returns as read_some. */
static int read_all(hp_sampler *s, bool *holder) {
    int first = HP_NOBODY, cpu;
    hp_rested_begin(s);
    if (s->state_count >= MANY_THREADS)
        first = read_some(s, false, holder);
    do {
        cpu = read_some(s, true, holder);
        first = first == HP_NOBODY ? cpu : first;
    } while (!hp_rested_end(s));
    return first;
}

static bool grow_scratch(hp_sampler *s, uint32_t capacity) {
    for (int i = 0; i < 2; i++) {
        hp_frame *frames = realloc(s->scratch[i].frames, capacity * sizeof *frames);
        if (frames == NULL)
            return false;
        s->scratch[i].frames = frames;
    }
    uintptr_t *addresses = realloc(s->addresses, capacity * sizeof *addresses);
    if (addresses != NULL)
        s->addresses = addresses;
    uint32_t *slots = realloc(s->slots, capacity * sizeof *slots);
    if (slots != NULL)
        s->slots = slots;
    if (addresses == NULL || slots == NULL)
        return false;
    s->scratch[0].capacity = s->scratch[1].capacity = s->path_capacity = capacity;
    return true;
}

/* Twice as deep; where memory is short the outer part has to do, or the time would become another stack's. */
static void make_room(hp_sampler *s, hp_watched *w) {
    uint32_t depth = w->last.capacity == 0 ? 64 : w->last.capacity * 2;
    w->progress = HP_TO_READ;
    if (depth > HP_STACK_LIMIT || (depth > s->path_capacity && !grow_scratch(s, depth)) || !hp_watched_grow(w, depth))
        w->attempts = ATTEMPTS;
}

/* Code dies faster than its stack can be read: not even an outer part is sure. */
static void give_up(hp_sampler *s, hp_watched *w) {
    w->last.count = 0;
    w->last_epoch = hp_code_table_epoch(s->code);
    w->progress = HP_READ_PART;
    w->same_codes = w->in_task = false;
    if (!hp_record_resolve(s, w))
        w->progress = HP_TO_READ;
}

/* Lists of states whose native ids look alike, so that a thread with several states finds them among a thousand. */
static void list_alike(hp_sampler *s) {
    memset(s->first_alike, 0xff, sizeof s->first_alike);
    for (uint32_t i = 0; i < s->state_count; i++) {
        uint32_t *first = &s->first_alike[s->states[i].native_id % HP_LISTS_ALIKE];
        s->next_alike[i] = *first;
        *first = i;
    }
}

/* A native thread that enters another interpreter has a state in each, and runs the innermost: of those with a stack the one whose
 * interpreter is the youngest. */
static bool is_behind(const hp_sampler *s, uint32_t i) {
    const hp_state *own = &s->states[i];
    bool empty = s->present[i]->last.count == 0;
    for (uint32_t j = s->first_alike[own->native_id % HP_LISTS_ALIKE]; j != UINT32_MAX; j = s->next_alike[j]) {
        const hp_state *other = &s->states[j];
        bool same = j != i && other->native_id == own->native_id && s->present[j] != NULL;
        if (same && s->present[j]->last.count > 0 && (empty || other->interpreter_id > own->interpreter_id))
            return true;
    }
    return false;
}

/* No locks. Returns how many threads are still to be read. */
static uint32_t record_all(hp_sampler *s, int64_t now, uint64_t ticks) {
    uint32_t left = 0;
    bool alone = is_one_interpreter(s);
    if (!alone)
        list_alike(s);
    for (uint32_t i = 0; i < s->state_count; i++) {
        hp_watched *w = s->present[i];
        if (w == NULL || w->progress == HP_RECORDED)
            continue;
        if (w->progress == HP_TOO_DEEP)
            make_room(s, w);
        if (w->progress != HP_TO_READ && !hp_record_resolve(s, w)) {
            w->progress = HP_TO_READ;
            w->cause = s->short_of_slots ? HP_CAUSE_MEMORY : HP_CAUSE_CODE;
            w->chains_refused += w->in_task;
            s->counts.retried++;
            if (++w->attempts >= ATTEMPTS)
                give_up(s, w);
        }
        if (w->progress == HP_TO_READ) {
            left++;
            continue;
        }
        w->behind = !alone && (is_behind(s, i) || (w->borrowed && w->last.count == 0));
        hp_record_sample(s, w, &s->states[i], now, ticks);
        w->busy_tick = w->progress == HP_READ_SAME ? w->busy_tick : s->tick;
        w->progress = HP_RECORDED;
    }
    return left;
}

static void loosen(hp_sampler *s, bool holder) {
    s->idle_ticks = holder ? 0 : s->idle_ticks + 1;
    if (s->idle_ticks >= IDLE_TICKS)
        hp_follow_release(&s->follow);
}

/* Coroutines may be those of another library, and asyncio never be imported: the program is not asked at each tick. */
static void ask_for_tasks(hp_sampler_tasks *tasks, int64_t now) {
    enum { EVERY_NS = 100000000 };
    if (tasks->unknown && now >= tasks->ask_after) {
        tasks->ask_after = now + EVERY_NS;
        hp_tasks_ask();
    }
    tasks->unknown = false;
}

/* A move alone stops a thread where that suits the kernel: one that preempts lazily (Linux 6.12 on) does it at the end of the thread's next
 * system call, so that code which calls the system would be met there and nowhere else (38 to 49 % of the samples in a clock's reading
 * with two interpreters, 9 % with one). A timer's interrupt comes at a moment of its own, here as at each tick; a random one, or it would
 * be the same distance behind a call each time. */
static void let_it_run(hp_sampler *s) {
    enum { PER_SECOND = 20000 };
    int64_t ns = hp_intervals_next(&s->intervals, PER_SECOND);
    struct timespec t = {0, (long)ns};
    nanosleep(&t, NULL);
}

static uint64_t count_unwatched(const hp_sampler *s) {
    uint64_t count = 0;
    for (uint32_t i = 0; s->watched_full && i < s->state_count; i++)
        count += s->present[i] == NULL;
    return count;
}

void hp_sampler_tick(hp_sampler *sampler, int64_t now) {
    uint64_t ticks = hp_ticks();
    enum { SWEEP_EVERY = 256 };
    bool holder = false, listed = true;
    sampler->tick++;
    if (ticks > sampler->begin.ticks)
        sampler->ns_per_tick = (double)(now - sampler->begin.ns) / (double)(ticks - sampler->begin.ticks);
    sampler->trust_ranges = hp_memory_watched();
    sampler->watched_full = sampler->watched_count >= HP_WATCHED_LIMIT && sampler->ended_count == 0; /* memory may be there again */
    for (int round = 0; round < ROUNDS; round++) {
        /* Nobody is sampled; the time of this tick goes to the stacks of the next one. */
        if (!begin_round(sampler, now, ticks)) {
            sampler->counts.missed++;
            listed = false;
            break;
        }
        sampler->listed_ns = now;
        int cpu = read_all(sampler, &holder);
        hp_states_unlock();
        if (record_all(sampler, now, ticks) == 0)
            break;
        if (cpu != HP_NOBODY && hp_follow_go(&sampler->follow, cpu)) {
            let_it_run(sampler);
            continue;
        }
        if (round > 0)
            pause_us(20); /* what is in the way may need our CPU to get out of it */
    }
    if (sampler->tasks != NULL)
        ask_for_tasks(sampler->tasks, now);
    sampler->counts.ticks += listed;
    if (listed)
        sampler->counts.unwatched += count_unwatched(sampler);
    loosen(sampler, holder);
    if (listed && sampler->tick % SWEEP_EVERY == 0)
        hp_watched_sweep(sampler);
}

bool hp_sampler_meet(hp_sampler *sampler, int64_t now, uint64_t ticks) {
    sampler->tick++;
    sampler->listed_ns = 0; /* whoever is met now was there before */
    bool listed = begin_round(sampler, now, ticks);
    if (listed)
        hp_states_unlock();
    sampler->listed_ns = now;
    return listed;
}
