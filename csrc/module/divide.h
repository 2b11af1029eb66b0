/* SPDX-License-Identifier: MIT */
/* Dividing time beneath targets among the functions that carry no events: see divide.c. Part of assembling a profile. */
#ifndef HP_MODULE_DIVIDE_H
#define HP_MODULE_DIVIDE_H

#include "module/assemble.h"

/* Owner: who assembles. Zero-initialised; arrays are parallel to gathered->sampled.beneath unless they say otherwise. */
typedef struct hp_division {
    uint32_t count;  /* 0: there is nothing to divide */
    uint32_t *begin; /* its functions in `slots`, innermost first: from here to the next one's */
    uint32_t *leaf;  /* the profile's node that its share goes to, HP_NO_NODE: none */
    bool *is_edge;   /* below them stood one that reports its calls: the line that is known is that one's */
    uint32_t *slots; /* functions that stood below their node's frame and carried no events */
    uint32_t slot_count, slot_capacity;
    uint64_t *samples; /* by node of the traced tree */
    hp_place *places;  /* lines of what was given */
    uint32_t place_count;
} hp_division;

/* While the trees are as they were gathered. `slot_count`: of the code table, as the caller counted it. */
hp_status hp_division_prepare(hp_division *division, const hp_gathered *gathered, uint32_t slot_count);
/* When both trees are in the profile. `map`: slot to function, which holds all of division->slots; `traced_map`: node of the traced tree to
 * node of the profile. */
hp_status hp_division_apply(hp_division *division, hp_gathered *gathered, hp_profile *profile, const uint32_t *map,
                            const uint32_t *traced_map, double ns_per_tick, uint32_t slot_count);
void hp_division_fini(hp_division *division);

#endif
