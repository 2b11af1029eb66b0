/* SPDX-License-Identifier: MIT */
/* A profile as the tables that the Firefox Profiler reads by column: threads -> samples -> stacks -> frames -> functions.
 *
 * A frame is a function at a line, with a category that says how its time is known. A stack is a frame and the stack beneath it, which has
 * a lower index. The lines of calls are not known: a node with callees has a stack without a line, on which theirs stand. It has one
 * more for each line and state in which it was sampled, and one for its exact time. A thread's samples lie together. Owner: one writer.
 */
#ifndef HP_FORMATS_GECKO_TABLES_H
#define HP_FORMATS_GECKO_TABLES_H

#include "base/pairs.h"
#include "tree/profile.h"

enum { HP_GECKO_OTHER, HP_GECKO_EXACT, HP_GECKO_SAMPLED, HP_GECKO_CATEGORIES = HP_GECKO_SAMPLED + HP_STATES };

#define HP_GECKO_NONE UINT32_MAX

typedef struct hp_gecko_frame {
    uint32_t function;
    uint32_t line;     /* 0: not known */
    uint32_t category; /* HP_GECKO_OTHER: that of its caller */
} hp_gecko_frame;

typedef struct hp_gecko_stack {
    uint32_t frame;
    uint32_t prefix; /* HP_GECKO_NONE: the outermost */
} hp_gecko_stack;

typedef struct hp_gecko_sample {
    uint32_t stack; /* HP_GECKO_NONE: nothing is known of this time */
    uint64_t ns;
    uint64_t begin_ns; /* of a timeline */
} hp_gecko_sample;

typedef struct hp_gecko_thread {
    uint32_t root;         /* a child of the tree's root */
    uint32_t thread;       /* of the profile, or HP_GECKO_NONE */
    uint32_t first_sample; /* up to the next thread's */
    uint64_t sum_ns;
    uint64_t end_ns; /* where its samples end on the axis */
    bool in_time;    /* they lie where they were taken */
} hp_gecko_thread;

typedef struct hp_gecko_tables {
    hp_gecko_frame *frames;
    hp_gecko_stack *stacks;
    hp_gecko_sample *samples;
    hp_gecko_thread *threads; /* and one more, where the samples end */
    uint32_t frame_count, stack_count, sample_count, thread_count;
    uint32_t frame_capacity, stack_capacity, sample_capacity, thread_capacity;
    hp_pairs frame_index; /* (function, line and category) -> frame */
} hp_gecko_tables;

/* Parts of the making: the first frame or stack that is equal, or a new one; HP_GECKO_NONE where memory is short. */
uint32_t hp_gecko_frame_of(hp_gecko_tables *tables, uint32_t function, uint32_t line, uint32_t category);
uint32_t hp_gecko_add_stack(hp_gecko_tables *tables, uint32_t frame, uint32_t prefix);
bool hp_gecko_add_sample(hp_gecko_tables *tables, const hp_gecko_sample *sample);
hp_gecko_thread *hp_gecko_add_thread(hp_gecko_tables *tables, uint32_t root, uint32_t thread);
/* A thread more for each that has samples in the order of time. `inner`: by node, the stack that its callees stand on; changed. */
hp_status hp_gecko_add_timeline(hp_gecko_tables *tables, const hp_profile *profile, uint32_t *inner);

/* Zeroed tables are empty ones; free them whatever the outcome. */
hp_status hp_gecko_tables_init(hp_gecko_tables *tables, const hp_profile *profile);
void hp_gecko_tables_fini(hp_gecko_tables *tables);

#endif
