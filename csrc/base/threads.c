/* SPDX-License-Identifier: MIT */
#include "base/threads.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"

enum { FIRST_INDEX = 64 };

typedef struct thread_entry {
    hp_thread thread; /* first: a record's address is its entry's */
    char *name;       /* guarded by: the registry's mutex */
} thread_entry;

struct hp_threads {
    pthread_mutex_t mutex; /* guards everything below */
    thread_entry **entries;
    uint32_t count;
    uint32_t capacity;
    uint32_t *index; /* open addressing, at most half full; UINT32_MAX is empty */
    uint32_t mask;
};

static uint32_t *empty_index(uint32_t size) {
    uint32_t *index = malloc(size * sizeof *index);
    if (index != NULL)
        memset(index, 0xff, size * sizeof *index);
    return index;
}

hp_status hp_threads_new(hp_threads **out) {
    hp_threads *threads = calloc(1, sizeof *threads);
    if (threads == NULL)
        return HP_NO_MEMORY;
    pthread_mutex_init(&threads->mutex, NULL);
    threads->index = empty_index(FIRST_INDEX);
    threads->mask = FIRST_INDEX - 1;
    if (threads->index == NULL) {
        hp_threads_free(threads);
        return HP_NO_MEMORY;
    }
    *out = threads;
    return HP_OK;
}

void hp_threads_free(hp_threads *threads) {
    if (threads == NULL)
        return;
    for (uint32_t i = 0; i < threads->count; i++) {
        free(threads->entries[i]->name);
        free(threads->entries[i]);
    }
    free(threads->entries);
    free(threads->index);
    pthread_mutex_destroy(&threads->mutex);
    free(threads);
}

/* Where the thread is in `index`, or where it would go. */
static uint32_t *place_of(const hp_threads *threads, uint32_t *index, uint32_t mask, uint64_t interpreter_id, uint64_t state_id) {
    uint32_t at = (uint32_t)hp_hash_u64(state_id ^ hp_hash_u64(interpreter_id)) & mask;
    for (; index[at] != UINT32_MAX; at = (at + 1) & mask) {
        const hp_thread *thread = &threads->entries[index[at]]->thread;
        if (thread->state_id == state_id && thread->interpreter_id == interpreter_id)
            break;
    }
    return &index[at];
}

static bool index_fill(hp_threads *threads, uint32_t size) {
    uint32_t *index = empty_index(size);
    if (index == NULL)
        return false;
    for (uint32_t i = 0; i < threads->count; i++) {
        const hp_thread *thread = &threads->entries[i]->thread;
        *place_of(threads, index, size - 1, thread->interpreter_id, thread->state_id) = i;
    }
    free(threads->index);
    threads->index = index;
    threads->mask = size - 1;
    return true;
}

static hp_thread *thread_add(hp_threads *threads, uint64_t interpreter_id, uint64_t state_id) {
    thread_entry **entries = hp_array_grow(threads->entries, &threads->capacity, threads->count + 1, sizeof *entries);
    if (entries == NULL)
        return NULL;
    threads->entries = entries;
    if (threads->count >= threads->mask / 2 && !index_fill(threads, (threads->mask + 1) * 2))
        return NULL;
    thread_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->thread.index = threads->count;
    entry->thread.interpreter_id = interpreter_id;
    entry->thread.state_id = state_id;
    *place_of(threads, threads->index, threads->mask, interpreter_id, state_id) = threads->count;
    entries[threads->count] = entry;
    threads->count++;
    return &entry->thread;
}

hp_thread *hp_threads_get(hp_threads *threads, uint64_t interpreter_id, uint64_t state_id, bool *created) {
    pthread_mutex_lock(&threads->mutex);
    uint32_t known = *place_of(threads, threads->index, threads->mask, interpreter_id, state_id);
    hp_thread *thread = known == UINT32_MAX ? thread_add(threads, interpreter_id, state_id) : &threads->entries[known]->thread;
    if (created != NULL)
        *created = known == UINT32_MAX && thread != NULL;
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
    hp_thread *thread = index < threads->count ? &threads->entries[index]->thread : NULL;
    pthread_mutex_unlock(&threads->mutex);
    return thread;
}

hp_status hp_threads_set_name(hp_threads *threads, uint32_t index, const char *name) {
    hp_status status = HP_BAD_VALUE;
    char *copy = strdup(name);
    if (copy == NULL)
        return HP_NO_MEMORY;
    pthread_mutex_lock(&threads->mutex);
    if (index < threads->count) {
        char *old = threads->entries[index]->name;
        threads->entries[index]->name = copy;
        copy = old;
        status = HP_OK;
    }
    pthread_mutex_unlock(&threads->mutex);
    free(copy);
    return status;
}

const char *hp_threads_name(hp_threads *threads, uint32_t index) {
    pthread_mutex_lock(&threads->mutex);
    const char *name = index < threads->count ? threads->entries[index]->name : NULL;
    pthread_mutex_unlock(&threads->mutex);
    return name;
}

/* The sampler may have been cut in half within hp_threads_get. The index is made anew, without freeing the old one (it may be freed
 * already); the array of entries was either moved or not, and `count` covers only whole entries. */
void hp_threads_after_fork(hp_threads *threads) {
    if (pthread_mutex_trylock(&threads->mutex) == 0) {
        pthread_mutex_unlock(&threads->mutex);
        return;
    }
    pthread_mutex_init(&threads->mutex, NULL);
    uint32_t size = FIRST_INDEX;
    while (size < threads->count * 2 + 2)
        size *= 2;
    threads->index = NULL;
    if (!index_fill(threads, size))
        abort(); /* a few hundred bytes must be had in a fresh child */
}
