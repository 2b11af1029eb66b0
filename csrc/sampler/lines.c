/* SPDX-License-Identifier: MIT */
#include "sampler/lines.h"

#include <stdlib.h>

#include "sampler/sampler.h"

enum { FIRST = 1024, LIMIT = 2097152 };

static uint32_t home(const hp_sampled_line *line, uint32_t mask) {
    uint64_t key = (uint64_t)line->node << 32 | (uint32_t)line->unit << 4 | line->state;
    return (uint32_t)((key * 0x9E3779B97F4A7C15u) >> 32) & mask;
}

static bool is_same(const hp_sampled_line *a, const hp_sampled_line *b) {
    return a->node == b->node && a->unit == b->unit && a->state == b->state;
}

static hp_sampled_line *find(hp_sampled_line *entries, uint32_t mask, const hp_sampled_line *line) {
    uint32_t at = home(line, mask);
    while (entries[at].samples != 0 && !is_same(&entries[at], line))
        at = (at + 1) & mask;
    return &entries[at];
}

static void grow(hp_line_table *table) {
    uint32_t size = table->mask == 0 ? FIRST : (table->mask + 1) * 2;
    hp_sampled_line *larger = size > LIMIT ? NULL : calloc(size, sizeof *larger);
    if (larger == NULL)
        return;
    for (uint32_t i = 0; table->mask != 0 && i <= table->mask; i++)
        if (table->entries[i].samples != 0)
            *find(larger, size - 1, &table->entries[i]) = table->entries[i];
    free(table->entries);
    table->entries = larger;
    table->mask = size - 1;
}

void hp_line_table_fini(hp_line_table *table) {
    free(table->entries);
    *table = (hp_line_table){0};
}

void hp_line_table_add(hp_line_table *table, const hp_sampled_line *more) {
    if (table->count >= table->mask / 2)
        grow(table);
    if (table->mask == 0 || more->samples == 0)
        return;
    hp_sampled_line *line = find(table->entries, table->mask, more);
    if (line->samples == 0) {
        if (table->count >= table->mask / 2)
            return;
        *line = *more;
        table->count++;
        return;
    }
    line->samples += more->samples;
    line->sampled += more->sampled;
}
