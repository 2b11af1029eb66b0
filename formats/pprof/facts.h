/* SPDX-License-Identifier: MIT */
/* What is known of the run and of its threads: for the reader as texts `key: value` in a field of our own, for people in few words as
 * comments, which pprof prints above everything. Private to formats/pprof. */
#ifndef HP_PPROF_FACTS_H
#define HP_PPROF_FACTS_H

#include "tree/profile.h"

typedef bool (*hp_pprof_take)(void *to, const char *text, size_t size);

/* Give each text, in order, to `take`. False when memory is short or `take` said so. */
bool hp_pprof_facts(const hp_profile *profile, hp_pprof_take take, void *to);
bool hp_pprof_comments(const hp_profile *profile, hp_pprof_take take, void *to);
/* One fact back into the profile, whose threads are there; what it does not know it passes over. */
hp_status hp_pprof_fact_read(hp_profile *profile, const char *text);

#endif
