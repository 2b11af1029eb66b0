/* SPDX-License-Identifier: MIT */
/* Profiles for the tests, the fuzzer's seeds and the benchmark of the native format, and a text that two equal profiles share. */
#ifndef HP_TESTS_HYPROF_SAMPLES_H
#define HP_TESTS_HYPROF_SAMPLES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sink.h"
#include "formats/hyprof/hyprof.h"

typedef struct hp_sample_shape {
    uint64_t seed;
    uint32_t stacks;    /* the first n of an endless series: more of them is a later snapshot of the same session */
    uint32_t functions; /* to choose from */
    uint32_t threads;
    uint32_t depth;        /* at most */
    uint32_t moments;      /* of a timeline */
    bool backwards;        /* the same stacks, met in the opposite order: other node ids */
    const char *main_name; /* of the first thread */
} hp_sample_shape;

/* Rows and edges anew, after nodes were changed by hand. */
static inline hp_status sample_summarize(hp_profile *profile) {
    free(profile->rows);
    free(profile->edges);
    profile->rows = NULL;
    profile->edges = NULL;
    profile->row_count = profile->edge_count = 0;
    return hp_profile_summarize(profile);
}

static inline uint64_t sample_random(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = *state;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Names that have hurt formats: semicolons, spaces, angle brackets, non-ASCII, a lone surrogate (three bytes), a newline, emptiness. */
static inline uint32_t sample_function(hp_profile *profile, uint32_t number) {
    static const char *const odd[] = {"<lambda>", "na\xc3\xafve", "lone_\xed\xb3\xbf_surrogate", "semi;colon and space", "\xf0\x9f\x90\x8d",
                                      "",         "two\nlines"};
    char module[32], qualname[64], file[64];
    const char *name = number % 5 == 0 ? odd[number / 5 % 7] : "method";
    snprintf(module, sizeof module, "package.module_%u", number / 9);
    snprintf(qualname, sizeof qualname, "Class%u.%s", number / 3, name);
    snprintf(file, sizeof file, "/srv/application/package/module_%u.py", number / 9);
    hp_function function = {number % 11 == 7 ? HP_CODE_C : HP_CODE_PYTHON, module, qualname, name, file, 1 + number * 7};
    return hp_profile_function(profile, &function);
}

static inline void sample_stack(hp_profile *profile, const hp_sample_shape *shape, uint32_t number) {
    uint64_t random = shape->seed * 1000003 + number;
    uint32_t thread = (uint32_t)(sample_random(&random) % shape->threads);
    uint32_t depth = 1 + (uint32_t)(sample_random(&random) % shape->depth);
    uint32_t at = profile->threads[thread].root;
    bool traced = sample_random(&random) % 4 == 0;
    uint64_t ns = 9000000 + sample_random(&random) % 2000000;
    hp_estimate estimate = {.thread = thread, .self_samples = 1, .self_runs = 1, .total_samples = 1, .total_runs = 1};
    for (uint32_t level = 0; level < depth; level++) {
        estimate.function = sample_function(
            profile, (uint32_t)(sample_random(&random) % (shape->functions < 8 * (level + 1) ? shape->functions : 8 * (level + 1))));
        at = hp_tree_child(&profile->tree, at, estimate.function);
        if (traced) {
            profile->tree.nodes[at].calls++;
            profile->tree.nodes[at].exact += ns / 90 + level;
            profile->threads[thread].exact_ns += ns / 90 + level;
        }
    }
    hp_node *leaf = &profile->tree.nodes[at];
    if (traced) {
        leaf->calls += 3;
        leaf->exact += ns / 7;
        leaf->overhead += 3 * 57;
        leaf->flags |= number % 3 == 0 ? HP_NODE_PARTIAL : 0;
        profile->threads[thread].exact_ns += ns / 7;
        profile->threads[thread].overhead_ns += 3 * 57;
    } else {
        leaf->samples++;
        leaf->sampled += ns;
        profile->threads[thread].samples++;
        profile->threads[thread].sampled_ns += ns;
        hp_line line = {at, 10 + (uint32_t)(sample_random(&random) % 3), (hp_thread_state)(at % HP_STATES), 1, ns};
        hp_profile_add_line(profile, &line);
        hp_profile_add_estimate(profile, &estimate);
    }
    profile->threads[thread].measured_ns += ns + ns / 50;
}

static inline void sample_meta(hp_profile *profile, const hp_sample_shape *shape) {
    hp_meta *meta = &profile->meta;
    for (unsigned i = 0; i < sizeof meta->id; i++)
        meta->id[i] = (uint8_t)(shape->seed * 31 + i * 17);
    meta->python = hp_profile_string(profile, "3.13.0");
    meta->implementation = hp_profile_string(profile, "cpython");
    meta->platform = hp_profile_string(profile, "Linux-x86_64");
    meta->program = hp_profile_string(profile, "shop.py --caf\xc3\xa9 '\xed\xb2\x80'");
    meta->pid = 4242;
    meta->started_ns = INT64_C(1700000000000000000);
    meta->duration_ns = shape->stacks * UINT64_C(10000000);
    meta->clock = HP_CLOCK_CPU;
    meta->rate_hz = 99.5;
    meta->sampler_method = hp_profile_string(profile, "remote");
    meta->tracer_hook = hp_profile_string(profile, "monitoring");
    meta->samples_kept = shape->stacks;
    meta->samples_retried = shape->stacks / 20;
    bool golden = shape->seed == 7; /* those files know nothing of causes that came later */
    meta->samples_unresolved = golden ? 3 : 4;
    meta->ticks_missed = 4;
    meta->samples_remote = 5;
    for (uint32_t i = 0; i < HP_CAUSES; i++)
        meta->unresolved_by[i] = i == HP_CAUSE_CHANGED ? 2 : i == HP_CAUSE_CODE || (i == HP_CAUSE_MEMORY && !golden);
    meta->sampler_cpu_ns = shape->stacks * UINT64_C(4000);
    meta->tracing_targets = 2;
    meta->tracing_calls = shape->stacks * 3;
    meta->tracing_events = shape->stacks * 6;
    meta->tracing_gated = 5;
    meta->tracing_overhead_ns = shape->stacks * UINT64_C(171);
    bool in_golden = shape->seed == 7 || shape->seed == 8; /* nor of this */
    meta->tracing_overhead_error_ns = in_golden ? 0 : shape->stacks * UINT64_C(40);
    meta->tracing_truncated = 1;
    meta->ticks = in_golden ? 0 : shape->stacks / 2;
    meta->ticks_lowered = in_golden ? 0 : 3;
    profile->tree.overflowed = 0;
    hp_profile_add_warning(profile, "the machine was busy: 12 % of the samples came late");
}

static inline void sample_timeline(hp_profile *profile, const hp_sample_shape *shape) {
    uint64_t random = shape->seed;
    profile->timeline.kept = true;
    if (profile->tree.count < 2 || hp_timeline_reserve(&profile->timeline, shape->moments) != HP_OK)
        return;
    for (uint32_t i = 0; i < shape->moments; i++)
        hp_timeline_append(&profile->timeline, (hp_moment){200 * (i / shape->threads),
                                                           1 + (uint32_t)(sample_random(&random) % (profile->tree.count - 1)), 200});
}

/* Complete and summarized; NULL when memory is short. */
static inline hp_profile *sample_profile(const hp_sample_shape *shape) {
    hp_profile *profile = NULL;
    if (hp_profile_new(&profile) != HP_OK)
        return NULL;
    for (uint32_t i = 0; i < shape->threads; i++) {
        char name[32];
        snprintf(name, sizeof name, "worker-%u", i);
        hp_profile_add_thread(profile, i == 0 ? shape->main_name : name, 1000 + i);
    }
    for (uint32_t i = 0; i < shape->stacks; i++)
        sample_stack(profile, shape, shape->backwards ? shape->stacks - 1 - i : i);
    sample_meta(profile, shape);
    if (shape->moments > 0)
        sample_timeline(profile, shape);
    if (hp_profile_summarize(profile) == HP_OK)
        return profile;
    hp_profile_free(profile);
    return NULL;
}

/* As read from pstats: no tree, rows and edges of their own. */
static inline hp_profile *sample_flat(void) {
    hp_profile *profile = NULL;
    if (hp_profile_new(&profile) != HP_OK)
        return NULL;
    for (uint32_t i = 0; i < 3; i++)
        sample_function(profile, i);
    profile->rows = calloc(4, sizeof *profile->rows);
    profile->edges = calloc(4, sizeof *profile->edges);
    profile->row_count = 3;
    profile->edge_count = 3;
    for (uint32_t i = 0; i < 3; i++)
        profile->rows[i] = (hp_row){i, HP_EXACT, 0, 10 + i, 9 + i, 0, 1000 * i, 0, 5000 + 1000 * i, 0, 0};
    profile->edges[0] = (hp_edge){0, 1, HP_EXACT, 4, 4, 0, 500, 0, 900};
    profile->edges[1] = (hp_edge){1, 2, HP_EXACT, 5, 5, 0, 700, 0, 700};
    profile->edges[2] = (hp_edge){HP_NO_FUNCTION, 0, HP_EXACT, 1, 1, 0, 0, 0, 5000};
    return profile;
}

/* --- a text that says everything, with ids or without ------------------------------------------------------------------------------- */

static inline void dump_function(FILE *to, const hp_profile *profile, uint32_t id) {
    if (id == HP_NO_FUNCTION) {
        fputs("(none)", to);
        return;
    }
    const hp_function *f = &profile->functions[id];
    fprintf(to, "%d|%s|%s|%s|%s|%u", (int)f->kind, f->module, f->qualname, f->name, f->file, f->first_line);
}

static inline void dump_path(FILE *to, const hp_profile *profile, uint32_t node) {
    if (node == HP_NO_NODE) {
        fputs("(none)", to);
        return;
    }
    for (; node != 0; node = profile->tree.nodes[node].parent) {
        dump_function(to, profile, profile->tree.nodes[node].function);
        fputs(" < ", to);
    }
}

#define U(x) (unsigned long long)(x)

static inline void dump_meta(FILE *to, const hp_profile *profile) {
    const hp_meta *m = &profile->meta;
    for (unsigned i = 0; i < sizeof m->id; i++)
        fprintf(to, "%02x", m->id[i]);
    fprintf(to, " %s %s %s %s %llu %lld %llu %d %.17g %s %s", m->python, m->implementation, m->platform, m->program, U(m->pid),
            (long long)m->started_ns, U(m->duration_ns), (int)m->clock, m->rate_hz, m->sampler_method, m->tracer_hook);
    fprintf(to, " %llu", U(m->samples_remote));
    for (uint32_t i = 0; i < HP_CAUSES; i++)
        if (i != HP_CAUSE_MEMORY || m->unresolved_by[i] != 0)
            fprintf(to, " %llu", U(m->unresolved_by[i]));
    fprintf(to, " %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu%c", U(m->samples_kept), U(m->samples_retried),
            U(m->samples_unresolved), U(m->ticks_missed), U(m->sampler_cpu_ns), U(m->tracing_targets), U(m->tracing_calls),
            U(m->tracing_events), U(m->tracing_gated), U(m->tracing_overhead_ns), U(m->tracing_truncated), U(profile->tree.overflowed), 0);
    if (m->tracing_overhead_error_ns != 0)
        fprintf(to, "overhead error %llu%c", U(m->tracing_overhead_error_ns), 0);
    if (m->ticks != 0)
        fprintf(to, "ticks %llu, lowered %llu%c", U(m->ticks), U(m->ticks_lowered), 0);
    for (uint32_t i = 0; i < m->warning_count; i++)
        fprintf(to, "warning %s%c", m->warnings[i], 0);
}

/* The numbers that tell it apart; that all facts of a source are carried is that the table of facts has them all. */
static inline void dump_sources(FILE *to, const hp_profile *profile) {
    if (profile->left_out != 0)
        fprintf(to, "left out %llu%c", U(profile->left_out), 0);
    for (uint32_t i = 0; i < profile->source_count; i++) {
        const hp_meta *m = &profile->sources[i];
        fputs("source ", to);
        for (unsigned b = 0; b < sizeof m->id; b++)
            fprintf(to, "%02x", m->id[b]);
        fprintf(to, " %s %s %s %llu %lld %llu %.17g %llu %llu%c", m->python, m->platform, m->program, U(m->pid), (long long)m->started_ns,
                U(m->duration_ns), m->rate_hz, U(m->samples_kept), U(m->tracing_calls), 0);
    }
}

static inline void dump_tree(FILE *to, const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->function_count; i++) {
        fputs("function ", to);
        dump_function(to, profile, i);
        fputc(0, to);
    }
    for (uint32_t i = 0; i < profile->tree.count; i++) {
        const hp_node *n = &profile->tree.nodes[i];
        fputs("node ", to);
        dump_path(to, profile, i);
        fprintf(to, " %llu %llu %llu %llu %llu %u%c", U(n->samples), U(n->sampled), U(n->calls), U(n->exact), U(n->overhead), n->flags, 0);
    }
    for (uint32_t i = 0; i < profile->line_count; i++) {
        const hp_line *l = &profile->lines[i];
        fputs("line ", to);
        dump_path(to, profile, l->node);
        fprintf(to, " %u %d %llu %llu%c", l->line, (int)l->state, U(l->samples), U(l->sampled), 0);
    }
}

