/* SPDX-License-Identifier: MIT */
/* What the parts of the reader share: columns.c, read_tables.c, read_samples.c, reader.c. Private to this folder.
 *
 * Memory is bounded before it is taken: what a file may hold of everything that costs memory (strings, functions, locations, nodes, lines)
 * is counted down from `entries_left`; the text of functions, threads and facts, which may refer to one long string again and
 * again, from `text_left`, as long as it becomes when it is escaped; the frames that stacks unfold to from `frames_left`. */
#ifndef HP_PPROF_READING_H
#define HP_PPROF_READING_H

#include "base/pairs.h"
#include "formats/format.h"
#include "formats/pprof/wire.h"
#include "formats/reading.h"

enum { HP_PPROF_TYPE_LIMIT = 64, HP_PPROF_ENTRIES_FREE = 1 << 20 };
/* Text of the profile: so much, and so many times the file's size. A module is copied out of its label, so that it may be there twice. */
#define HP_PPROF_TEXT_FREE ((uint64_t)32 << 20)
#define HP_PPROF_TEXT_RATIO UINT64_C(16)
#define HP_PPROF_NONE UINT32_MAX

/* Ids of others may be any numbers; nearly everybody counts from 1, and then there is no table. */
typedef struct hp_pprof_ids {
    hp_pairs places;
    uint32_t count;
    bool sparse;
} hp_pprof_ids;

typedef struct hp_pprof_text {
    const uint8_t *bytes;
    size_t size;
} hp_pprof_text;

typedef struct hp_pprof_type {
    uint64_t type, unit; /* strings */
} hp_pprof_type;

/* Which of a sample's values is what; `scale` makes it ns, samples or calls. */
typedef struct hp_pprof_column {
    uint32_t at; /* HP_PPROF_NONE: there is none */
    uint64_t scale;
} hp_pprof_column;

/* One function of a location. */
typedef struct hp_pprof_frame {
    uint32_t function;
    uint32_t thread; /* the thread whose root this function is, else HP_PPROF_NONE */
    uint32_t line;   /* 0: not known */
} hp_pprof_frame;

typedef struct hp_pprof_reading {
    hp_error *error;
    hp_profile *profile;
    const uint8_t *raw;
    size_t raw_size;
    uint64_t entries_left, text_left, frames_left;
    bool text_over; /* `text_left` was too little */

    hp_pprof_text *strings;
    uint32_t string_count, string_capacity;
    hp_pprof_type types[HP_PPROF_TYPE_LIMIT];
    uint32_t type_count;
    hp_pprof_type period_type;
    uint64_t period, default_type;

    hp_pprof_column samples, calls, sampled, exact, overhead; /* of others: time is in `sampled` */

    hp_pprof_ids function_ids, location_ids;
    hp_pprof_frame *functions; /* by place, as frames without a line */
    uint32_t function_capacity;
    uint32_t *first_frame; /* by place of a location: its frames, the innermost first, end where the next one's begin */
    uint32_t location_capacity;
    hp_pprof_frame *frames;
    uint32_t frame_count, frame_capacity;

    uint32_t *thread_of; /* by string: the thread of that name, as labels tell it */
    uint32_t nameless;   /* the thread of samples that tell none */
    uint32_t *stack;     /* places of locations of the sample in hand */
    uint32_t stack_count, stack_capacity;
    uint64_t time_sum, call_sum, sample_sum, overhead_sum;
    uint64_t negative;
} hp_pprof_reading;

hp_status hp_pprof_no_memory(hp_pprof_reading *r);
hp_status hp_pprof_bad(hp_pprof_reading *r, const char *what);
hp_status hp_pprof_unfolds(hp_pprof_reading *r);
/* The profile's own text; "" and `text_over` where it does not fit. */
const char *hp_pprof_text_of(hp_pprof_reading *r, hp_pprof_text text);
/* Counts one down; false: `hp_pprof_unfolds`. */
static inline bool hp_pprof_may(uint64_t *left, uint64_t count) {
    if (*left < count)
        return false;
    *left -= count;
    return true;
}

/* HP_PPROF_NONE if there is none. */
static inline uint32_t hp_pprof_place(const hp_pprof_ids *ids, uint64_t id) {
    if (!ids->sparse)
        return id - 1 < ids->count ? (uint32_t)(id - 1) : HP_PPROF_NONE;
    return hp_pairs_get(&ids->places, (uint32_t)(id >> 32), (uint32_t)id);
}

/* Whether string `index` of the file is this text. */
bool hp_pprof_is(const hp_pprof_reading *r, uint64_t index, const char *text);

hp_status hp_pprof_choose_columns(hp_pprof_reading *r);
hp_status hp_pprof_take_function(hp_pprof_reading *r, const hp_wire_field *field);
hp_status hp_pprof_take_location(hp_pprof_reading *r, const hp_wire_field *field);
hp_status hp_pprof_take_sample(hp_pprof_reading *r, const hp_wire_field *field);

#endif
