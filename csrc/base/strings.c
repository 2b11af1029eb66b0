/* SPDX-License-Identifier: MIT */
#include "base/strings.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"

enum { FIRST_INDEX = 64 };

typedef struct string_entry {
    const char *text;
    size_t size;
    uint64_t hash;
} string_entry;

struct hp_strings {
    hp_arena arena;
    string_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint32_t *index; /* open addressing, at most half full; HP_NO_STRING is empty */
    uint32_t mask;
    uint64_t seed; /* differs from run to run, so that a hostile file cannot choose strings that collide */
};

static uint32_t *empty_index(uint32_t size) {
    uint32_t *index = malloc(size * sizeof *index);
    if (index != NULL)
        memset(index, 0xff, size * sizeof *index);
    return index;
}

hp_strings *hp_strings_new(void) {
    hp_strings *strings = calloc(1, sizeof *strings);
    if (strings == NULL)
        return NULL;
    strings->index = empty_index(FIRST_INDEX);
    strings->mask = FIRST_INDEX - 1;
    strings->seed = hp_hash_u64((uint64_t)(uintptr_t)strings);
    if (strings->index == NULL) {
        hp_strings_free(strings);
        return NULL;
    }
    return strings;
}

void hp_strings_free(hp_strings *strings) {
    if (strings == NULL)
        return;
    hp_arena_fini(&strings->arena);
    free(strings->entries);
    free(strings->index);
    free(strings);
}

/* Where the string is, or where it would go. */
static uint32_t *strings_place(const hp_strings *strings, const char *text, size_t size, uint64_t hash) {
    for (uint32_t at = (uint32_t)hash & strings->mask;; at = (at + 1) & strings->mask) {
        uint32_t *place = &strings->index[at];
        if (*place == HP_NO_STRING)
            return place;
        const string_entry *entry = &strings->entries[*place];
        if (entry->hash == hash && entry->size == size && memcmp(entry->text, text, size) == 0)
            return place;
    }
}

static int strings_widen(hp_strings *strings) {
    if (strings->count < strings->mask / 2)
        return 1;
    if (strings->mask > UINT32_MAX / 4)
        return 0;
    uint32_t size = (strings->mask + 1) * 2;
    uint32_t *index = empty_index(size);
    if (index == NULL)
        return 0;
    for (uint32_t id = 0; id < strings->count; id++) {
        uint32_t at = (uint32_t)strings->entries[id].hash & (size - 1);
        while (index[at] != HP_NO_STRING)
            at = (at + 1) & (size - 1);
        index[at] = id;
    }
    free(strings->index);
    strings->index = index;
    strings->mask = size - 1;
    return 1;
}

uint32_t hp_strings_find(const hp_strings *strings, const char *text, size_t size) {
    return *strings_place(strings, text, size, hp_hash_bytes(strings->seed, text, size));
}

uint32_t hp_strings_id(hp_strings *strings, const char *text, size_t size) {
    uint64_t hash = hp_hash_bytes(strings->seed, text, size);
    uint32_t known = *strings_place(strings, text, size, hash);
    if (known != HP_NO_STRING)
        return known;
    string_entry *entries = hp_array_grow(strings->entries, &strings->capacity, strings->count + 1, sizeof *entries);
    if (entries == NULL)
        return HP_NO_STRING;
    strings->entries = entries;
    if (!strings_widen(strings))
        return HP_NO_STRING;
    const char *copy = hp_arena_copy(&strings->arena, text, size);
    if (copy == NULL)
        return HP_NO_STRING;
    uint32_t id = strings->count++;
    entries[id] = (string_entry){copy, size, hash};
    *strings_place(strings, text, size, hash) = id;
    return id;
}

const char *hp_strings_text(const hp_strings *strings, uint32_t id) {
    return strings->entries[id].text;
}
size_t hp_strings_size(const hp_strings *strings, uint32_t id) {
    return strings->entries[id].size;
}
uint32_t hp_strings_count(const hp_strings *strings) {
    return strings->count;
}

const char *hp_strings_intern(hp_strings *strings, const char *text) {
    uint32_t id = hp_strings_id(strings, text, strlen(text));
    return id == HP_NO_STRING ? NULL : strings->entries[id].text;
}