static inline void dump_threads(FILE *to, const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        const hp_profile_thread *t = &profile->threads[i];
        fprintf(to, "thread %u %s %llu %llu %llu %llu %llu %llu %llu %llu ", i, t->name, U(t->native_id), U(t->samples),
                U(t->traced_samples), U(t->measured_ns), U(t->sampled_ns), U(t->exact_ns), U(t->overhead_ns), U(t->unresolved_ns));
        dump_path(to, profile, t->root);
        fputc(0, to);
    }
    for (uint32_t i = 0; i < profile->estimate_count; i++) {
        const hp_estimate *e = &profile->estimates[i];
        fprintf(to, "estimate %u %llu %llu %llu %llu ", e->thread, U(e->self_samples), U(e->self_runs), U(e->total_samples),
                U(e->total_runs));
        dump_function(to, profile, e->function);
        fputc(0, to);
        if ((e->self_variance_us2 | e->total_variance_us2) == 0)
            continue;
        fprintf(to, "variance %u %llu %llu ", e->thread, U(e->self_variance_us2), U(e->total_variance_us2));
        dump_function(to, profile, e->function);
        fputc(0, to);
    }
}

/* Their number says the order, in whatever order the lines are. */
static inline void dump_timeline(FILE *to, const hp_profile *profile) {
    const hp_timeline *timeline = &profile->timeline;
    if (timeline->kept)
        fprintf(to, "timeline lost %llu%c", U(timeline->lost), 0);
    for (uint32_t i = 0; i < timeline->count; i++) {
        fprintf(to, "moment %u %llu %u ", i, U(timeline->moments[i].time), timeline->moments[i].weight);
        dump_path(to, profile, timeline->moments[i].node);
        fputc(0, to);
    }
}

