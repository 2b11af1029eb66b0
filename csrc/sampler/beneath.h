/* SPDX-License-Identifier: MIT */
/* What was sampled beneath targets, by where the stack ended and by the node of the tracer's tree that has the time of that moment.
 *
 * It adds no time: the tracer has that exactly. But a function that carries no events (the budget took them, or nobody has met it yet)
 * leaves its time in its caller's node, and these samples tell how much of that is whose. */
#ifndef HP_SAMPLER_BENEATH_H
#define HP_SAMPLER_BENEATH_H

#include <stdbool.h>

#include "base/pairs.h"
#include "sampler/lines.h"

#define HP_BENEATH_LIMIT 1048576u

struct hp_sampled_beneath;
struct hp_sampled;

/* Owner: the sampler, under its mutex. Zero-initialised. */
typedef struct hp_beneath_table {
    struct hp_sampled_beneath *entries;
    uint32_t count, capacity;
    hp_pairs index;      /* (leaf, traced node) -> entry */
    hp_line_table lines; /* `node` is an entry's number; no times */
    uint64_t left_out;   /* samples that have no entry, because memory or the limit was reached: nothing is divided by them */
} hp_beneath_table;

void hp_beneath_fini(hp_beneath_table *table);
/* One sample. unit, state: as in hp_sampled_line. */
void hp_beneath_add(hp_beneath_table *table, uint32_t leaf, uint32_t traced_node, uint32_t unit, uint32_t state);
/* False when memory is short. */
bool hp_beneath_copy(const hp_beneath_table *table, struct hp_sampled *out);

#endif
