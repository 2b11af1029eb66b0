/* SPDX-License-Identifier: MIT */
/* Suspended calls of generator and coroutine targets that go on traced when they are resumed, by their frames: those that a rate below 1
 * has chosen and, where each call has a limit of events, all of them, with how many they had.
 *
 * As many as the program has suspended calls, so a hash table. Invariant: open addressing without gaps between a place and where its frame
 * belongs; at most half full. Guarded by: GIL. */
#ifndef HP_TRACER_CHOICES_H
#define HP_TRACER_CHOICES_H

#include <stdbool.h>
#include <stdint.h>

#define HP_LIMIT_REACHED UINT64_MAX

typedef struct hp_choice {
    const void *frame; /* NULL: free */
    const void *code;  /* tells it from a later frame at the same address */
    uint64_t events;   /* so far; HP_LIMIT_REACHED: the rest of the call is not traced */
} hp_choice;

typedef struct hp_choices {
    hp_choice *places; /* NULL until there is one */
    uint32_t mask;
    uint32_t count;
} hp_choices;

void hp_choices_fini(hp_choices *choices);
void hp_choices_clear(hp_choices *choices);
/* Remembers it, in the place of what was known of that frame. Where memory is short it is not: then the rest of the call is not traced, or
 * has a limit of its own. */
void hp_choices_put(hp_choices *choices, const void *frame, const void *code, uint64_t events);
/* NULL: nothing is known. Valid until the next change. */
const hp_choice *hp_choices_find(const hp_choices *choices, const void *frame, const void *code);
/* Forgets it, and says how many events it had; 0: nothing was known. */
uint64_t hp_choices_take(hp_choices *choices, const void *frame, const void *code);
/* Forgets whatever is known of the frame. */
void hp_choices_forget(hp_choices *choices, const void *frame);

#endif