static inline void dump_summary(FILE *to, const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->row_count; i++) {
        const hp_row *r = &profile->rows[i];
        fprintf(to, "row %d %llu %llu %llu %llu %llu %llu %llu %llu %llu ", (int)r->measured, U(r->samples), U(r->calls),
                U(r->primitive_calls), U(r->self_sampled), U(r->self_exact), U(r->total_sampled), U(r->total_exact), U(r->self_error_ns),
                U(r->total_error_ns));
        dump_function(to, profile, r->function);
        fputc(0, to);
    }
    for (uint32_t i = 0; i < profile->edge_count; i++) {
        const hp_edge *e = &profile->edges[i];
        fprintf(to, "edge %d %llu %llu %llu %llu %llu %llu ", (int)e->measured, U(e->calls), U(e->primitive_calls), U(e->self_sampled),
                U(e->self_exact), U(e->total_sampled), U(e->total_exact));
        dump_function(to, profile, e->caller);
        fputs(" > ", to);
        dump_function(to, profile, e->callee);
        fputc(0, to);
    }
}

static inline int dump_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Records that end in NUL to lines, sorted if wanted. malloc'ed. */
static inline char *dump_lines(const char *records, size_t size, bool sorted) {
    char *text = NULL;
    size_t text_size = 0, count = 0;
    for (size_t i = 0; i < size; i++)
        count += records[i] == 0;
    const char **lines = malloc((count + 1) * sizeof *lines);
    const char *at = records;
    for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
        lines[i] = at;
    if (sorted)
        qsort(lines, count, sizeof *lines, dump_compare);
    FILE *to = open_memstream(&text, &text_size);
    for (size_t i = 0; i < count; i++)
        fprintf(to, "%s\n", lines[i]);
    fclose(to);
    free(lines);
    return text;
}

