/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sampler/sampler.h"

#include "sampler/beneath.h"

void hp_beneath_fini(hp_beneath_table *table) {
    free(table->entries);
    hp_pairs_fini(&table->index);
    hp_line_table_fini(&table->lines);
    *table = (hp_beneath_table){0};
}

static bool reserve_one(hp_beneath_table *table) {
    if (table->count < table->capacity)
        return true;
    uint32_t capacity = table->capacity == 0 ? 64 : table->capacity * 2;
    hp_sampled_beneath *entries = capacity > HP_BENEATH_LIMIT ? NULL : realloc(table->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    table->entries = entries;
    table->capacity = capacity;
    return true;
}

static uint32_t find_or_add(hp_beneath_table *table, uint32_t leaf, uint32_t traced_node) {
    uint32_t known = hp_pairs_get(&table->index, leaf, traced_node);
    if (known != HP_NO_PAIR || !reserve_one(table))
        return known;
    if (hp_pairs_put(&table->index, leaf, traced_node, table->count) == HP_NO_PAIR)
        return HP_NO_PAIR;
    table->entries[table->count] = (hp_sampled_beneath){.leaf = leaf, .traced_node = traced_node};
    return table->count++;
}

void hp_beneath_add(hp_beneath_table *table, uint32_t leaf, uint32_t traced_node, uint32_t unit, uint32_t state) {
    uint32_t entry = find_or_add(table, leaf, traced_node);
    if (entry == HP_NO_PAIR) {
        table->left_out++;
        return;
    }
    table->entries[entry].samples++;
    hp_sampled_line line = {entry, unit & 0xfffffffu, state & 15u, 1, 0};
    hp_line_table_add(&table->lines, &line);
}

static void *copy_of(const void *from, size_t size) {
    void *copy = malloc(size + 1);
    if (copy != NULL && size > 0)
        memcpy(copy, from, size);
    return copy;
}

bool hp_beneath_copy(const hp_beneath_table *table, hp_sampled *out) {
    out->beneath = copy_of(table->entries, table->count * sizeof *out->beneath);
    out->beneath_lines = copy_of(table->lines.entries, table->lines.count * sizeof *out->beneath_lines);
    if (out->beneath == NULL || out->beneath_lines == NULL)
        return false;
    out->left_out_beneath = table->left_out;
    out->beneath_count = table->count;
    out->beneath_line_count = table->lines.count;
    return true;
}
