/* SPDX-License-Identifier: MIT */
/* The errors of parts of rows: of calling contexts, of what they have by state, of callers' shares, and of what a function has in one
 * thread (tree/shares.h says how they are judged). Apart from hp_profile_summarize, because most profiles are only written, and no file
 * needs them. */
#ifndef HP_TREE_PART_ERRORS_H
#define HP_TREE_PART_ERRORS_H

#include "tree/profile.h"

/* Half widths of the 95 % intervals of the sampled part, ns; 0 where exact. */
typedef struct hp_part_error {
    uint64_t self_ns, total_ns;
} hp_part_error;

typedef struct hp_thread_error {
    uint32_t root, function; /* the thread's node */
    hp_part_error error;
} hp_thread_error;

typedef struct hp_state_error {
    uint32_t node;
    hp_thread_state state;
    uint64_t self_ns;
} hp_state_error;

typedef struct hp_part_errors {
    hp_part_error *nodes;     /* as the tree's nodes */
    hp_part_error *edges;     /* as the profile's edges; all 0 where the profile has no tree: such files keep none */
    hp_thread_error *threads; /* for each thread the functions that it met */
    uint32_t thread_count;
    hp_state_error *states; /* of what each node has by state */
    uint32_t state_count;
} hp_part_errors;

/* Of a summarized profile. To be freed in any case. */
hp_status hp_part_errors_init(hp_part_errors *errors, const hp_profile *profile);
void hp_part_errors_fini(hp_part_errors *errors);

#endif