/* Everything a profile says, a line for each thing; sorted, so that ids do not show, or as it stands. malloc'ed. */
static inline char *sample_dump(const hp_profile *profile, bool sorted) {
    char *records = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&records, &size);
    dump_meta(to, profile);
    dump_sources(to, profile);
    dump_tree(to, profile);
    dump_threads(to, profile);
    dump_timeline(to, profile);
    dump_summary(to, profile);
    fclose(to);
    char *text = dump_lines(records, size, sorted);
    free(records);
    return text;
}

/* The same without what is computed from it: what a file of an earlier release must say for ever. */
static inline char *sample_dump_data(const hp_profile *profile) {
    char *records = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&records, &size);
    dump_meta(to, profile);
    dump_sources(to, profile);
    dump_tree(to, profile);
    dump_threads(to, profile);
    dump_timeline(to, profile);
    if (profile->tree.count == 1) /* then rows and edges are data */
        dump_summary(to, profile);
    fclose(to);
    char *text = dump_lines(records, size, true);
    free(records);
    return text;
}

/* The file a profile becomes; malloc'ed. NULL if it cannot be written. */
static inline uint8_t *sample_encode(const hp_profile *profile, size_t *size) {
    hp_sink *sink = NULL;
    uint8_t *copy = NULL;
    hp_error error = {0};
    if (hp_sink_memory(&sink) == HP_OK && hp_format_hyprof.write(sink, profile, &error) == HP_OK && hp_sink_flush(sink, &error) == HP_OK) {
        const uint8_t *bytes = hp_sink_bytes(sink, size);
        copy = malloc(*size + 1);
        memcpy(copy, bytes, *size);
    }
    hp_sink_free(sink);
    return copy;
}

#undef U

#endif
