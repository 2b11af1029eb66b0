/* SPDX-License-Identifier: MIT */
/* A profile's rows and edges summed by pstats key: what the writer writes down. */
#ifndef HP_FORMATS_PSTATS_TABLE_H
#define HP_FORMATS_PSTATS_TABLE_H

#include "formats/pstats/keys.h"

typedef struct hp_pstats_value {
    uint64_t calls, primitive_calls; /* 0 where only sampled */
    uint64_t self_ns, total_ns;
} hp_pstats_value;

typedef struct hp_pstats_caller {
    uint32_t callee, caller; /* keys */
    hp_pstats_value value;
} hp_pstats_caller;

typedef struct hp_pstats_table {
    hp_pstats_keys keys;
    hp_pstats_value *values;   /* by key */
    hp_pstats_caller *callers; /* by callee, then caller; unique */
    uint32_t *caller_start;    /* by key, and one more */
    bool *is_thread;           /* by key: the root of a thread */
    uint32_t thread_count;
    uint64_t threads_total_ns; /* their total */
    uint32_t longest;          /* the key of the greatest total, HP_PSTATS_NO_KEY without rows */
} hp_pstats_table;

hp_status hp_pstats_table_init(hp_pstats_table *table, const hp_profile *profile);
void hp_pstats_table_fini(hp_pstats_table *table);

#endif
