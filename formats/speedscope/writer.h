/* SPDX-License-Identifier: MIT */
/* A speedscope file while it is written. */
#ifndef HP_FORMATS_SPEEDSCOPE_WRITER_H
#define HP_FORMATS_SPEEDSCOPE_WRITER_H

#include "formats/json.h"
#include "tree/profile.h"

typedef enum kind { BOTH, SAMPLED, EXACT } kind;

/* A thread, or whatever else stands at the root. */
typedef struct part {
    uint32_t root;
    uint64_t sampled, exact;
} part;

typedef struct hp_speedscope {
    hp_json json;
    const hp_profile *profile;
    const char **labels;
    uint32_t *frames; /* by function: its place among the frames, HP_NO_FUNCTION where no stack has it */
    uint32_t frame_count;
    uint64_t *paths; /* by node: bytes of its stack as text, a comma at its end */
    uint64_t longest;
    char *stack; /* the text of the stack in hand */
    part *parts;
    uint32_t part_count;
    hp_timeline_parts timeline;
} hp_speedscope;

/* Adds the node's number to its caller's stack, which is in the buffer. */
void hp_speedscope_extend_stack(hp_speedscope *w, uint32_t at);
void hp_speedscope_begin(hp_speedscope *w, const char *name, const char *what, uint64_t sum);
/* Part `i` of the timeline as a profile. */
void hp_speedscope_put_timeline(hp_speedscope *w, uint32_t i);

#endif
