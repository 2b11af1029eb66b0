/* SPDX-License-Identifier: MIT */
#include "sampler/lines.h"

#include <stdbool.h>
#include <string.h>

#include "base/hash.h"
#include "base/pages.h"
#include "sampler/sampler.h"

enum { FIRST = 256 };

static uint32_t *place(const hp_line_table *table, const hp_sampled_line *line) {
    uint32_t at = (uint32_t)hp_hash_pair(line->node, (uint32_t)line->unit << 4 | line->state) & table->mask;
    for (; table->index[at] != UINT32_MAX; at = (at + 1) & table->mask) {
        const hp_sampled_line *entry = &table->entries[table->index[at]];
        if (entry->node == line->node && entry->unit == line->unit && entry->state == line->state)
            break;
    }
    return &table->index[at];
}

static size_t index_size(const hp_line_table *table) {
    return table->index == NULL ? 0 : ((size_t)table->mask + 1) * sizeof *table->index;
}

static bool grow_entries(hp_line_table *table) {
    uint32_t capacity = table->capacity == 0 ? FIRST : table->capacity + table->capacity / 2;
    hp_sampled_line *entries = hp_pages_resize(table->entries, table->capacity * sizeof *entries, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    table->entries = entries;
    table->capacity = capacity;
    return true;
}

static bool grow_index(hp_line_table *table) {
    uint32_t size = table->index == NULL ? FIRST * 2 : (table->mask + 1) * 2;
    uint32_t *index = hp_pages_resize(NULL, 0, size * sizeof *index);
    if (index == NULL)
        return false;
    memset(index, 0xFF, size * sizeof *index);
    hp_pages_free(table->index, index_size(table));
    table->index = index;
    table->mask = size - 1;
    for (uint32_t i = 0; i < table->count; i++)
        *place(table, &table->entries[i]) = i;
    return true;
}

static bool has_room(hp_line_table *table) {
    if (table->count >= HP_LINES_LIMIT)
        return false;
    if (table->count == table->capacity && !grow_entries(table))
        return false;
    return (table->index != NULL && table->count < table->mask / 4 * 3) || grow_index(table);
}

void hp_line_table_fini(hp_line_table *table) {
    hp_pages_free(table->entries, table->capacity * sizeof *table->entries);
    hp_pages_free(table->index, index_size(table));
    *table = (hp_line_table){0};
}

void hp_line_table_add(hp_line_table *table, const hp_sampled_line *more) {
    uint32_t *at = table->index == NULL ? NULL : place(table, more);
    if (at != NULL && *at != UINT32_MAX) {
        table->entries[*at].samples += more->samples;
        table->entries[*at].sampled += more->sampled;
        return;
    }
    if (!has_room(table)) {
        table->left_out += more->samples;
        return;
    }
    *place(table, more) = table->count; /* not at `at`: the index may have grown */
    table->entries[table->count++] = *more;
}
