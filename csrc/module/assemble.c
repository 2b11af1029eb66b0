/* SPDX-License-Identifier: MIT */
/* Sampled and exact data become one call graph. Both trees are keyed by code-table slots, so this is one map from slots to functions
 * and two additions; slots of equal functions (a reloaded module, a lambda made twice) fold there, and hidden files vanish there. */
#include "module/assemble.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct assembly {
    hp_gathered *gathered;
    hp_profile *profile;
    uint32_t slot_count;
    uint32_t *map;      /* slot, or slot_count + index of a thread, to function id or HP_MAP_HIDE */
    uint32_t *node_map; /* node of the sampled tree to node of the profile */
} assembly;

static void warn(hp_profile *profile, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(hp_profile *profile, const char *format, ...) {
    char sentence[HP_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    hp_profile_add_warning(profile, sentence); /* short memory: the profile matters more than its warnings */
}

/* A thread's node carries the thread's index where all others carry a slot: moved past the slots, one map serves both. */
static void move_threads_past_slots(hp_tree *tree, uint32_t slot_count) {
    for (uint32_t i = 1; i < tree->count; i++)
        if (tree->nodes[i].parent == 0)
            tree->nodes[i].function += slot_count;
}

static bool is_hidden(const hp_gathered *gathered, const hp_code_info *info) {
    for (uint32_t i = 0; info->file && i < gathered->hidden_count; i++)
        if (strncmp(info->file, gathered->hidden[i], strlen(gathered->hidden[i])) == 0)
            return true;
    return false;
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

static uint32_t function_of_slot(const assembly *a, uint32_t slot) {
    hp_code_info info;
    if (!hp_code_table_info(a->gathered->code, slot, &info))
        info = (hp_code_info){.kind = HP_CODE_SYNTHETIC, .qualname = "<unknown>", .name = "<unknown>"};
    if (is_hidden(a->gathered, &info))
        return HP_MAP_HIDE;
    const char *name = or_empty(info.name);
    hp_function function = {.kind = info.kind,
                            .module = or_empty(info.module),
                            .qualname = info.qualname ? info.qualname : name,
                            .name = info.name ? name : or_empty(info.qualname),
                            .file = or_empty(info.file),
                            .first_line = info.first_line};
    return hp_profile_function(a->profile, &function);
}

/* Only slots that occur become functions: the table knows those of earlier sessions too. */
static hp_status map_functions(assembly *a, const hp_tree *tree) {
    for (uint32_t i = 1; i < tree->count; i++) {
        uint32_t slot = tree->nodes[i].function;
        if (slot >= a->slot_count + a->gathered->thread_count)
            return HP_BAD_FORMAT;
        if (a->map[slot] != HP_NO_FUNCTION)
            continue;
        a->map[slot] = function_of_slot(a, slot);
        if (a->map[slot] == HP_NO_FUNCTION)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

static hp_status add_threads(assembly *a) {
    for (uint32_t i = 0; i < a->gathered->thread_count; i++) {
        const hp_gathered_thread *from = &a->gathered->threads[i];
        uint32_t index = hp_profile_add_thread(a->profile, from->name ? from->name : "unnamed", from->native_id);
        if (index == HP_NO_NODE)
            return HP_NO_MEMORY;
        a->map[a->slot_count + i] = a->profile->tree.nodes[a->profile->threads[index].root].function;
    }
    return HP_OK;
}

static hp_status prepare(assembly *a) {
    hp_gathered *gathered = a->gathered;
    a->slot_count = hp_code_table_count(gathered->code);
    size_t keys = (size_t)a->slot_count + gathered->thread_count;
    a->map = malloc((keys + 1) * sizeof *a->map);
    a->node_map = calloc((size_t)gathered->sampled.tree.count + 1, sizeof *a->node_map);
    if (!a->map || !a->node_map)
        return HP_NO_MEMORY;
    memset(a->map, 0xff, keys * sizeof *a->map); /* HP_NO_FUNCTION */
    move_threads_past_slots(&gathered->sampled.tree, a->slot_count);
    move_threads_past_slots(&gathered->traced.tree, a->slot_count);
    hp_status status = hp_profile_new(&a->profile);
    return status == HP_OK ? add_threads(a) : status;
}

/* Exact times are wall time. Where the profile counts CPU time they would be added to what they are not: only the calls are kept. */
static hp_status add_trees(assembly *a, double ns_per_tick) {
    hp_gathered *gathered = a->gathered;
    hp_status status = HP_OK;
    if (gathered->has_sampled)
        status = map_functions(a, &gathered->sampled.tree);
    if (status == HP_OK && gathered->has_traced)
        status = map_functions(a, &gathered->traced.tree);
    if (status == HP_OK && gathered->has_sampled)
        status = hp_tree_add(&a->profile->tree, &gathered->sampled.tree, a->map, 1.0, a->node_map);
    if (status == HP_OK && gathered->has_traced)
        status = hp_tree_add(&a->profile->tree, &gathered->traced.tree, a->map, gathered->clock == HP_CLOCK_CPU ? 0.0 : ns_per_tick, NULL);
    return status;
}

static int compare_estimates(const void *left, const void *right) {
    const hp_estimate *a = left, *b = right;
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    return a->function < b->function ? -1 : a->function > b->function;
}

/* Several slots can be one function: their samples add up, and so do their runs, which at worst makes an interval too narrow by the
 * few places where one run went from one slot to the other. */
static hp_status add_estimates(assembly *a) {
    hp_sampled *sampled = &a->gathered->sampled;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sampled->estimate_count; i++) {
        hp_estimate estimate = sampled->estimates[i];
        if (estimate.function >= a->slot_count || estimate.thread >= a->gathered->thread_count)
            continue;
        estimate.function = a->map[estimate.function];
        if (estimate.function < a->profile->function_count)
            sampled->estimates[kept++] = estimate;
    }
    if (kept > 0)
        qsort(sampled->estimates, kept, sizeof *sampled->estimates, compare_estimates);
    hp_status status = HP_OK;
    for (uint32_t i = 0; status == HP_OK && i < kept;) {
        hp_estimate sum = sampled->estimates[i++];
        for (; i < kept && compare_estimates(&sum, &sampled->estimates[i]) == 0; i++) {
            sum.self_samples += sampled->estimates[i].self_samples;
            sum.self_runs += sampled->estimates[i].self_runs;
            sum.total_samples += sampled->estimates[i].total_samples;
            sum.total_runs += sampled->estimates[i].total_runs;
        }
        status = hp_profile_add_estimate(a->profile, &sum);
    }
    return status;
}

/* Each thread's times are those of its nodes, so that table, tree and threads agree to the nanosecond. */
static hp_status sum_threads(hp_profile *profile) {
    const hp_tree *tree = &profile->tree;
    uint32_t *owner = malloc((size_t)tree->count * sizeof *owner);
    if (!owner)
        return HP_NO_MEMORY;
    memset(owner, 0xff, (size_t)tree->count * sizeof *owner);
    for (uint32_t i = 0; i < profile->thread_count; i++)
        owner[profile->threads[i].root] = i;
    for (uint32_t i = 1; i < tree->count; i++) {
        const hp_node *node = &tree->nodes[i];
        if (owner[i] == HP_NO_NODE)
            owner[i] = owner[node->parent];
        if (owner[i] == HP_NO_NODE)
            continue;
        hp_profile_thread *thread = &profile->threads[owner[i]];
        thread->sampled_ns += node->sampled;
        thread->exact_ns += node->exact;
        thread->overhead_ns += node->overhead;
    }
    free(owner);
    return HP_OK;
}

/* By the session's own clock, so that the residual is a check and not a tautology. Without a sampler nobody looked outside targets:
 * then what was measured is the time beneath them. */
static void measure_threads(const assembly *a) {
    const hp_gathered *gathered = a->gathered;
    for (uint32_t i = 0; i < gathered->thread_count; i++) {
        const hp_gathered_thread *from = &gathered->threads[i];
        hp_profile_thread *thread = &a->profile->threads[i];
        if (!gathered->has_sampled)
            thread->measured_ns = thread->exact_ns + thread->overhead_ns;
        else if (gathered->clock == HP_CLOCK_WALL && from->ended_ns > from->began_ns)
            thread->measured_ns = (uint64_t)(from->ended_ns - from->began_ns);
    }
    for (uint32_t i = 0; i < gathered->sampled.thread_count; i++) {
        const hp_sampled_thread *from = &gathered->sampled.threads[i];
        if (from->thread >= gathered->thread_count)
            continue;
        hp_profile_thread *thread = &a->profile->threads[from->thread];
        thread->samples = from->samples;
        thread->traced_samples = from->traced_samples;
        thread->unresolved_ns = from->unresolved_ns;
        if (gathered->clock == HP_CLOCK_CPU)
            thread->measured_ns = from->measured_ns;
    }
}

static void fill_meta(const assembly *a) {
    const hp_gathered *gathered = a->gathered;
    hp_profile *profile = a->profile;
    hp_meta *meta = &profile->meta;
    memcpy(meta->id, gathered->id, sizeof meta->id);
    meta->python = hp_profile_string(profile, gathered->python);
    meta->implementation = hp_profile_string(profile, "CPython");
    meta->platform = hp_profile_string(profile, gathered->platform);
    meta->program = hp_profile_string(profile, gathered->program);
    meta->pid = (uint64_t)getpid();
    meta->started_ns = gathered->started_wall_ns;
    meta->duration_ns = (uint64_t)(gathered->ended.ns - gathered->began.ns);
    meta->clock = gathered->clock;
    meta->rate_hz = gathered->rate_hz;
    bool same_cpu = gathered->sampled.method == HP_METHOD_SAME_CPU;
    meta->sampler_method = hp_profile_string(profile, !gathered->has_sampled ? "" : same_cpu ? "same-cpu" : "remote");
    meta->tracer_hook = hp_profile_string(profile, gathered->hook);
}

static void fill_counts(const assembly *a) {
    hp_meta *meta = &a->profile->meta;
    const hp_sampler_counts *sampled = &a->gathered->sampled.counts;
    const hp_tracer_counts *traced = &a->gathered->traced.counts;
    meta->samples_kept = sampled->kept;
    meta->samples_retried = sampled->retried;
    meta->samples_unresolved = sampled->unresolved;
    meta->ticks_missed = sampled->missed;
    meta->sampler_cpu_ns = sampled->cpu_ns;
    meta->tracing_targets = traced->targets;
    meta->tracing_calls = traced->calls;
    meta->tracing_events = traced->events;
    meta->tracing_gated = traced->gated;
    meta->tracing_truncated = traced->truncated;
    for (uint32_t i = 0; i < a->profile->thread_count; i++)
        meta->tracing_overhead_ns += a->profile->threads[i].overhead_ns;
}

static void add_warnings(const assembly *a) {
    const hp_gathered *gathered = a->gathered;
    const hp_sampler_counts *counts = &gathered->sampled.counts;
    for (uint32_t i = 0; i < gathered->warning_count; i++)
        hp_profile_add_warning(a->profile, gathered->warnings[i]);
    if (counts->unresolved * 1000 > counts->kept)
        warn(a->profile, "%" PRIu64 " of %" PRIu64 " samples could not be resolved: their time stands under <unresolved>", counts->unresolved,
             counts->kept);
    if (counts->missed > 0)
        warn(a->profile, "the sampler was late for %" PRIu64 " of %" PRIu64 " ticks: the true rate was lower than %g Hz", counts->missed,
             counts->ticks + counts->missed, gathered->rate_hz);
    if (gathered->has_sampled && gathered->sampled.method == HP_METHOD_REMOTE)
        warn(a->profile, "sampled from another CPU (%s): self times of functions shorter than about 0.3 us are biased",
             gathered->sampled.method_reason && *gathered->sampled.method_reason ? gathered->sampled.method_reason : "as asked for");
    uint64_t overflowed = gathered->sampled.tree.overflowed + gathered->traced.tree.overflowed;
    if (overflowed > 0)
        warn(a->profile, "the call tree reached its bound: %" PRIu64 " stacks or calls were counted under <overflow>", overflowed);
    if (gathered->clock == HP_CLOCK_CPU && gathered->traced.counts.calls > 0)
        warn(a->profile, "CPU clock: exact call counts are kept, exact times are not, for they are wall time; times come from samples");
}

hp_status hp_assemble(hp_gathered *gathered, hp_profile **out) {
    assembly a = {.gathered = gathered};
    double ns_per_tick = hp_ns_per_tick(&gathered->began, &gathered->ended);
    hp_status status = prepare(&a);
    if (status == HP_OK)
        status = add_trees(&a, ns_per_tick);
    if (status == HP_OK)
        status = hp_assemble_lines(gathered, a.map, a.node_map, a.profile);
    if (status == HP_OK)
        status = add_estimates(&a);
    if (status == HP_OK)
        status = sum_threads(a.profile);
    if (status == HP_OK) {
        measure_threads(&a);
        fill_meta(&a);
        fill_counts(&a);
        add_warnings(&a);
        status = hp_profile_summarize(a.profile);
    }
    free(a.map);
    free(a.node_map);
    if (status == HP_OK)
        *out = a.profile;
    else
        hp_profile_free(a.profile);
    return status;
}
