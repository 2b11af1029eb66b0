/* SPDX-License-Identifier: MIT */
/* From what was gathered to a profile, in two steps: copies are taken with the GIL (snapshot.c), and made into a profile without it
 * (assemble.c, lines.c), so that a snapshot of a large program stops it only for the copying.
 *
 * A hp_gathered owns everything it points to but `code`, which lives as long as the process. */
#ifndef HP_MODULE_ASSEMBLE_H
#define HP_MODULE_ASSEMBLE_H

#include "base/clock.h"
#include "sampler/sampler.h"
#include "tracer/tracer.h"
#include "tree/profile.h"

typedef struct hp_gathered_thread {
    char *name;
    uint64_t native_id;
    bool is_own;      /* the profiler's, left out */
    bool is_absent;   /* of a window: it ended before, left out */
    int64_t lived_ns; /* from the session's start or its own first sight to its last, and those that had its record before */
} hp_gathered_thread;

typedef struct hp_gathered {
    hp_code_table *code;
    hp_sampled sampled; /* all zero without a sampler */
    hp_traced traced;   /* all zero without a tracer */
    bool has_sampled, has_traced;
    bool tasks_impossible; /* chains were asked for, and asyncio is not as we know it */
    bool unchained;        /* a thread's chains of tasks were taken out */
    bool is_window;        /* part of a session: what is in its trees and has no number is not in the profile (window.c) */
    hp_gathered_thread *threads;
    uint32_t thread_count;
    char **hidden; /* file prefixes */
    uint32_t hidden_count;
    char **roots; /* folders that are taken off the names of files, a file in none of them keeps its last part; NULL: names are whole */
    uint32_t root_count;
    char **warnings;
    uint32_t warning_count;
    char *python, *platform, *program;
    char *rates;      /* of targets whose calls are traced by chance, in words */
    const char *hook; /* static */
    hp_timebase began, ended;
    int64_t started_wall_ns;
    hp_clock_kind clock;
    double rate_hz;
    uint8_t id[16];
} hp_gathered;

void hp_gathered_fini(hp_gathered *gathered);

/* Any thread, no GIL needed. Changes `gathered` (its trees are prepared in place); to be called once. */
hp_status hp_assemble(hp_gathered *gathered, hp_profile **out);

/* Whether a function's file is hidden, or it is code of our own. */
bool hp_assemble_hides(const hp_gathered *gathered, const hp_code_info *info);

/* hook_time.c: gives what was sampled at the edges of extents to tracing's overhead. Changes the copies. */
void hp_assemble_hook_time(hp_gathered *gathered);

/* tasks.c: takes the chains of awaiting tasks out of threads in which targets were traced. Changes the copies. */
hp_status hp_assemble_tasks(hp_gathered *gathered);

/* An instruction that was on top in some samples. */
typedef struct hp_place {
    uint32_t slot, unit; /* what the sampler saw */
    uint32_t node, line; /* what it means in the profile */
    hp_thread_state state;
    uint64_t samples, sampled; /* ns */
} hp_place;

/* lines.c: the sampled instructions as lines of the profile. node_map: from nodes of the sampled tree to nodes of the profile. `more`:
 * places that bear the profile's nodes already, their lines to be found. */
hp_status hp_assemble_lines(const hp_gathered *gathered, const uint32_t *map, const uint32_t *node_map, const hp_place *more,
                            uint32_t more_count, hp_profile *profile);

/* thread_times.c: what each thread was measured for, when its nodes are there. `threads`: index of a gathered thread to that in the
 * profile, UINT32_MAX: left out. */
hp_status hp_assemble_times(const hp_gathered *gathered, const uint32_t *threads, hp_profile *profile);

/* widths.c: the variances of estimates that runs alone do not tell, when the threads' times are known. node_map: as above. */
hp_status hp_assemble_widths(const hp_gathered *gathered, const uint32_t *threads, const uint32_t *node_map, hp_profile *profile);

/* describe_profile.c: metadata and warnings, when the threads' times are known. */
void hp_assemble_meta(const hp_gathered *gathered, hp_profile *profile);

#endif
