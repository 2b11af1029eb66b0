/* SPDX-License-Identifier: MIT */
/* What the parts of the reader share: read_key.c, reader.c, settle.c. Private to this folder. */
#ifndef HP_FORMATS_PSTATS_READING_H
#define HP_FORMATS_PSTATS_READING_H

#include "formats/format.h"
#include "formats/pstats/unmarshal.h"
#include "formats/reading.h"

/* What a key stands for besides functions of the profile. */
#define HP_KEY_ROOT (UINT32_MAX - 1u)    /* ours: above the threads */
#define HP_KEY_MARKER (UINT32_MAX - 2u)  /* ours: says what is estimated */
#define HP_KEY_SAMPLED (UINT32_MAX - 3u) /* Tachyon's; the lowest of them */

typedef struct hp_pstats_reading {
    hp_unmarshal source;
    /* While reading, rows[i] belongs to function i, `samples` says how often it was named, and all times are in the sampled fields. */
    hp_profile *profile;
    hp_error *error;
    uint32_t row_capacity, edge_capacity;
    uint64_t rows_read, negative_times;
    bool ours, marked, tachyon;
} hp_pstats_reading;

/* Numbers of a row (primitive calls, calls) or of a caller (calls, primitive calls), in the order of the file. */
typedef struct hp_pstats_numbers {
    uint64_t first, second;
    uint64_t self_ns, total_ns;
} hp_pstats_numbers;

hp_status hp_pstats_bad_row(hp_pstats_reading *r, const char *what);
hp_status hp_pstats_no_memory(hp_pstats_reading *r);
/* From the head of a key to the function it names, or one of the above. */
hp_status hp_pstats_take_key(hp_pstats_reading *r, const hp_object *head, uint32_t *key);
hp_status hp_pstats_add_edge(hp_pstats_reading *r, uint32_t caller, uint32_t callee, const hp_pstats_numbers *numbers);
/* The row of a function; all functions up to it get one. NULL when memory is short. */
hp_row *hp_pstats_row(hp_pstats_reading *r, uint32_t function);
/* When the whole file has been read: what was measured how, the roots, order. */
hp_status hp_pstats_settle(hp_pstats_reading *r);

#endif
