/* SPDX-License-Identifier: MIT */
/* The threads that the sampler has met. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler/private.h"

static bool read_line(const char *path, char *text, size_t room) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, text, room - 1);
    if (file >= 0)
        close(file);
    if (size <= 0)
        return false;
    text[size - (text[size - 1] == '\n')] = '\0';
    return true;
}

static uint32_t home(uint64_t interpreter_id, uint64_t id, uint32_t mask) {
    return (uint32_t)(((interpreter_id << 32 ^ id) * 0x9E3779B97F4A7C15u) >> 32) & mask;
}

hp_watched *hp_watched_find(hp_sampler *sampler, uint64_t interpreter_id, uint64_t id) {
    if (sampler->watched_mask == 0)
        return NULL;
    uint32_t at = home(interpreter_id, id, sampler->watched_mask);
    for (;; at = (at + 1) & sampler->watched_mask) {
        uint32_t which = sampler->watched_index[at];
        if (which == UINT32_MAX)
            return NULL;
        if (sampler->watched[which]->id == id && sampler->watched[which]->interpreter_id == interpreter_id)
            return sampler->watched[which];
    }
}

static void index_put(uint32_t *index, uint32_t mask, const hp_watched *watched, uint32_t which) {
    uint32_t at = home(watched->interpreter_id, watched->id, mask);
    while (index[at] != UINT32_MAX)
        at = (at + 1) & mask;
    index[at] = which;
}

/* A record that was taken over is still found at its old place, where its key does not match any more: such places count as used. */
static bool index_rebuild(hp_sampler *s, uint32_t size) {
    uint32_t *index = malloc(size * sizeof *index);
    if (index == NULL)
        return false;
    memset(index, 0xFF, size * sizeof *index);
    for (uint32_t i = 0; i < s->watched_count; i++)
        index_put(index, size - 1, s->watched[i], i);
    free(s->watched_index);
    s->watched_index = index;
    s->watched_mask = size - 1;
    s->watched_used = s->watched_count;
    return true;
}

/* At a load of 1/2. */
static bool reserve_place(hp_sampler *s) {
    uint32_t size = s->watched_capacity * 2;
    return (s->watched_mask + 1 >= size && s->watched_used < (s->watched_mask + 1) / 4 * 3) || index_rebuild(s, size);
}

/* Room for one more in the list and in the index. */
static bool reserve_one(hp_sampler *s) {
    if (s->watched_count == s->watched_capacity) {
        uint32_t capacity = s->watched_capacity == 0 ? 64 : s->watched_capacity * 2;
        hp_watched **list = capacity > HP_WATCHED_LIMIT ? NULL : realloc(s->watched, capacity * sizeof(hp_watched *));
        if (list == NULL)
            return false;
        s->watched = list;
        s->watched_capacity = capacity;
    }
    return reserve_place(s);
}

/* What C code called its thread, before Python code gives it another name. Threads inherit the name of who made them, which in a program
 * that names none is the program's own: that says nothing. */
static void suggest_name(hp_sampler *s, const hp_thread *thread) {
    char path[64], name[32];
    snprintf(path, sizeof path, "/proc/self/task/%llu/comm", (unsigned long long)thread->native_id);
    if (!s->own_files || thread->native_id == (uint64_t)getpid() || !hp_may_open(s) || !read_line(path, name, sizeof name))
        return;
    if (s->program_name[0] == '\0' && !read_line("/proc/self/comm", s->program_name, sizeof s->program_name))
        return;
    if (strcmp(name, s->program_name) != 0)
        (void)hp_threads_suggest_name(s->threads, thread->index, name); /* short memory: it stays unnamed */
}

static void set_native_id(hp_sampler *s, hp_watched *watched, uint64_t native_id) {
    watched->native_id = native_id;
    s->last_with_id[native_id % HP_IDS_KNOWN] = watched->number;
}

/* What its traced clock showed at `t_prev`. A record of its own began with 0, but no more can have been added since than there was time;
 * one that was another's shows that one's, as who is traced has a record of its own. */
static uint64_t traced_before(const hp_sampler *s, const hp_watched *w, int64_t now, uint64_t ticks, bool took_over) {
    bool inside;
    uint64_t traced = hp_thread_traced_ticks(w->thread, ticks, &inside);
    int64_t possible = s->ns_per_tick > 0 ? (int64_t)((double)(now - w->t_prev) / s->ns_per_tick) : 0;
    if (took_over)
        return traced;
    return (int64_t)traced > possible ? traced - (uint64_t)possible : 0;
}

/* Since when it is taken to be there. Beneath a target what it lived is known: no sample stands for the time before. */
static int64_t there_since(const hp_sampler *s, const hp_thread *thread, int64_t now, uint64_t ticks) {
    bool inside, known = s->listed_ns > 0 && s->listed_ns < now;
    int64_t traced = (int64_t)hp_thread_traced_ticks(thread, ticks, &inside);
    if (!known || !inside || s->options.clock == HP_CLOCK_CPU)
        return known ? s->listed_ns : now;
    int64_t began = now - (traced > 0 ? (int64_t)((double)traced * s->ns_per_tick) : 0);
    return began > s->listed_ns ? began : s->listed_ns;
}

