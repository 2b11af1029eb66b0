/* SPDX-License-Identifier: MIT */
/* Sampled time by (node, instruction, state).
 *
 * A program with tens of thousands of stacks has several instructions on top of each, so this is the largest table of a long session: its
 * entries lie one after the other, and only a table of their numbers is sparse. */
#ifndef HP_SAMPLER_LINES_H
#define HP_SAMPLER_LINES_H

#include <stdint.h>

#define HP_LINES_LIMIT 1048576u

struct hp_sampled_line;

/* Owner: the sampler, under its mutex. Zero-initialised. */
typedef struct hp_line_table {
    struct hp_sampled_line *entries;
    uint32_t count, capacity;
    uint32_t *index; /* open addressing, at most 3/4 full; UINT32_MAX is empty. NULL: nothing allocated */
    uint32_t mask;
    uint64_t left_out; /* samples that have no entry, because memory or the limit was reached. The tree has them */
} hp_line_table;

void hp_line_table_fini(hp_line_table *table);
void hp_line_table_add(hp_line_table *table, const struct hp_sampled_line *more);

#endif
