/* SPDX-License-Identifier: MIT */
/* hp_record_finish: from what the file says to a profile that keeps every promise of tree/profile.h, or a sentence. */
#include <stdlib.h>

#include "formats/hyprof/facts.h"
#include "formats/hyprof/record.h"

/* From the record's ids to the profile's. */
typedef struct finish_maps {
    uint32_t *functions;
    uint32_t *nodes;
} finish_maps;

static hp_status does_not_fit(hp_error *error, const char *what) {
    return hp_fail(error, HP_BAD_FORMAT, 0, "the parts of the file do not fit together: %s", what);
}

static hp_status no_memory(hp_error *error) {
    return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory for the profile in the file");
}

static hp_status finish_functions(const hp_record *record, hp_profile *profile, finish_maps *maps, hp_error *error) {
    for (uint32_t id = 0; id < record->profile->function_count; id++) {
        maps->functions[id] = HP_NO_FUNCTION;
        if (hp_marks_has(&record->absent_functions, id))
            continue;
        maps->functions[id] = hp_profile_function(profile, &record->profile->functions[id]);
        if (maps->functions[id] == HP_NO_FUNCTION)
            return no_memory(error);
    }
    return HP_OK;
}

static hp_status finish_nodes(const hp_record *record, hp_profile *profile, finish_maps *maps, hp_error *error) {
    const hp_tree *from = &record->profile->tree;
    for (uint32_t id = 0; id < from->count; id++) {
        const hp_node *node = &from->nodes[id];
        maps->nodes[id] = id == 0 ? 0 : HP_NO_NODE;
        if (id > 0 && hp_marks_has(&record->absent_nodes, id))
            continue;
        if (id > 0 && (maps->nodes[node->parent] == HP_NO_NODE || maps->functions[node->function] == HP_NO_FUNCTION))
            return does_not_fit(error, "a node whose parent or function is gone");
        if (id > 0)
            maps->nodes[id] = hp_tree_child(&profile->tree, maps->nodes[node->parent], maps->functions[node->function]);
        hp_node *to = &profile->tree.nodes[maps->nodes[id]];
        if (id > 0 && (to->parent != maps->nodes[node->parent] || to->function != maps->functions[node->function]))
            return no_memory(error);
        to->samples = node->samples;
        to->sampled = node->sampled;
        to->calls = node->calls;
        to->exact = node->exact;
        to->overhead = node->overhead;
        to->flags = node->flags;
    }
    return HP_OK;
}

/* A profile of its own without what is absent. */
static hp_status finish_without_absent(hp_record *record, finish_maps *maps, hp_error *error) {
    hp_profile *profile = NULL;
    hp_status status = hp_profile_new(&profile);
    if (status != HP_OK)
        return no_memory(error);
    status = hp_facts_copy(profile, record->profile) == HP_OK ? HP_OK : no_memory(error);
    if (status == HP_OK)
        status = finish_functions(record, profile, maps, error);
    if (status == HP_OK)
        status = finish_nodes(record, profile, maps, error);
    if (status != HP_OK) {
        hp_profile_free(profile);
        return status;
    }
    for (uint32_t i = 0; i < record->profile->source_count; i++) {
        if (hp_profile_add_source(profile, &record->profile->sources[i]) != HP_OK) {
            hp_profile_free(profile);
            return no_memory(error);
        }
    }
    profile->timeline = record->profile->timeline;
    record->profile->timeline = (hp_timeline){0};
    hp_timeline_map(&profile->timeline, maps->nodes);
    /* Names and warnings live in the old profile's strings. */
    for (uint32_t i = 0; i < record->thread_count; i++)
        record->threads[i].name = hp_profile_string(profile, record->threads[i].name);
    for (uint32_t i = 0; i < record->warning_count; i++)
        record->warnings[i] = hp_profile_string(profile, record->warnings[i]);
    hp_profile_free(record->profile);
    record->profile = profile;
    return HP_OK;
}

static uint32_t mapped(const uint32_t *map, uint32_t id) {
    return map == NULL ? id : map[id];
}

/* Adding what is there already adds up, and makes the list no longer: that finds what is there twice. */
static hp_status finish_lines(hp_record *record, const finish_maps *maps, hp_error *error) {
    hp_profile *profile = record->profile;
    for (uint32_t i = 0; i < record->line_count; i++) {
        hp_line line = record->lines[i];
        uint32_t known = profile->line_count;
        line.node = mapped(maps->nodes, line.node);
        if (line.samples == 0 && line.sampled == 0)
            continue;
        if (line.node == HP_NO_NODE)
            return does_not_fit(error, "samples on a line of a node that is gone");
        if (hp_profile_add_line(profile, &line) != HP_OK)
            return no_memory(error);
        if (profile->line_count == known && line.state != HP_STATE_UNKNOWN) /* states that this version does not know become one */
            return does_not_fit(error, "a line of a node is there twice");
    }
    return HP_OK;
}

