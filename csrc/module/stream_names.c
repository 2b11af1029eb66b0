/* SPDX-License-Identifier: MIT */
#include "module/stream_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static const char sentence[] =
    "threads have the names that they had first, also where one was renamed or went on with the record of one that "
    "had ended: samples in the order of time stay with a name";

static bool grow(hp_stream_names *names, uint32_t count) {
    char **grown = hp_array_grow(names->names, &names->capacity, count, sizeof *grown);
    if (!grown)
        return false;
    names->names = grown;
    for (; names->count < count; names->count++)
        grown[names->count] = NULL;
    return true;
}

static void keep_one(hp_stream_names *names, uint32_t index, hp_gathered_thread *thread) {
    const char *first = names->names[index];
    if (!first)
        names->names[index] = thread->name ? strdup(thread->name) : NULL;
    if (!first || (thread->name && strcmp(first, thread->name) == 0))
        return;
    char *copy = strdup(first);
    if (!copy)
        return;
    free(thread->name);
    thread->name = copy;
    names->replaced = true;
}

/* The profile's reader has to know, whichever append is the last. */
static void say_so(hp_gathered *gathered) {
    char **grown = realloc(gathered->warnings, ((size_t)gathered->warning_count + 1) * sizeof *grown);
    if (!grown)
        return;
    gathered->warnings = grown;
    grown[gathered->warning_count] = strdup(sentence);
    gathered->warning_count += grown[gathered->warning_count] != NULL;
}

void hp_stream_names_keep(hp_stream_names *names, hp_gathered *gathered) {
    if (!gathered->sampled.timeline.kept || !grow(names, gathered->thread_count))
        return;
    for (uint32_t i = 0; i < gathered->thread_count; i++)
        keep_one(names, i, &gathered->threads[i]);
    if (names->replaced)
        say_so(gathered);
}

void hp_stream_names_fini(hp_stream_names *names) {
    for (uint32_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (hp_stream_names){0};
}
