/* SPDX-License-Identifier: MIT */
#include "base/threads.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/order.h"

/* Segment n holds FIRST_SEGMENT << n records: room for 2^32 that never move. */
enum { FIRST_INDEX = 64, FIRST_SEGMENT = 16, SEGMENTS = 28 };

typedef struct thread_entry {
    hp_thread thread; /* first: a record's address is its entry's */
    char *name;       /* guarded by: the registry's mutex */
    bool kept;        /* the same */
} thread_entry;

typedef struct thread_index {
    uint32_t mask;
    uint32_t used;     /* of the places: keys that records had before they were taken over still have theirs */
    uint32_t places[]; /* open addressing, at most half full; UINT32_MAX is empty */
} thread_index;

/* Fork-safe (base/order.h): a record is whole before `count` covers it and is indexed last; a wider index is whole before its pointer
 * replaces the old one, which is freed only then. */
struct hp_threads {
    pthread_mutex_t mutex; /* guards everything below */
    thread_entry *segments[SEGMENTS];
    uint32_t count;
    thread_index *index;
};

static thread_index *empty_index(uint32_t size) {
    thread_index *index = malloc(sizeof *index + size * sizeof *index->places);
    if (index == NULL)
        return NULL;
    index->mask = size - 1;
    index->used = 0;
    memset(index->places, 0xff, size * sizeof *index->places);
    return index;
}

hp_status hp_threads_new(hp_threads **out) {
    hp_threads *threads = calloc(1, sizeof *threads);
    if (threads == NULL)
        return HP_NO_MEMORY;
    pthread_mutex_init(&threads->mutex, NULL);
    threads->index = empty_index(FIRST_INDEX);
    if (threads->index == NULL) {
        hp_threads_free(threads);
        return HP_NO_MEMORY;
    }
    *out = threads;
    return HP_OK;
}

static uint32_t segment_of(uint32_t id) {
    return 31u - (uint32_t)__builtin_clz(id / FIRST_SEGMENT + 1);
}

static thread_entry *entry_at(const hp_threads *threads, uint32_t id) {
    uint32_t segment = segment_of(id);
    return &threads->segments[segment][id - FIRST_SEGMENT * ((1u << segment) - 1)];
}

void hp_threads_free(hp_threads *threads) {
    if (threads == NULL)
        return;
    for (uint32_t i = 0; i < threads->count; i++)
        free(entry_at(threads, i)->name);
    for (uint32_t i = 0; i < SEGMENTS; i++)
        free(threads->segments[i]);
    free(threads->index);
    pthread_mutex_destroy(&threads->mutex);
    free(threads);
}

/* Where the thread is in `index`, or where it would go. */
static uint32_t *place_of(const hp_threads *threads, thread_index *index, uint64_t interpreter_id, uint64_t state_id) {
    uint32_t at = (uint32_t)hp_hash_u64(state_id ^ hp_hash_u64(interpreter_id)) & index->mask;
    for (; index->places[at] != UINT32_MAX; at = (at + 1) & index->mask) {
        const hp_thread *thread = &entry_at(threads, index->places[at])->thread;
        if (thread->state_id == state_id && thread->interpreter_id == interpreter_id)
            break;
    }
    return &index->places[at];
}

static bool index_widen(hp_threads *threads) {
    thread_index *old = threads->index;
    if (old->used < old->mask / 2)
        return true;
    if (old->mask > UINT32_MAX / 4)
        return false;
    thread_index *index = empty_index(threads->count < old->mask / 4 ? old->mask + 1 : (old->mask + 1) * 2);
    if (index == NULL)
        return false;
    index->used = threads->count;
    for (uint32_t i = 0; i < threads->count; i++) {
        const hp_thread *thread = &entry_at(threads, i)->thread;
        *place_of(threads, index, thread->interpreter_id, thread->state_id) = i;
    }
    hp_order_stores();
    threads->index = index;
    hp_order_stores();
    free(old);
    return true;
}

static hp_thread *thread_add(hp_threads *threads, uint64_t interpreter_id, uint64_t state_id) {
    uint32_t id = threads->count;
    thread_entry **segment = &threads->segments[segment_of(id)];
    if (!index_widen(threads))
        return NULL;
    if (*segment == NULL && (*segment = calloc((size_t)FIRST_SEGMENT << segment_of(id), sizeof **segment)) == NULL)
        return NULL;
    thread_entry *entry = entry_at(threads, id);
    entry->thread.index = id;
    entry->thread.interpreter_id = interpreter_id;
    entry->thread.state_id = state_id;
    entry->thread.first_seen_ns = hp_now_ns();
    hp_order_stores();
    threads->count = id + 1;
    hp_order_stores();
    threads->index->used++;
    *place_of(threads, threads->index, interpreter_id, state_id) = id;
    return &entry->thread;
}

static bool may_be_taken_over(const thread_entry *entry) {
    const hp_thread *thread = &entry->thread;
    bool beneath_target = (atomic_load_explicit(&thread->traced_clock, memory_order_acquire) & 1u) != 0;
    /* The recorder is set by the thread itself, which has ended. */
    return !entry->kept && !beneath_target && __atomic_load_n(&thread->recorder, __ATOMIC_ACQUIRE) == NULL;
}

