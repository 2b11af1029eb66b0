/* SPDX-License-Identifier: MIT */
#include "tracer/thread_exit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* `holders`: atomic; acquire-release, so that whoever frees sees all that the other did. */
struct hp_exit_note {
    atomic_int holders;
    atomic_bool ended;  /* release by the ending thread, acquire by the reader */
    hp_exit_note *next; /* guarded by: owner thread. A thread outlives a tracer and may have notes of several */
};

/* Statics: the destructor of a thread's value belongs to the process. Set once. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_works;

void hp_exit_note_drop(hp_exit_note *note) {
    if (note != NULL && atomic_fetch_sub_explicit(&note->holders, 1, memory_order_acq_rel) == 1)
        free(note);
}

static void thread_ends(void *value) {
    for (hp_exit_note *note = value, *next; note != NULL; note = next) {
        next = note->next;
        atomic_store_explicit(&note->ended, true, memory_order_release);
        hp_exit_note_drop(note);
    }
}

static void make_key(void) {
    key_works = pthread_key_create(&key, thread_ends) == 0;
}

hp_exit_note *hp_exit_note_new(void) {
    pthread_once(&once, make_key);
    hp_exit_note *note = calloc(1, sizeof *note);
    if (note == NULL)
        return NULL;
    atomic_init(&note->holders, 1);
    if (!key_works)
        return note; /* the record is then kept until the tracer ends */
    note->next = pthread_getspecific(key);
    if (pthread_setspecific(key, note) == 0)
        atomic_store_explicit(&note->holders, 2, memory_order_relaxed);
    return note;
}

bool hp_exit_note_ended(const hp_exit_note *note) {
    return atomic_load_explicit(&note->ended, memory_order_acquire);
}
