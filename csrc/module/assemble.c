/* SPDX-License-Identifier: MIT */
/* Sampled and exact data become one call graph. Both trees are keyed by code-table slots, so this is one map from slots to functions
 * and two additions; slots of equal functions (a reloaded module, a lambda made twice) fold there, and hidden files vanish there. */
#include "module/assemble.h"

#include <stdlib.h>
#include <string.h>

#include "module/divide.h"

typedef struct assembly {
    hp_gathered *gathered;
    hp_profile *profile;
    uint32_t slot_count;
    uint32_t *map;        /* slot, or slot_count + index of a thread, to function id or HP_MAP_HIDE */
    uint32_t *node_map;   /* node of the sampled tree to node of the profile */
    uint32_t *traced_map; /* node of the traced tree to node of the profile */
    uint32_t *threads;    /* index of a thread to that in the profile; UINT32_MAX: left out */
    hp_division division;
} assembly;

/* A thread's node carries the thread's index where all others carry a slot: moved past the slots, one map serves both. */
static void move_threads_past_slots(hp_tree *tree, uint32_t slot_count) {
    for (uint32_t i = 1; i < tree->count; i++)
        if (tree->nodes[i].parent == 0)
            tree->nodes[i].function += slot_count;
}

static bool is_own_root(const hp_gathered *gathered, const hp_node *node) {
    return node->parent == 0 && node->function < gathered->thread_count && gathered->threads[node->function].is_own;
}

/* A thread of ours only waits. Its time goes, and what the interpreter made it run by the way (a finalizer) is put under another thread. */
static void drop_own_time(hp_gathered *gathered) {
    hp_sampled *sampled = &gathered->sampled;
    uint32_t kept = 0;
    for (uint32_t i = 1; i < sampled->tree.count; i++) {
        hp_node *node = &sampled->tree.nodes[i];
        if (!is_own_root(gathered, node))
            continue;
        sampled->counts.kept -= node->samples;
        node->samples = node->sampled = 0;
    }
    for (uint32_t i = 0; i < sampled->line_count; i++)
        if (!is_own_root(gathered, &sampled->tree.nodes[sampled->lines[i].node]))
            sampled->lines[kept++] = sampled->lines[i];
    sampled->line_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < sampled->timeline.count; i++)
        if (!is_own_root(gathered, &sampled->tree.nodes[sampled->timeline.moments[i].node]))
            sampled->timeline.moments[kept++] = sampled->timeline.moments[i];
    sampled->timeline.count = kept;
}

/* The tracer's calibration runs throw-away code, which the sampler may meet. */
static const char OWN_CODE[] = "<hybridprof ";

bool hp_assemble_hides(const hp_gathered *gathered, const hp_code_info *info) {
    if (info->file && strncmp(info->file, OWN_CODE, sizeof OWN_CODE - 1) == 0)
        return true;
    for (uint32_t i = 0; info->file && i < gathered->hidden_count; i++)
        if (strncmp(info->file, gathered->hidden[i], strlen(gathered->hidden[i])) == 0)
            return true;
    return false;
}

/* The sampler follows a thread beneath targets too, where it adds no time: what it saw there has nodes in which nothing was sampled. The
 * exact tree has those stacks with what no sample shows (C functions, blocks) in them; left in, they would be places that were met and not
 * counted. */
static hp_status hide_unsampled(assembly *a) {
    hp_tree *tree = &a->gathered->sampled.tree;
    bool *sampled = calloc(tree->count, sizeof *sampled);
    if (!sampled)
        return HP_NO_MEMORY;
    for (uint32_t i = tree->count; i-- > 1;) { /* children lie behind their parents */
        hp_node *node = &tree->nodes[i];
        sampled[i] |= node->samples != 0 || node->sampled != 0 || node->overhead != 0;
        sampled[node->parent] |= sampled[i];
        if (!sampled[i] && node->parent != 0)
            node->function = a->slot_count + a->gathered->thread_count;
    }
    free(sampled);
    return HP_OK;
}

/* A window's exact tree has the nodes of all its session: those in which nothing happened since, and below which nothing did, are left out.
 * Where samples beneath a target stand for a node it stays, or they would stand in the wrong place. */
static hp_status hide_idle(assembly *a) {
    const hp_gathered *gathered = a->gathered;
    hp_tree *tree = &a->gathered->traced.tree;
    bool *busy = calloc((size_t)tree->count + 1, sizeof *busy);
    if (!busy)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < gathered->sampled.beneath_count; i++)
        if (gathered->sampled.beneath[i].traced_node < tree->count)
            busy[gathered->sampled.beneath[i].traced_node] = true;
    for (uint32_t i = tree->count; i-- > 1;) {
        hp_node *node = &tree->nodes[i];
        busy[i] |= node->calls != 0 || node->exact != 0 || node->overhead != 0;
        busy[node->parent] |= busy[i];
        if (!busy[i] && node->parent != 0) {
            node->function = a->slot_count + gathered->thread_count;
            node->flags = 0; /* they say what its calls lack, and it has none */
        }
    }
    free(busy);
    return HP_OK;
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