/* The record of a thread that is there, in another state of its own. */
static const hp_watched *same_native_thread(const hp_sampler *s, const hp_state *state) {
    uint32_t which = s->last_with_id[state->native_id % HP_IDS_KNOWN];
    const hp_watched *w = which < s->watched_count ? s->watched[which] : NULL;
    bool same = w != NULL && w->tick == s->tick && w->native_id == state->native_id && w->pthread == state->pthread;
    return same ? w : NULL;
}

/* A thread that has entered another interpreter has been watched before, and what its clock showed at the last tick is known. */
static void begin_cpu(hp_sampler *s, hp_watched *watched, const hp_state *state) {
    const hp_watched *outer = same_native_thread(s, state);
    watched->cpu_prev = outer != NULL ? outer->cpu_prev : hp_other_thread_cpu_ns(state->native_id);
    watched->is_new = watched->is_new && outer == NULL;
}

/* `watched` has its thread and its number and nothing else but, perhaps, totals and a stack's room.
 *
 * A state that lives for less than an interval is met once or never. Nobody knows when it began and when it will end; but if its one sample
 * stands for the time since the tick before, as every other does, the times of many such states add up to what they were: a moment of a
 * state's life is as likely to lie before a tick by so much as after one. So it counts as there since the last list. */
static void begin(hp_sampler *s, hp_watched *watched, const hp_state *state, int64_t now, uint64_t ticks, bool took_over) {
    hp_thread *thread = watched->thread;
    thread->native_id = state->native_id;
    thread->pthread = state->pthread;
    watched->is_new = s->listed_ns > 0 && s->listed_ns < now;
    watched->t_prev = there_since(s, thread, now, ticks);
    int64_t first = hp_threads_seen_first(s->threads, thread, watched->t_prev);
    if (watched->is_new && first < watched->t_prev) /* the tracer met it a while before its extent began */
        watched->t_prev = first > s->listed_ns ? first : s->listed_ns;
    suggest_name(s, thread);
    watched->interpreter_id = state->interpreter_id;
    watched->id = state->id;
    begin_cpu(s, watched, state);
    set_native_id(s, watched, state->native_id);
    watched->leaf = HP_NO_NODE;
    watched->syscall_file = -1;
    watched->traced_word = atomic_load_explicit(&thread->traced_clock, memory_order_acquire);
    watched->traced_prev = traced_before(s, watched, now, ticks, took_over);
}

/* NULL: its record stays as it is. */
static hp_watched *take_over(hp_sampler *s, hp_watched *w, const hp_state *state, bool same_thread, int64_t now, uint64_t ticks) {
    if (hp_threads_take_over(s->threads, w->thread, state->interpreter_id, state->id, same_thread) == NULL)
        return NULL;
    hp_record_flush(s, w);
    hp_thread_state_forget(w);
    hp_open_gap_give(s, w);
    *w = (hp_watched){
        .thread = w->thread, .number = w->number, .totals = w->totals, .last = {.frames = w->last.frames, .capacity = w->last.capacity}};
    w->totals.open_leaf = HP_NO_NODE; /* that was another life */
    w->totals.open_ns = 0;
    begin(s, w, state, now, ticks, true);
    w->tick = s->tick;
    w->listed = s->lists; /* it is there: nobody else may have the record */
    index_put(s->watched_index, s->watched_mask, w, w->number);
    s->watched_used++;
    return w;
}

/* A thread of C code gets a new state with each PyGILState_Ensure. The kernel gives an id again only when it has used them all up, and with
 * the same pthread_t hardly ever. Another state of its own that exists has been listed just now. */
static hp_watched *come_back(hp_sampler *s, const hp_state *state, int64_t now, uint64_t ticks) {
    uint32_t which = s->last_with_id[state->native_id % HP_IDS_KNOWN];
    hp_watched *w = which < s->watched_count ? s->watched[which] : NULL;
    bool same =
        w != NULL && w->native_id == state->native_id && w->thread->pthread == state->pthread && w->interpreter_id == state->interpreter_id;
    return same && w->listed != s->lists && reserve_place(s) ? take_over(s, w, state, true, now, ticks) : NULL;
}

/* The one that ended last is the likeliest to have been of the same kind. */
static hp_watched *follow_another(hp_sampler *s, const hp_state *state, int64_t now, uint64_t ticks) {
    hp_watched *w = NULL;
    while (w == NULL && s->watched_count >= HP_WATCHED_APART && s->ended_count > 0 && reserve_place(s)) {
        hp_watched *ended = s->watched[s->ended[--s->ended_count]];
        if (ended->listed != s->lists) /* else it came back since it was listed */
            w = take_over(s, ended, state, false, now, ticks);
    }
    return w;
}

static hp_watched *with_earlier_record(hp_sampler *s, const hp_state *state, int64_t now, uint64_t ticks) {
    if (hp_threads_find(s->threads, state->interpreter_id, state->id) != NULL)
        return NULL; /* whoever met it first made it a record of its own */
    hp_watched *w = come_back(s, state, now, ticks);
    return w != NULL ? w : follow_another(s, state, now, ticks);
}

