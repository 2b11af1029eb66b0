/* SPDX-License-Identifier: MIT */
/* A profile: plain, finished data. What snapshot() makes, what files hold, what formats write.
 *
 * Built by one thread, then read-only: any number of threads may read it, without the GIL. All strings live in `strings`. */
#ifndef HP_TREE_PROFILE_H
#define HP_TREE_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/code_table.h"
#include "base/status.h"
#include "tree/call_tree.h"
#include "tree/causes.h"
#include "tree/states.h"
#include "tree/timeline.h"

/* Times of different clocks are not added up. Waits come from files of others alone: how long contenders were blocked, all of them
 * together, which is no time in which anything ran. */
typedef enum hp_clock_kind { HP_CLOCK_WALL = 0, HP_CLOCK_CPU = 1, HP_CLOCK_WAITS = 2 } hp_clock_kind;
#define HP_CLOCK_NAMES {"wall", "cpu", "waits"}
#define HP_CLOCK_PHRASES {"by the wall clock", "by the CPU clock", "as waits (how long others were blocked)"}

/* One function: equal (kind, module, qualname, name, file, first_line) is one function. NUL-terminated UTF-8, never NULL ("" where
 * unknown). */
typedef struct hp_function {
    hp_code_kind kind;
    const char *module;
    const char *qualname;
    const char *name;
    const char *file;
    uint32_t first_line;
} hp_function;

/* Sampled self time by line and by what the thread was doing: `line` 0 where the line is not known. Unique by (node, line, state). */
enum { HP_LINE_LIMIT = 1 << 28 }; /* lines are below it */
typedef struct hp_line {
    uint32_t node;
    uint32_t line;
    hp_thread_state state;
    uint64_t samples;
    uint64_t sampled; /* ns */
} hp_line;

/* What an error bar needs of one function in one thread. A run is a maximal series of consecutive samples of the thread in which
 * the function is on top (self) or anywhere on the stack (total). Errors arise where a run begins or ends.
 *
 * Variances are given where threads of several profiles were folded into one (tree/merge.h), and where the sampler came too late for the
 * gaps that it drew: samples stand for different times then, so that runs alone do not tell. Whole us^2, so that sums do not depend on
 * their order; 0: not given. */
typedef struct hp_estimate {
    uint32_t thread;
    uint32_t function;
    uint64_t self_samples, self_runs;
    uint64_t total_samples, total_runs;
    uint64_t self_variance_us2, total_variance_us2;
} hp_estimate;

typedef struct hp_profile_thread {
    const char *name;
    uint64_t native_id;
    uint32_t root;           /* its node, a child of the tree's root; HP_NO_NODE if it has none */
    uint64_t samples;        /* kept, outside traced extents */
    uint64_t traced_samples; /* taken beneath targets: kept as a cross-check, not in the tree's time */
    uint64_t measured_ns;    /* by the session's own clock: from first to last sight, or the thread's CPU clock */
    uint64_t sampled_ns;
    uint64_t exact_ns;
    uint64_t overhead_ns;
    uint64_t unresolved_ns; /* sampled, but the stack could not be read whole */
} hp_profile_thread;

/* Residual of a thread or of all: measured - (sampled + exact + overhead). Signed. */

typedef struct hp_meta {
    uint8_t id[16];                                           /* random; what merging is idempotent by */
    const char *python, *implementation, *platform, *program; /* program: argv joined by spaces, shell-quoted */
    uint64_t pid;
    int64_t started_ns; /* since the epoch */
    uint64_t duration_ns;
    hp_clock_kind clock;
    double rate_hz;             /* 0: no sampler */
    const char *sampler_method; /* "same-cpu", "signal", "remote", "" */
    const char *tracer_hook;    /* "monitoring", "setprofile", "" */
    const char *tracing_spared; /* what a budget left to the sampler, and what its calls cost of a core: "module.name (3.1 %), ..." */
    uint64_t samples_kept, samples_retried, samples_unresolved, ticks_missed;
    uint64_t ticks;                    /* at which all threads were sampled; 0: not known */
    uint64_t ticks_lowered;            /* of those missed: left out by the sampler, which was too slow for the rate */
    uint64_t samples_remote;           /* of those kept: of a running thread, read from another CPU */
    uint64_t unresolved_by[HP_CAUSES]; /* sum: samples_unresolved */
    uint64_t sampler_cpu_ns;
    uint64_t tracing_targets, tracing_calls, tracing_events, tracing_gated, tracing_overhead_ns, tracing_truncated;
    uint64_t tracing_overhead_error_ns; /* how much more it would have been by the highest of several calibrations */
    const char **warnings;
    uint32_t warning_count;
} hp_meta;

/* One row of the table, by function: see tree/summary.h for how it is computed. */
typedef enum hp_measured { HP_SAMPLED = 0, HP_EXACT = 1, HP_MIXED = 2 } hp_measured;

typedef struct hp_row {
    uint32_t function;
    hp_measured measured;
    uint64_t samples;                /* stacks that ended in it */
    uint64_t calls, primitive_calls; /* meaningless when measured == HP_SAMPLED; a lower bound when HP_MIXED */
    uint64_t self_sampled, self_exact;
    uint64_t total_sampled, total_exact;    /* inclusive, once per stack at the outermost activation */
    uint64_t self_error_ns, total_error_ns; /* half width of the 95 % interval of the sampled part; 0 where exact. A mixed row without one
                                               was traced in part, and nobody sampled: its times are lower bounds */
} hp_row;

