/* SPDX-License-Identifier: MIT */
#include "base/strings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/order.h"

enum { FIRST_INDEX = 64, FIRST_ENTRIES = 16 };

typedef struct string_entry {
    const char *text;
    size_t size;
    uint64_t hash;
} string_entry;

typedef struct string_index {
    uint32_t mask;
    uint32_t ids[]; /* open addressing, at most half full; HP_NO_STRING is empty */
} string_index;

/* Fork-safe (base/order.h): an entry is whole before `count` covers it and is indexed last; a longer array or a wider index is whole
 * before its pointer replaces the old one, which is freed only then. */
struct hp_strings {
    hp_arena arena;
    string_entry *entries;
    uint32_t count;
    uint32_t capacity;
    string_index *index;
    uint64_t seed; /* differs from run to run, so that a hostile file cannot choose strings that collide */
};

static string_index *empty_index(uint32_t size) {
    string_index *index = malloc(sizeof *index + size * sizeof *index->ids);
    if (index == NULL)
        return NULL;
    index->mask = size - 1;
    memset(index->ids, 0xff, size * sizeof *index->ids);
    return index;
}

hp_strings *hp_strings_new(void) {
    hp_strings *strings = calloc(1, sizeof *strings);
    if (strings == NULL)
        return NULL;
    strings->index = empty_index(FIRST_INDEX);
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
    string_index *index = strings->index;
    for (uint32_t at = (uint32_t)hash & index->mask;; at = (at + 1) & index->mask) {
        uint32_t *place = &index->ids[at];
        if (*place == HP_NO_STRING)
            return place;
        const string_entry *entry = &strings->entries[*place];
        if (entry->hash == hash && entry->size == size && memcmp(entry->text, text, size) == 0)
            return place;
    }
}

static bool index_widen(hp_strings *strings) {
    string_index *old = strings->index;
    if (strings->count < old->mask / 2)
        return true;
    if (old->mask > UINT32_MAX / 4)
        return false;
    string_index *index = empty_index((old->mask + 1) * 2);
    if (index == NULL)
        return false;
    for (uint32_t id = 0; id < strings->count; id++) {
        uint32_t at = (uint32_t)strings->entries[id].hash & index->mask;
        while (index->ids[at] != HP_NO_STRING)
            at = (at + 1) & index->mask;
        index->ids[at] = id;
    }
    hp_order_stores();
    strings->index = index;
    hp_order_stores();
    free(old);
    return true;
}

/* Not realloc, which frees the old array before the new one is known. */
static bool entries_widen(hp_strings *strings) {
    string_entry *old = strings->entries;
    if (strings->count < strings->capacity)
        return true;
    if (strings->capacity > UINT32_MAX / 2)
        return false;
    uint32_t capacity = strings->capacity == 0 ? FIRST_ENTRIES : strings->capacity * 2;
    string_entry *entries = malloc(capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    if (strings->count > 0)
        memcpy(entries, old, strings->count * sizeof *entries);
    hp_order_stores();
    strings->entries = entries;
    hp_order_stores();
    strings->capacity = capacity;
    free(old);
    return true;
}

uint32_t hp_strings_find(const hp_strings *strings, const char *text, size_t size) {
    return *strings_place(strings, text, size, hp_hash_bytes(strings->seed, text, size));
}

uint32_t hp_strings_id(hp_strings *strings, const char *text, size_t size) {
    uint64_t hash = hp_hash_bytes(strings->seed, text, size);
    uint32_t known = *strings_place(strings, text, size, hash);
    if (known != HP_NO_STRING)
        return known;
    if (!entries_widen(strings) || !index_widen(strings))
        return HP_NO_STRING;
    const char *copy = hp_arena_copy(&strings->arena, text, size);
    if (copy == NULL)
        return HP_NO_STRING;
    uint32_t id = strings->count;
    strings->entries[id] = (string_entry){copy, size, hash};
    hp_order_stores();
    strings->count = id + 1;
    hp_order_stores();
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

uint64_t hp_strings_bytes(const hp_strings *strings) {
    uint64_t bytes = strings->capacity * sizeof *strings->entries + ((uint64_t)strings->index->mask + 1) * sizeof *strings->index->ids;
    for (uint32_t i = 0; i < strings->count; i++)
        bytes += strings->entries[i].size + 1;
    return bytes;
}