hp_watched *hp_watched_add(hp_sampler *sampler, const hp_state *state, int64_t now, uint64_t ticks) {
    hp_watched *watched = with_earlier_record(sampler, state, now, ticks);
    if (watched != NULL)
        return watched->last.frames != NULL || hp_watched_grow(watched, 64) ? watched : NULL;
    if (!reserve_one(sampler))
        return NULL;
    watched = calloc(1, sizeof *watched);
    hp_thread *thread = watched == NULL ? NULL : hp_threads_get(sampler->threads, state->interpreter_id, state->id, NULL);
    if (thread == NULL || !hp_watched_grow(watched, 64)) {
        free(watched);
        return NULL;
    }
    watched->thread = thread;
    watched->totals.thread = thread->index;
    watched->totals.root = watched->totals.open_leaf = HP_NO_NODE;
    watched->number = sampler->watched_count;
    begin(sampler, watched, state, now, ticks, false);
    sampler->watched[sampler->watched_count] = watched;
    index_put(sampler->watched_index, sampler->watched_mask, watched, sampler->watched_count++);
    sampler->watched_used++;
    return watched;
}

void hp_watched_sweep(hp_sampler *sampler) {
    if (sampler->ended_capacity < sampler->watched_capacity) {
        uint32_t *ended = realloc(sampler->ended, sampler->watched_capacity * sizeof *ended);
        if (ended == NULL)
            return;
        sampler->ended = ended;
        sampler->ended_capacity = sampler->watched_capacity;
    }
    sampler->ended_count = 0;
    for (uint32_t i = 0; i < sampler->watched_count; i++) {
        hp_watched *w = sampler->watched[i];
        if (w->tick == sampler->tick)
            continue;
        hp_watched_forget_stack(w);
        hp_thread_state_forget(w);
        sampler->ended[sampler->ended_count++] = i;
    }
}

bool hp_watched_grow(hp_watched *watched, uint32_t depth) {
    hp_frame *frames = realloc(watched->last.frames, depth * sizeof *frames);
    if (frames == NULL)
        return false;
    watched->last.frames = frames;
    watched->last.capacity = depth;
    return true;
}

void hp_watched_forget_stack(hp_watched *watched) {
    free(watched->last.frames);
    watched->last = (hp_stack){0};
    watched->last_valid = false;
}

void hp_watched_drop_all(hp_sampler *sampler) {
    for (uint32_t i = 0; i < sampler->watched_count; i++) {
        hp_watched_forget_stack(sampler->watched[i]);
        free(sampler->watched[i]);
    }
    free(sampler->watched);
    free(sampler->watched_index);
    free(sampler->ended);
    sampler->watched = NULL;
    sampler->ended = NULL;
    sampler->ended_count = sampler->ended_capacity = 0;
    sampler->known_count = 0;
    sampler->watched_index = NULL;
    sampler->watched_count = sampler->watched_capacity = sampler->watched_mask = sampler->watched_used = 0;
}

/* Only what is mapped now: the rest of the main thread's stack is a promise, and reading there could fault. It only grows. */
hp_bounds hp_main_stack_bounds(void) {
    hp_bounds bounds = {0, 0};
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    while (maps != NULL && bounds.high == 0 && fgets(line, sizeof line, maps) != NULL) {
        char *dash, *space;
        uintptr_t low = strtoul(line, &dash, 16), high = *dash == '-' ? strtoul(dash + 1, &space, 16) : 0;
        if (high > low && *space == ' ' && strstr(line, "[stack]") != NULL)
            bounds = (hp_bounds){low, high};
    }
    if (maps != NULL)
        fclose(maps);
    return bounds;
}

void hp_watched_bounds(hp_sampler *sampler, hp_watched *watched, const hp_state *state) {
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (watched->native_id != state->native_id)
        hp_thread_state_forget(watched);
    watched->pthread = state->pthread;
    /* A state made for a thread that has not begun to run bears no id, or on 3.11 that of the thread which made it: the clock that was read
     * was not this thread's, and all that its own shows is time since we have watched it. */
    if (watched->native_id != state->native_id)
        watched->cpu_prev = 0;
    set_native_id(sampler, watched, state->native_id);
    watched->thread->pthread = state->pthread;
    watched->thread->native_id = state->native_id;
    watched->bounds = (hp_bounds){0, 0};
    if (state->native_id == (uint64_t)getpid()) {
        watched->bounds = sampler->main_bounds;
        return;
    }
    /* A thread that ended without deleting its state has left a dangling pthread_t: ask the kernel first. */
    if (state->pthread == 0 || state->native_id == 0 || syscall(SYS_tgkill, getpid(), (pid_t)state->native_id, 0) != 0)
        return;
    if (pthread_getattr_np((pthread_t)state->pthread, &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, &size) == 0)
        watched->bounds = (hp_bounds){(uintptr_t)low, (uintptr_t)low + size};
    pthread_attr_destroy(&attributes);
}
