/* SPDX-License-Identifier: MIT */
/* Samples by (node, instruction unit, state of the thread): open addressing, load at most 1/2, bounded. Past the bound, or without memory,
 * a sample is counted in the node alone. */
#ifndef HP_SAMPLER_LINES_H
#define HP_SAMPLER_LINES_H

#include <stdint.h>

struct hp_sampled_line;

/* Owner: the sampler, under its mutex. An entry with samples == 0 is empty. */
typedef struct hp_line_table {
    struct hp_sampled_line *entries;
    uint32_t count, mask; /* mask 0: nothing allocated */
} hp_line_table;

void hp_line_table_fini(hp_line_table *table);
void hp_line_table_add(hp_line_table *table, const struct hp_sampled_line *more);

#endif