/* Without the longest root that it lies in. What is in none keeps its last part: the path is what nobody should read. */
static const char *short_file(const hp_gathered *gathered, const char *file) {
    size_t longest = 0;
    if (!gathered->roots || file[0] != '/')
        return file;
    for (uint32_t i = 0; i < gathered->root_count; i++) {
        size_t size = strlen(gathered->roots[i]);
        if (size > longest && strncmp(file, gathered->roots[i], size) == 0 && file[size] == '/')
            longest = size;
    }
    return longest > 0 ? file + longest + 1 : strrchr(file, '/') + 1;
}

static uint32_t function_of_slot(const assembly *a, uint32_t slot) {
    hp_code_info info;
    if (!hp_code_table_info(a->gathered->code, slot, &info))
        info = (hp_code_info){.kind = HP_CODE_SYNTHETIC, .qualname = "<unknown>", .name = "<unknown>"};
    if (hp_assemble_hides(a->gathered, &info))
        return HP_MAP_HIDE;
    const char *name = or_empty(info.name);
    hp_function function = {.kind = info.kind,
                            .module = or_empty(info.module),
                            .qualname = info.qualname ? info.qualname : name,
                            .name = info.name ? name : or_empty(info.qualname),
                            .file = short_file(a->gathered, or_empty(info.file)),
                            .first_line = info.first_line};
    return hp_profile_function(a->profile, &function);
}

