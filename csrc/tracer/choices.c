/* SPDX-License-Identifier: MIT */
#include "tracer/choices.h"

#include <stdlib.h>
#include <string.h>

#include "tracer/code_states.h"

enum { HP_FIRST_CHOICES = 64 };

void hp_choices_fini(hp_choices *choices) {
    free(choices->places);
    *choices = (hp_choices){0};
}

void hp_choices_clear(hp_choices *choices) {
    if (choices->count > 0)
        memset(choices->places, 0, ((size_t)choices->mask + 1) * sizeof *choices->places);
    choices->count = 0;
}

static uint32_t home(const hp_choices *choices, const void *frame) {
    return hp_code_states_hash((uintptr_t)frame) & choices->mask;
}

/* Its place, or the free one where it would be. */
static hp_choice *place_of(const hp_choices *choices, const void *frame) {
    uint32_t at = home(choices, frame);
    while (choices->places[at].frame != NULL && choices->places[at].frame != frame)
        at = (at + 1) & choices->mask;
    return &choices->places[at];
}

static bool reserve(hp_choices *choices) {
    if (choices->places != NULL && choices->count < choices->mask / 2)
        return true;
    uint32_t size = choices->places != NULL ? (choices->mask + 1) * 2 : HP_FIRST_CHOICES;
    hp_choices bigger = {.places = calloc(size, sizeof *bigger.places), .mask = size - 1, .count = choices->count};
    if (bigger.places == NULL)
        return false;
    for (uint32_t i = 0; choices->places != NULL && i <= choices->mask; i++)
        if (choices->places[i].frame != NULL)
            *place_of(&bigger, choices->places[i].frame) = choices->places[i];
    free(choices->places);
    *choices = bigger;
    return true;
}

void hp_choices_put(hp_choices *choices, const void *frame, const void *code, uint64_t events) {
    if (!reserve(choices)) {
        hp_choices_forget(choices, frame);
        return;
    }
    hp_choice *place = place_of(choices, frame);
    choices->count += place->frame == NULL;
    *place = (hp_choice){frame, code, events};
}

const hp_choice *hp_choices_find(const hp_choices *choices, const void *frame, const void *code) {
    if (choices->count == 0)
        return NULL;
    const hp_choice *place = place_of(choices, frame);
    return place->frame != NULL && place->code == code ? place : NULL;
}

/* What comes after it moves up where it may, so that no search ends too early. */
static void remove_at(hp_choices *choices, uint32_t gap) {
    choices->places[gap].frame = NULL;
    choices->count--;
    for (uint32_t at = (gap + 1) & choices->mask; choices->places[at].frame != NULL; at = (at + 1) & choices->mask) {
        uint32_t distance = (at - home(choices, choices->places[at].frame)) & choices->mask;
        if (distance < ((at - gap) & choices->mask))
            continue;
        choices->places[gap] = choices->places[at];
        choices->places[at].frame = NULL;
        gap = at;
    }
}

uint64_t hp_choices_take(hp_choices *choices, const void *frame, const void *code) {
    const hp_choice *choice = hp_choices_find(choices, frame, code);
    if (choice == NULL)
        return 0;
    uint64_t events = choice->events;
    remove_at(choices, (uint32_t)(choice - choices->places));
    return events;
}

void hp_choices_forget(hp_choices *choices, const void *frame) {
    if (choices->count == 0)
        return;
    const hp_choice *place = place_of(choices, frame);
    if (place->frame != NULL)
        remove_at(choices, (uint32_t)(place - choices->places));
}