typedef struct hp_edge {
    uint32_t caller, callee; /* function ids; caller HP_NO_FUNCTION for the root of a thread */
    hp_measured measured;
    uint64_t calls, primitive_calls;
    uint64_t self_sampled, self_exact;
    uint64_t total_sampled, total_exact;
} hp_edge;

/* How the file ended that a profile was read from; all that was whole is in the profile. */
typedef enum hp_ending {
    HP_ENDING_WHOLE,
    HP_ENDING_CUT,      /* no end mark, or an unfinished write: the program was killed, or runs */
    HP_ENDING_TRAILING, /* bytes behind the end mark */
    HP_ENDING_DAMAGED,  /* a checksum is wrong */
} hp_ending;

typedef struct hp_profile {
    hp_meta meta;
    /* What was merged into this profile, sorted by id; none where nothing was. Their warnings are the profile's. */
    hp_meta *sources;
    uint32_t source_count;
    uint64_t left_out;      /* files that a merge could not read */
    hp_ending ending;       /* of its file: not part of the data */
    hp_function *functions; /* function 0 is always the synthetic `<overflow>`; it has a row only where something did not fit */
    uint32_t function_count;
    /* Empty (only a root) where the file held no tree (pstats): then `rows` and `edges` were read, not computed. */
    hp_tree tree;
    hp_line *lines;
    uint32_t line_count;
    hp_estimate *estimates;
    uint32_t estimate_count;
    hp_profile_thread *threads;
    uint32_t thread_count;
    hp_row *rows; /* sorted by function id */
    uint32_t row_count;
    hp_edge *edges; /* sorted by (caller, callee) */
    uint32_t edge_count;
    hp_timeline timeline;             /* samples in the order of time, if they were asked for */
    struct hp_strings *strings;       /* interned, NUL-terminated; owned */
    struct hp_function_index *index_; /* private to profile.c */
} hp_profile;

hp_status hp_profile_new(hp_profile **out);
void hp_profile_free(hp_profile *profile);

/* The profile's own copy of a string (interned); "" when memory is short or text is NULL. */
const char *hp_profile_string(hp_profile *profile, const char *text);
const char *hp_profile_string_sized(hp_profile *profile, const char *text, size_t size);
/* Finds or adds; copies the strings. HP_NO_FUNCTION when memory is short. */
uint32_t hp_profile_function(hp_profile *profile, const hp_function *function);
/* Adds a thread and its root node (a synthetic function `<thread NAME #n>`, n from 1 in order of appearance). Returns its index, HP_NO_NODE
 * when memory is short. */
uint32_t hp_profile_add_thread(hp_profile *profile, const char *name, uint64_t native_id);
hp_status hp_profile_add_line(hp_profile *profile, const hp_line *line);
/* A line's half of the key of a pair (node, line and state). */
static inline uint32_t hp_line_key(const hp_line *line) {
    return line->line << 4 | (uint32_t)line->state;
}
hp_status hp_profile_add_estimate(hp_profile *profile, const hp_estimate *estimate);
hp_status hp_profile_add_warning(hp_profile *profile, const char *sentence);

/* Copies a source, texts too, to the end of the list. */
hp_status hp_profile_add_source(hp_profile *profile, const hp_meta *source);
/* Copies all but warnings; texts become the profile's own. HP_NO_MEMORY: `meta` is as it was. */
hp_status hp_profile_copy_meta(hp_profile *profile, hp_meta *meta, const hp_meta *from);

/* Computes `rows`, `edges` and their errors from tree, lines and estimates. Call once, when the tree is complete. tree/summary.c. */
hp_status hp_profile_summarize(hp_profile *profile);
/* What was measured less what is known of it, as far as a signed number goes. */
static inline int64_t hp_residual_ns(uint64_t measured, uint64_t known) {
    uint64_t apart = measured > known ? measured - known : known - measured;
    int64_t size = apart < INT64_MAX ? (int64_t)apart : INT64_MAX;
    return measured > known ? size : -size;
}
/* Signed: measured - sampled - exact - overhead over all threads, ns. */
int64_t hp_profile_residual_ns(const hp_profile *profile);
/* Of memory, about: what is there once for each function, node or row, and the texts. */
uint64_t hp_profile_bytes(const hp_profile *profile);
/* Debug audit of every invariant above (indices in range, children <= parent, total >= self, rows sum to the tree). For tests and for what
 * was read from a file. */
hp_status hp_profile_check(const hp_profile *profile, hp_error *error);

/* Of a profile whose rows were not computed, and whose tree may have no index: that what is added up is in range. */
hp_status hp_profile_check_parts(const hp_profile *profile, hp_error *error);

/* The name that viewers which know only names show: "module.qualname", plus ":first_line" when two functions would share it.
 * Made for all functions at once; label[i] belongs to function i; free with one hp_labels_free. Control characters, U+2028/2029 and lone
 * surrogates are escaped (\n as `\n`, others as `\xNN`, `\uNNNN`); never empty, never without a dot unless it begins with '<'.
 * tree/labels.c */
hp_status hp_labels_new(const hp_profile *profile, const char ***labels);
void hp_labels_free(const char **labels);

#endif