static hp_status finish_estimates(hp_record *record, const finish_maps *maps, hp_error *error) {
    hp_profile *profile = record->profile;
    for (uint32_t i = 0; i < record->estimate_count; i++) {
        hp_estimate one = record->estimates[i];
        uint32_t known = profile->estimate_count;
        one.function = mapped(maps->functions, one.function);
        if ((one.self_samples | one.self_runs | one.total_samples | one.total_runs) == 0)
            continue;
        if (one.thread >= record->thread_count || one.function == HP_NO_FUNCTION)
            return does_not_fit(error, "an estimate of a thread or function that is gone");
        if (hp_profile_add_estimate(profile, &one) != HP_OK)
            return no_memory(error);
        if (profile->estimate_count == known)
            return does_not_fit(error, "an estimate is there twice");
    }
    return HP_OK;
}

static hp_status finish_threads(hp_record *record, const finish_maps *maps, hp_error *error) {
    for (uint32_t i = 0; i < record->thread_count; i++) {
        hp_profile_thread *thread = &record->threads[i];
        if (thread->root == HP_NO_NODE)
            continue;
        thread->root = mapped(maps->nodes, thread->root);
        if (thread->root == HP_NO_NODE)
            return does_not_fit(error, "a thread whose root is gone");
    }
    record->profile->threads = record->threads;
    record->profile->thread_count = record->thread_count;
    record->threads = NULL;
    return HP_OK;
}

static hp_status finish_flat(hp_record *record, const finish_maps *maps, hp_error *error) {
    for (uint32_t i = 0; i < record->row_count; i++) {
        record->rows[i].function = mapped(maps->functions, record->rows[i].function);
        if (record->rows[i].function == HP_NO_FUNCTION)
            return does_not_fit(error, "a row of a function that is gone");
    }
    for (uint32_t i = 0; i < record->edge_count; i++) {
        hp_edge *edge = &record->edges[i];
        bool root = edge->caller == HP_NO_FUNCTION;
        edge->callee = mapped(maps->functions, edge->callee);
        edge->caller = root ? HP_NO_FUNCTION : mapped(maps->functions, edge->caller);
        if (edge->callee == HP_NO_FUNCTION || (edge->caller == HP_NO_FUNCTION && !root))
            return does_not_fit(error, "an edge of a function that is gone");
    }
    record->profile->rows = record->rows;
    record->profile->row_count = record->row_count;
    record->profile->edges = record->edges;
    record->profile->edge_count = record->edge_count;
    record->rows = NULL;
    record->edges = NULL;
    return HP_OK;
}

static hp_status finish_warnings(hp_record *record, hp_error *error) {
    for (uint32_t i = 0; i < record->warning_count; i++)
        if (hp_profile_add_warning(record->profile, record->warnings[i]) != HP_OK)
            return no_memory(error);
    return HP_OK;
}

static hp_status finish_parts(hp_record *record, const finish_maps *maps, bool summarize, hp_error *error) {
    hp_status status = finish_lines(record, maps, error);
    if (status == HP_OK)
        status = finish_estimates(record, maps, error);
    if (status == HP_OK)
        status = finish_threads(record, maps, error);
    if (status == HP_OK)
        status = finish_warnings(record, error);
    if (status == HP_OK && (record->row_count > 0 || record->edge_count > 0)) {
        if (record->profile->tree.count > 1)
            return does_not_fit(error, "it holds both a tree and a table");
        return finish_flat(record, maps, error);
    }
    if (status == HP_OK && summarize && hp_profile_summarize(record->profile) != HP_OK)
        return no_memory(error);
    return status;
}

hp_status hp_record_finish(hp_record *record, bool summarize, hp_profile **out, hp_error *error) {
    finish_maps maps = {0};
    hp_status status = HP_OK;
    if (record->absent_functions.set > 0 || record->absent_nodes.set > 0) {
        maps.functions = malloc((record->profile->function_count + 1u) * sizeof *maps.functions);
        maps.nodes = malloc(record->profile->tree.count * sizeof *maps.nodes);
        if (maps.functions == NULL || maps.nodes == NULL)
            status = no_memory(error);
        else
            status = finish_without_absent(record, &maps, error);
    }
    if (status == HP_OK)
        status = finish_parts(record, &maps, summarize, error);
    if (status == HP_OK)
        status = summarize ? hp_profile_check(record->profile, error) : hp_profile_check_parts(record->profile, error);
    if (status == HP_OK) {
        *out = record->profile;
        record->profile = NULL;
    }
    free(maps.functions);
    free(maps.nodes);
    return status;
}
