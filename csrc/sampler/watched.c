/* SPDX-License-Identifier: MIT */
/* The threads that the sampler has met. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler/private.h"

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

/* Room for one more in the list and, at a load of 1/2, in the index. */
static bool reserve_one(hp_sampler *s) {
    if (s->watched_count < s->watched_capacity)
        return true;
    uint32_t capacity = s->watched_capacity == 0 ? 64 : s->watched_capacity * 2, size = capacity * 2;
    hp_watched **list = capacity > HP_WATCHED_LIMIT ? NULL : realloc(s->watched, capacity * sizeof(hp_watched *));
    if (list == NULL)
        return false;
    s->watched = list;
    uint32_t *index = malloc(size * sizeof *index);
    if (index == NULL)
        return false;
    memset(index, 0xFF, size * sizeof *index);
    for (uint32_t i = 0; i < s->watched_count; i++)
        index_put(index, size - 1, list[i], i);
    free(s->watched_index);
    s->watched_index = index;
    s->watched_mask = size - 1;
    s->watched_capacity = capacity;
    return true;
}

hp_watched *hp_watched_add(hp_sampler *sampler, const hp_state *state, int64_t now, uint64_t ticks) {
    hp_watched *watched = reserve_one(sampler) ? calloc(1, sizeof *watched) : NULL;
    hp_thread *thread = watched == NULL ? NULL : hp_threads_get(sampler->threads, state->interpreter_id, state->id, NULL);
    if (thread == NULL || !hp_watched_grow(watched, 64)) {
        free(watched);
        return NULL;
    }
    thread->native_id = state->native_id;
    thread->pthread = state->pthread;
    watched->thread = thread;
    watched->interpreter_id = state->interpreter_id;
    watched->id = state->id;
    watched->native_id = state->native_id;
    watched->leaf = HP_NO_NODE;
    watched->syscall_file = -1;
    watched->t_prev = now;
    watched->cpu_prev = hp_other_thread_cpu_ns(state->native_id);
    watched->traced_word = atomic_load_explicit(&thread->traced_clock, memory_order_acquire);
    bool inside;
    watched->traced_prev = hp_thread_traced_ticks(thread, ticks, &inside);
    watched->totals.thread = thread->index;
    watched->totals.root = HP_NO_NODE;
    sampler->watched[sampler->watched_count] = watched;
    index_put(sampler->watched_index, sampler->watched_mask, watched, sampler->watched_count++);
    return watched;
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
    sampler->watched = NULL;
    sampler->known_count = 0;
    sampler->watched_index = NULL;
    sampler->watched_count = sampler->watched_capacity = sampler->watched_mask = 0;
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
    watched->native_id = state->native_id;
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
