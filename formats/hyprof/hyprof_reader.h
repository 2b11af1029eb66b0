/* SPDX-License-Identifier: MIT */
/* Reading .hyprof files from C: the one header that a program needs, and all that is promised to it. SPEC.md has an example; link with
 * libhybridprof-plain.a, zlib, msgpack-c and libm.
 *
 * Times are nanoseconds. Texts are NUL-terminated UTF-8 (lone surrogates in three bytes), never NULL, and belong to the profile: they live
 * until hyprof_free. Indices count from 0; HYPROF_NONE is none. A profile is never changed: any number of threads may read it. Files are
 * not trusted; nothing is printed and no signal, locale or environment is looked at. Functions and fields are added, never changed: compile
 * anew for a newer version. */
#ifndef HYPROF_READER_H
#define HYPROF_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HYPROF_NONE UINT32_MAX

typedef struct hyprof_profile hyprof_profile;

/* A file, or what a file holds; the bytes may go when this returns. NULL: `reason`, of `room` bytes (256 do), is a sentence that says why.
 * A file that was cut short, or is damaged at its end, is read up to there, and a warning says so. */
hyprof_profile *hyprof_open(const char *path, char *reason, size_t room);
hyprof_profile *hyprof_open_bytes(const void *bytes, size_t size, char *reason, size_t room);
/* NULL is fine. */
void hyprof_free(hyprof_profile *profile);

typedef struct hyprof_meta {
    uint8_t id[16];                                           /* of the session: equal in two files of one */
    const char *python, *implementation, *platform, *program; /* program: its command line, quoted as for a shell */
    uint64_t pid;
    int64_t started_ns; /* since 1970 */
    uint64_t duration_ns;
    bool cpu_clock; /* sampled times are CPU time, else elapsed time */
    double rate_hz; /* 0: nothing was sampled */
    uint64_t samples_kept, samples_unresolved, ticks_missed;
} hyprof_meta;

typedef enum hyprof_kind { HYPROF_PYTHON, HYPROF_C, HYPROF_BLOCK, HYPROF_SYNTHETIC } hyprof_kind;

typedef struct hyprof_function {
    hyprof_kind kind; /* synthetic: a thread's root, `<unresolved>`, `<overflow>` */
    const char *module, *qualname, *name, *file;
    uint32_t first_line;
} hyprof_function;

/* A function beneath a caller; what it spent itself. Parents come before their children; node 0 is above the threads, with neither. */
typedef struct hyprof_node {
    uint32_t parent, function;
    uint64_t samples, sampled_ns;
    uint64_t calls, exact_ns, overhead_ns; /* overhead: of tracing, not in exact_ns */
} hyprof_node;

typedef struct hyprof_thread {
    const char *name;
    uint64_t native_id;
    uint32_t root; /* a node, or HYPROF_NONE */
    uint64_t samples, measured_ns, sampled_ns, exact_ns, overhead_ns, unresolved_ns;
} hyprof_thread;

typedef enum hyprof_measured { HYPROF_SAMPLED, HYPROF_EXACT, HYPROF_MIXED } hyprof_measured;

/* Of each function with anything measured, in all of its contexts: totals once for each stack. `calls`: nothing where sampled, at least so
 * many where mixed. Errors: half of the 95 % interval of what was sampled. */
typedef struct hyprof_row {
    uint32_t function;
    hyprof_measured measured;
    uint64_t samples, calls, primitive_calls;
    uint64_t self_sampled_ns, self_exact_ns, total_sampled_ns, total_exact_ns, self_error_ns, total_error_ns;
} hyprof_row;

hyprof_meta hyprof_meta_of(const hyprof_profile *profile);

uint32_t hyprof_warning_count(const hyprof_profile *profile);
uint32_t hyprof_function_count(const hyprof_profile *profile);
uint32_t hyprof_node_count(const hyprof_profile *profile); /* 1 where the profile has rows alone */
uint32_t hyprof_thread_count(const hyprof_profile *profile);
uint32_t hyprof_row_count(const hyprof_profile *profile);

/* NULL, or false and `*out` as it was, for an index that is not below the count. */
const char *hyprof_warning_at(const hyprof_profile *profile, uint32_t index);
bool hyprof_function_at(const hyprof_profile *profile, uint32_t index, hyprof_function *out);
bool hyprof_node_at(const hyprof_profile *profile, uint32_t index, hyprof_node *out);
bool hyprof_thread_at(const hyprof_profile *profile, uint32_t index, hyprof_thread *out);
bool hyprof_row_at(const hyprof_profile *profile, uint32_t index, hyprof_row *out);

#ifdef __cplusplus
}
#endif

#endif
