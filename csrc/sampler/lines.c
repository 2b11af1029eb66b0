/* SPDX-License-Identifier: MIT */
#include "sampler/lines.h"

#include <stdlib.h>

#include "sampler/sampler.h"

enum { FIRST = 1024, LIMIT = 2097152 };

static uint32_t home(uint32_t node, uint32_t unit, uint32_t mask) {
    uint64_t key = (uint64_t)node << 32 | unit;
    return (uint32_t)((key * 0x9E3779B97F4A7C15u) >> 32) & mask;
}

static hp_sampled_line *find(hp_sampled_line *entries, uint32_t mask, uint32_t node, uint32_t unit) {
    uint32_t at = home(node, unit, mask);
    while (entries[at].samples != 0 && (entries[at].node != node || entries[at].unit != unit))
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
            *find(larger, size - 1, table->entries[i].node, table->entries[i].unit) = table->entries[i];
    free(table->entries);
    table->entries = larger;
    table->mask = size - 1;
}

void hp_line_table_fini(hp_line_table *table) {
    free(table->entries);
    *table = (hp_line_table){0};
}

void hp_line_table_add(hp_line_table *table, uint32_t node, uint32_t unit, uint64_t samples, uint64_t ns) {
    if (table->count >= table->mask / 2)
        grow(table);
    if (table->mask == 0 || samples == 0)
        return;
    hp_sampled_line *line = find(table->entries, table->mask, node, unit);
    if (line->samples == 0) {
        if (table->count >= table->mask / 2)
            return;
        line->node = node;
        line->unit = unit;
        table->count++;
    }
    line->samples += samples;
    line->sampled += ns;
}
