/* SPDX-License-Identifier: MIT */
/* What a .hyprof file says, from its beginning to some commit. Private to formats/hyprof.
 *
 * Writer and reader keep the same record: the writer writes the difference between it and a new profile, the reader adds the differences
 * up, so both sides agree on ids by construction. Ids of strings, functions, nodes, lines and estimates are dense in order of appearance
 * and never reused; what a later profile of the session no longer holds (a thread that was renamed has a new root) is marked absent, and
 * may come back. Owner: one thread. */
#ifndef HP_HYPROF_RECORD_H
#define HP_HYPROF_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "tree/profile.h"

/* A set of ids, one byte each; empty until something is put in. */
typedef struct hp_marks {
    uint8_t *marks;
    uint32_t capacity;
    uint32_t set; /* how many are in */
} hp_marks;

static inline bool hp_marks_has(const hp_marks *marks, uint32_t id) {
    return id < marks->capacity && marks->marks[id] != 0;
}
hp_status hp_marks_reserve(hp_marks *marks, uint32_t count);
/* In becomes out, out becomes in. `id` is below what was reserved. */
void hp_marks_toggle(hp_marks *marks, uint32_t id);

typedef struct hp_record {
    /* Functions and nodes by file id, with the counters as the file has them; facts (meta). Its lists of lines, estimates, threads, rows
     * and warnings are empty until hp_record_finish. */
    hp_profile *profile;
    hp_marks absent_functions, absent_nodes;
    hp_line *lines; /* by line id; all of them, those at zero too */
    uint32_t line_count, line_capacity;
    hp_estimate *estimates;
    uint32_t estimate_count, estimate_capacity;
    hp_profile_thread *threads;
    uint32_t thread_count, thread_capacity;
    hp_row *rows;
    uint32_t row_count, row_capacity;
    hp_edge *edges;
    uint32_t edge_count, edge_capacity;
    const char **warnings;
    uint32_t warning_count, warning_capacity;
} hp_record;

hp_status hp_record_init(hp_record *record);
void hp_record_fini(hp_record *record);

/* Turns what the record says into a finished profile, checked and, if wanted, summarized; the record is empty afterwards. Ids are kept
 * where nothing is absent. HP_BAD_FORMAT where the parts do not fit together. */
hp_status hp_record_finish(hp_record *record, bool summarize, hp_profile **out, hp_error *error);

#endif