static void begin_anew(hp_thread *thread, uint64_t interpreter_id, uint64_t state_id, bool same_thread) {
    int64_t last_seen = atomic_load_explicit(&thread->last_seen_ns, memory_order_relaxed);
    if (last_seen > thread->first_seen_ns)
        thread->earlier_ns += last_seen - thread->first_seen_ns;
    thread->earlier += !same_thread;
    thread->first_seen_ns = hp_now_ns();
    atomic_store_explicit(&thread->last_seen_ns, 0, memory_order_relaxed);
    thread->interpreter_id = interpreter_id;
    thread->state_id = state_id;
    thread->existed_at_start = false;
    hp_thread_forget_edge(thread);
}

hp_thread *hp_threads_take_over(hp_threads *threads, hp_thread *ended, uint64_t interpreter_id, uint64_t state_id, bool same_thread) {
    hp_thread *taken = NULL;
    pthread_mutex_lock(&threads->mutex);
    bool is_new = *place_of(threads, threads->index, interpreter_id, state_id) == UINT32_MAX;
    if (is_new && may_be_taken_over((const thread_entry *)ended) && index_widen(threads)) {
        begin_anew(ended, interpreter_id, state_id, same_thread);
        hp_order_stores();
        threads->index->used++;
        *place_of(threads, threads->index, interpreter_id, state_id) = ended->index;
        taken = ended;
    }
    pthread_mutex_unlock(&threads->mutex);
    return taken;
}

int64_t hp_threads_seen_first(hp_threads *threads, hp_thread *thread, int64_t now) {
    pthread_mutex_lock(&threads->mutex);
    if (thread->first_seen_ns > now)
        thread->first_seen_ns = now;
    int64_t first = thread->first_seen_ns;
    pthread_mutex_unlock(&threads->mutex);
    return first;
}

void hp_threads_keep(hp_threads *threads, hp_thread *thread) {
    pthread_mutex_lock(&threads->mutex);
    ((thread_entry *)thread)->kept = true;
    pthread_mutex_unlock(&threads->mutex);
}

int64_t hp_threads_lived_ns(hp_threads *threads, const hp_thread *thread, int64_t began, int64_t ended) {
    pthread_mutex_lock(&threads->mutex);
    int64_t lived = thread->earlier_ns + (ended > began ? ended - began : 0);
    pthread_mutex_unlock(&threads->mutex);
    return lived;
}

hp_thread *hp_threads_get(hp_threads *threads, uint64_t interpreter_id, uint64_t state_id, bool *created) {
    pthread_mutex_lock(&threads->mutex);
    uint32_t known = *place_of(threads, threads->index, interpreter_id, state_id);
    hp_thread *thread = known == UINT32_MAX ? thread_add(threads, interpreter_id, state_id) : &entry_at(threads, known)->thread;
    if (created != NULL)
        *created = known == UINT32_MAX && thread != NULL;
    pthread_mutex_unlock(&threads->mutex);
    return thread;
}

hp_thread *hp_threads_find(hp_threads *threads, uint64_t interpreter_id, uint64_t state_id) {
    pthread_mutex_lock(&threads->mutex);
    uint32_t known = *place_of(threads, threads->index, interpreter_id, state_id);
    hp_thread *thread = known == UINT32_MAX ? NULL : &entry_at(threads, known)->thread;
    pthread_mutex_unlock(&threads->mutex);
    return thread;
}

uint32_t hp_threads_count(hp_threads *threads) {
    pthread_mutex_lock(&threads->mutex);
    uint32_t count = threads->count;
    pthread_mutex_unlock(&threads->mutex);
    return count;
}

hp_thread *hp_threads_at(hp_threads *threads, uint32_t index) {
    pthread_mutex_lock(&threads->mutex);
    hp_thread *thread = index < threads->count ? &entry_at(threads, index)->thread : NULL;
    pthread_mutex_unlock(&threads->mutex);
    return thread;
}

static hp_status name_set(hp_threads *threads, uint32_t index, const char *name, bool only_if_none) {
    hp_status status = HP_BAD_VALUE;
    char *copy = strdup(name);
    if (copy == NULL)
        return HP_NO_MEMORY;
    pthread_mutex_lock(&threads->mutex);
    if (index < threads->count) {
        thread_entry *entry = entry_at(threads, index);
        char *old = entry->name;
        status = HP_OK;
        if (old == NULL || !only_if_none) {
            entry->name = copy;
            hp_order_stores(); /* the old name is freed only when nothing leads to it */
            copy = old;
        }
    }
    pthread_mutex_unlock(&threads->mutex);
    free(copy);
    return status;
}

hp_status hp_threads_set_name(hp_threads *threads, uint32_t index, const char *name) {
    return name_set(threads, index, name, false);
}

hp_status hp_threads_suggest_name(hp_threads *threads, uint32_t index, const char *name) {
    return name_set(threads, index, name, true);
}

const char *hp_threads_name(hp_threads *threads, uint32_t index) {
    pthread_mutex_lock(&threads->mutex);
    const char *name = index < threads->count ? entry_at(threads, index)->name : NULL;
    pthread_mutex_unlock(&threads->mutex);
    return name;
}

/* A thread whose record the fork cut off before it was indexed gets a second one, if it lives in the child at all. */
void hp_threads_after_fork(hp_threads *threads) {
    pthread_mutex_init(&threads->mutex, NULL);
}