/* Only slots that occur become functions: the table knows those of earlier sessions too. */
static hp_status map_functions(assembly *a, const hp_tree *tree) {
    for (uint32_t i = 1; i < tree->count; i++) {
        uint32_t slot = tree->nodes[i].function;
        if (slot > a->slot_count + a->gathered->thread_count)
            return HP_BAD_FORMAT;
        if (a->map[slot] != HP_NO_FUNCTION)
            continue;
        a->map[slot] = function_of_slot(a, slot);
        if (a->map[slot] == HP_NO_FUNCTION)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

/* Functions of stacks that took no time: until now nothing stood for them. */
static hp_status map_divided(assembly *a) {
    for (uint32_t i = 0; i < a->division.slot_count; i++) {
        uint32_t slot = a->division.slots[i];
        if (a->map[slot] == HP_NO_FUNCTION)
            a->map[slot] = function_of_slot(a, slot);
        if (a->map[slot] == HP_NO_FUNCTION)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

static hp_status add_thread(assembly *a, uint32_t i) {
    const hp_gathered_thread *from = &a->gathered->threads[i];
    a->threads[i] = hp_profile_add_thread(a->profile, from->name ? from->name : "unnamed", from->native_id);
    if (a->threads[i] == HP_NO_NODE)
        return HP_NO_MEMORY;
    a->map[a->slot_count + i] = a->profile->tree.nodes[a->profile->threads[a->threads[i]].root].function;
    return HP_OK;
}

static bool is_left_out(const hp_gathered_thread *thread) {
    return thread->is_own || thread->is_absent;
}

static hp_status add_threads(assembly *a) {
    uint32_t count = a->gathered->thread_count;
    hp_status status = HP_OK;
    for (uint32_t i = 0; i < count && status == HP_OK; i++)
        if (!is_left_out(&a->gathered->threads[i]))
            status = add_thread(a, i);
    for (uint32_t i = 0; i < count && status == HP_OK && a->profile->thread_count > 0; i++)
        if (is_left_out(&a->gathered->threads[i]))
            a->map[a->slot_count + i] = a->profile->tree.nodes[a->profile->threads[0].root].function;
    return status;
}

static hp_status prepare(assembly *a) {
    hp_gathered *gathered = a->gathered;
    a->slot_count = hp_code_table_count(gathered->code);
    size_t keys = (size_t)a->slot_count + gathered->thread_count + 1; /* and the key of what is hidden */
    a->map = malloc((keys + 1) * sizeof *a->map);
    a->node_map = calloc((size_t)gathered->sampled.tree.count + 1, sizeof *a->node_map); /* at least: taking chains out makes no nodes */
    a->traced_map = calloc((size_t)gathered->traced.tree.count + 1, sizeof *a->traced_map);
    a->threads = malloc(((size_t)gathered->thread_count + 1) * sizeof *a->threads);
    if (!a->map || !a->node_map || !a->traced_map || !a->threads)
        return HP_NO_MEMORY;
    memset(a->map, 0xff, keys * sizeof *a->map); /* HP_NO_FUNCTION */
    a->map[keys - 1] = HP_MAP_HIDE;
    memset(a->threads, 0xff, gathered->thread_count * sizeof *a->threads);
    hp_status status = hp_assemble_tasks(gathered);
    if (status != HP_OK)
        return status;
    status = hp_division_prepare(&a->division, gathered, a->slot_count);
    if (status != HP_OK)
        return status;
    drop_own_time(gathered);
    hp_assemble_hook_time(gathered);
    move_threads_past_slots(&gathered->sampled.tree, a->slot_count);
    move_threads_past_slots(&gathered->traced.tree, a->slot_count);
    status = hp_profile_new(&a->profile);
    return status == HP_OK ? add_threads(a) : status;
}

/* C functions have no file; those that a hidden function calls are as much ours as it is. */
static void hide_c_functions(const assembly *a, hp_tree *tree) {
    uint32_t hidden = a->slot_count + a->gathered->thread_count;
    for (uint32_t i = 1; i < tree->count; i++) {
        hp_node *node = &tree->nodes[i];
        if (node->parent == 0 || a->map[tree->nodes[node->parent].function] != HP_MAP_HIDE || a->map[node->function] == HP_MAP_HIDE)
            continue;
        if (a->profile->functions[a->map[node->function]].kind == HP_CODE_C)
            node->function = hidden;
    }
}

/* Exact times are wall time. Where the profile counts CPU time they would be added to what they are not: only the calls are kept. */
static hp_status add_trees(assembly *a, double ns_per_tick) {
    hp_gathered *gathered = a->gathered;
    hp_status status = HP_OK;
    if (gathered->has_sampled)
        status = hide_unsampled(a);
    if (status == HP_OK && gathered->has_traced && gathered->is_window)
        status = hide_idle(a);
    if (status == HP_OK && gathered->has_sampled)
        status = map_functions(a, &gathered->sampled.tree);
    if (status == HP_OK && gathered->has_traced)
        status = map_functions(a, &gathered->traced.tree);
    if (status == HP_OK && gathered->has_traced)
        hide_c_functions(a, &gathered->traced.tree);
    if (status == HP_OK && gathered->has_sampled)
        status = hp_tree_add(&a->profile->tree, &gathered->sampled.tree, a->map, 1.0, a->node_map);
    if (status == HP_OK && gathered->has_traced)
        status = hp_tree_add(&a->profile->tree, &gathered->traced.tree, a->map, gathered->clock == HP_CLOCK_CPU ? 0.0 : ns_per_tick,
                             a->traced_map);
    if (status == HP_OK)
        status = map_divided(a);
    if (status == HP_OK)
        status = hp_division_apply(&a->division, gathered, a->profile, a->map, a->traced_map, ns_per_tick, a->slot_count);
    return status;
}

static void take_timeline(assembly *a) {
    hp_timeline *line = &a->gathered->sampled.timeline;
    hp_timeline_map(line, a->node_map);
    a->profile->timeline = *line;
    *line = (hp_timeline){0};
}

static int compare_estimates(const void *left, const void *right) {
    const hp_estimate *a = left, *b = right;
    if (a->thread != b->thread)
        return a->thread < b->thread ? -1 : 1;
    return a->function < b->function ? -1 : a->function > b->function;
}

/* Several slots can be one function: their samples add up, and so do their runs, which at worst makes an interval too wide by the places
 * where one run went from one slot to the other. */
static hp_status add_estimates(assembly *a) {
    hp_sampled *sampled = &a->gathered->sampled;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sampled->estimate_count; i++) {
        hp_estimate estimate = sampled->estimates[i];
        if (estimate.function >= a->slot_count || estimate.thread >= a->gathered->thread_count || a->threads[estimate.thread] == UINT32_MAX)
            continue;
        estimate.thread = a->threads[estimate.thread];
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

hp_status hp_assemble(hp_gathered *gathered, hp_profile **out) {
    assembly a = {.gathered = gathered};
    double ns_per_tick = hp_ns_per_tick(&gathered->began, &gathered->ended);
    hp_status status = prepare(&a);
    if (status == HP_OK)
        status = add_trees(&a, ns_per_tick);
    if (status == HP_OK)
        status = hp_assemble_lines(gathered, a.map, a.node_map, a.division.places, a.division.place_count, a.profile);
    if (status == HP_OK)
        status = add_estimates(&a);
    if (status == HP_OK)
        take_timeline(&a);
    if (status == HP_OK)
        status = hp_assemble_times(gathered, a.threads, a.profile);
    if (status == HP_OK) {
        hp_assemble_meta(gathered, a.profile);
        status = hp_assemble_widths(gathered, a.threads, a.node_map, a.profile);
    }
    if (status == HP_OK)
        status = hp_profile_summarize(a.profile);
    free(a.map);
    free(a.node_map);
    free(a.traced_map);
    free(a.threads);
    hp_division_fini(&a.division);
    if (status == HP_OK)
        *out = a.profile;
    else
        hp_profile_free(a.profile);
    return status;
}
