/* SPDX-License-Identifier: MIT */
/* First and last step of hp_encoder. Taking gives file ids and values to everything in a profile and touches nothing that the record says,
 * it only makes room for it. */
#include "base/array.h"
#include "formats/hyprof/encode.h"
#include "formats/hyprof/facts.h"

/* Makes room for `count` items or leaves the function: arrays stay owned by the encoder, there is nothing to undo. */
#define GROW(field, capacity, count)                                                                                                       \
    do {                                                                                                                                   \
        void *grown_ = hp_array_grow((field), &(capacity), (count), sizeof *(field));                                                      \
        if (grown_ == NULL)                                                                                                                \
            return HP_NO_MEMORY;                                                                                                           \
        (field) = grown_;                                                                                                                  \
    } while (0)

hp_status hp_encoder_init(hp_encoder *encoder) {
    *encoder = (hp_encoder){0};
    encoder->strings = hp_strings_new();
    hp_status status = hp_record_init(&encoder->record);
    encoder->written_nodes = 1; /* both sides begin with the root */
    return encoder->strings == NULL ? HP_NO_MEMORY : status;
}

void hp_encoder_fini(hp_encoder *encoder) {
    hp_record_fini(&encoder->record);
    hp_strings_free(encoder->strings);
    hp_pairs_fini(&encoder->line_ids);
    hp_pairs_fini(&encoder->estimate_ids);
    free(encoder->nodes);
    free(encoder->functions);
    free(encoder->lines);
    free(encoder->estimates);
    free(encoder->threads);
    free(encoder->rows);
    free(encoder->edges);
    free(encoder->function_map);
    free(encoder->node_map);
    *encoder = (hp_encoder){0};
}

static hp_status take_function_strings(hp_encoder *encoder, const hp_function *function) {
    const char *const texts[] = {function->module, function->qualname, function->name, function->file};
    for (unsigned i = 0; i < 4; i++)
        if (hp_strings_intern(encoder->strings, texts[i]) == NULL)
            return HP_NO_MEMORY;
    return HP_OK;
}

static hp_status take_functions(hp_encoder *encoder, const hp_profile *profile) {
    hp_profile *known = encoder->record.profile;
    hp_status status = HP_OK;
    GROW(encoder->function_map, encoder->function_map_capacity, profile->function_count);
    for (uint32_t i = 0; i < profile->function_count; i++) {
        encoder->function_map[i] = hp_profile_function(known, &profile->functions[i]);
        if (encoder->function_map[i] == HP_NO_FUNCTION)
            return HP_NO_MEMORY;
    }
    for (uint32_t id = encoder->written_functions; id < known->function_count && status == HP_OK; id++)
        status = take_function_strings(encoder, &known->functions[id]);
    if (status != HP_OK)
        return status;
    GROW(encoder->functions, encoder->function_capacity, known->function_count);
    memset(encoder->functions, 0, known->function_count);
    for (uint32_t i = 0; i < profile->function_count; i++)
        encoder->functions[encoder->function_map[i]] = 1;
    return hp_marks_reserve(&encoder->record.absent_functions, known->function_count);
}

static hp_status take_node_ids(hp_encoder *encoder, const hp_profile *profile) {
    hp_tree *known = &encoder->record.profile->tree;
    GROW(encoder->node_map, encoder->node_map_capacity, profile->tree.count);
    encoder->node_map[0] = 0;
    for (uint32_t i = 1; i < profile->tree.count; i++) {
        const hp_node *node = &profile->tree.nodes[i];
        if (node->parent >= i || node->function >= profile->function_count)
            return HP_BAD_VALUE;
        uint32_t parent = encoder->node_map[node->parent];
        uint32_t function = encoder->function_map[node->function];
        uint32_t id = hp_tree_child(known, parent, function);
        /* Past its limit a tree gives an overflow node instead: then the file could not tell the two apart. */
        if (known->nodes[id].parent != parent || known->nodes[id].function != function)
            return HP_NO_MEMORY;
        encoder->node_map[i] = id;
    }
    return hp_marks_reserve(&encoder->record.absent_nodes, known->count);
}

static hp_status take_nodes(hp_encoder *encoder, const hp_profile *profile) {
    hp_status status = take_node_ids(encoder, profile);
    if (status != HP_OK)
        return status;
    uint32_t known = encoder->record.profile->tree.count;
    GROW(encoder->nodes, encoder->node_capacity, known);
    memset(encoder->nodes, 0, known * sizeof *encoder->nodes);
    for (uint32_t i = 0; i < profile->tree.count; i++) {
        const hp_node *from = &profile->tree.nodes[i];
        encoder->nodes[encoder->node_map[i]] =
            (hp_node_values){from->samples, from->sampled, from->calls, from->exact, from->overhead, from->flags, true};
    }
    return HP_OK;
}

static hp_status take_line(hp_encoder *encoder, const hp_line *line) {
    hp_record *record = &encoder->record;
    uint32_t node = encoder->node_map[line->node];
    uint32_t id = hp_pairs_put(&encoder->line_ids, node, hp_line_key(line), record->line_count);
    if (id == HP_NO_PAIR)
        return HP_NO_MEMORY;
    GROW(record->lines, record->line_capacity, id + 1);
    GROW(encoder->lines, encoder->line_capacity, id + 1);
    if (id == record->line_count) {
        record->lines[id] = encoder->lines[id] = (hp_line){.node = node, .line = line->line, .state = line->state};
        record->line_count++;
    }
    encoder->lines[id].samples += line->samples;
    encoder->lines[id].sampled += line->sampled;
    return HP_OK;
}

static hp_status take_lines(hp_encoder *encoder, const hp_profile *profile) {
    hp_status status = HP_OK;
    for (uint32_t id = 0; id < encoder->record.line_count; id++)
        encoder->lines[id].samples = encoder->lines[id].sampled = 0;
    for (uint32_t i = 0; i < profile->line_count && status == HP_OK; i++) {
        const hp_line *line = &profile->lines[i];
        if (line->node >= profile->tree.count || line->line >= HP_LINE_LIMIT || (unsigned)line->state >= HP_STATES)
            return HP_BAD_VALUE;
        if (line->samples != 0 || line->sampled != 0) /* at zero there is nothing to say of a line */
            status = take_line(encoder, line);
    }
    return status;
}

static hp_status take_estimate(hp_encoder *encoder, const hp_estimate *estimate) {
    hp_record *record = &encoder->record;
    uint32_t function = encoder->function_map[estimate->function];
    uint32_t id = hp_pairs_put(&encoder->estimate_ids, estimate->thread, function, record->estimate_count);
    if (id == HP_NO_PAIR)
        return HP_NO_MEMORY;
    GROW(record->estimates, record->estimate_capacity, id + 1);
    GROW(encoder->estimates, encoder->estimate_capacity, id + 1);
    if (id == record->estimate_count) {
        record->estimates[id] = (hp_estimate){.thread = estimate->thread, .function = function};
        record->estimate_count++;
    }
    encoder->estimates[id] = *estimate;
    return HP_OK;
}

static hp_status take_estimates(hp_encoder *encoder, const hp_profile *profile) {
    hp_status status = HP_OK;
    if (encoder->record.estimate_count > 0)
        memset(encoder->estimates, 0, encoder->record.estimate_count * sizeof *encoder->estimates);
    for (uint32_t i = 0; i < profile->estimate_count && status == HP_OK; i++) {
        const hp_estimate *one = &profile->estimates[i];
        if (one->thread >= profile->thread_count || one->function >= profile->function_count)
            return HP_BAD_VALUE;
        if ((one->self_samples | one->self_runs | one->total_samples | one->total_runs) != 0)
            status = take_estimate(encoder, one);
    }
    return status;
}

static hp_status take_threads(hp_encoder *encoder, const hp_profile *profile) {
    GROW(encoder->threads, encoder->thread_capacity, profile->thread_count);
    GROW(encoder->record.threads, encoder->record.thread_capacity, profile->thread_count);
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        hp_profile_thread *thread = &encoder->threads[i];
        *thread = profile->threads[i];
        thread->name = hp_strings_intern(encoder->strings, thread->name);
        if (thread->name == NULL)
            return HP_NO_MEMORY;
        if (thread->root != HP_NO_NODE && thread->root >= profile->tree.count)
            return HP_BAD_VALUE;
        if (thread->root != HP_NO_NODE)
            thread->root = encoder->node_map[thread->root];
    }
    return HP_OK;
}

/* Rows and edges are data only where there is no tree that they follow from. */
static hp_status take_flat(hp_encoder *encoder, const hp_profile *profile) {
    uint32_t rows = profile->tree.count > 1 ? 0 : profile->row_count;
    uint32_t edges = profile->tree.count > 1 ? 0 : profile->edge_count;
    GROW(encoder->rows, encoder->row_capacity, rows);
    GROW(encoder->edges, encoder->edge_capacity, edges);
    for (uint32_t i = 0; i < rows; i++) {
        encoder->rows[i] = profile->rows[i];
        if (encoder->rows[i].function >= profile->function_count)
            return HP_BAD_VALUE;
        encoder->rows[i].function = encoder->function_map[encoder->rows[i].function];
    }
    for (uint32_t i = 0; i < edges; i++) {
        hp_edge *edge = &encoder->edges[i];
        *edge = profile->edges[i];
        if (edge->callee >= profile->function_count || (edge->caller != HP_NO_FUNCTION && edge->caller >= profile->function_count))
            return HP_BAD_VALUE;
        edge->callee = encoder->function_map[edge->callee];
        if (edge->caller != HP_NO_FUNCTION)
            edge->caller = encoder->function_map[edge->caller];
    }
    encoder->row_count = rows;
    encoder->edge_count = edges;
    return HP_OK;
}

static hp_status check_moments(const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->timeline.count; i++)
        if (profile->timeline.moments[i].node == 0 || profile->timeline.moments[i].node >= profile->tree.count)
            return HP_BAD_VALUE;
    return HP_OK;
}

hp_status hp_encoder_take(hp_encoder *encoder, const hp_profile *profile, hp_error *error) {
    hp_status status = take_functions(encoder, profile);
    if (status == HP_OK)
        status = take_nodes(encoder, profile);
    if (status == HP_OK)
        status = take_lines(encoder, profile);
    if (status == HP_OK)
        status = take_threads(encoder, profile);
    if (status == HP_OK)
        status = take_estimates(encoder, profile);
    if (status == HP_OK)
        status = take_flat(encoder, profile);
    if (status == HP_OK)
        status = check_moments(profile);
    encoder->taken = status == HP_OK ? profile : NULL;
    if (status == HP_NO_MEMORY)
        return hp_fail(error, status, 0, "not enough memory to write a profile of %u nodes", profile->tree.count);
    if (status == HP_BAD_VALUE)
        return hp_fail(error, status, 0, "the profile is inconsistent: it refers to a function, node or thread that it does not hold");
    return status;
}

static void remember_nodes(hp_encoder *encoder) {
    hp_record *record = &encoder->record;
    hp_tree *tree = &record->profile->tree;
    for (uint32_t id = 0; id < tree->count; id++) {
        const hp_node_values *now = &encoder->nodes[id];
        hp_node *node = &tree->nodes[id];
        node->samples = now->samples;
        node->sampled = now->sampled;
        node->calls = now->calls;
        node->exact = now->exact;
        node->overhead = now->overhead;
        node->flags = now->flags;
        if (now->present == hp_marks_has(&record->absent_nodes, id))
            hp_marks_toggle(&record->absent_nodes, id);
    }
    encoder->written_nodes = tree->count;
}

static void remember_functions(hp_encoder *encoder) {
    hp_record *record = &encoder->record;
    for (uint32_t id = 0; id < record->profile->function_count; id++)
        if ((encoder->functions[id] != 0) == hp_marks_has(&record->absent_functions, id))
            hp_marks_toggle(&record->absent_functions, id);
    encoder->written_functions = record->profile->function_count;
}

static void remember_warnings(hp_encoder *encoder) {
    hp_record *record = &encoder->record;
    const hp_meta *meta = &encoder->taken->meta;
    const char **warnings = hp_array_grow(record->warnings, &record->warning_capacity, meta->warning_count, sizeof *warnings);
    record->warning_count = 0;
    if (warnings == NULL)
        return;
    record->warnings = warnings;
    for (uint32_t i = 0; i < meta->warning_count; i++) {
        const char *copy = hp_strings_intern(record->profile->strings, meta->warnings[i]);
        if (copy == NULL)
            return;
        warnings[record->warning_count++] = copy;
    }
}

/* An old memory is harmless here too: they would be written once more. */
static void remember_sources(hp_encoder *encoder) {
    hp_profile *known = encoder->record.profile;
    known->source_count = 0;
    for (uint32_t i = 0; i < encoder->taken->source_count; i++)
        if (hp_profile_add_source(known, &encoder->taken->sources[i]) != HP_OK)
            return;
}

void hp_encoder_written(hp_encoder *encoder) {
    hp_record *record = &encoder->record;
    hp_facts_copy(record->profile, encoder->taken);
    remember_warnings(encoder);
    remember_sources(encoder);
    remember_functions(encoder);
    remember_nodes(encoder);
    if (record->line_count > 0)
        memcpy(record->lines, encoder->lines, record->line_count * sizeof *record->lines);
    for (uint32_t id = 0; id < record->estimate_count; id++) {
        hp_estimate *old = &record->estimates[id];
        uint32_t thread = old->thread, function = old->function;
        *old = encoder->estimates[id];
        old->thread = thread;
        old->function = function;
    }
    record->thread_count = encoder->taken->thread_count;
    if (record->thread_count > 0)
        memcpy(record->threads, encoder->threads, record->thread_count * sizeof *record->threads);
    record->row_count = encoder->row_count;
    record->edge_count = encoder->edge_count;
    encoder->has_timeline |= encoder->taken->timeline.kept || encoder->taken->timeline.count > 0;
    encoder->written_strings = hp_strings_count(encoder->strings);
    encoder->written_lines = record->line_count;
    encoder->written_estimates = record->estimate_count;
    encoder->taken = NULL;
}

/* A timeline refers to nodes, and nodes to functions; all else may have other ids. */
hp_status hp_encoder_number_as(hp_encoder *encoder, const hp_encoder *from) {
    const hp_profile *known = from->record.profile;
    for (uint32_t id = 0; id < known->function_count; id++)
        if (hp_profile_function(encoder->record.profile, &known->functions[id]) != id)
            return HP_NO_MEMORY;
    for (uint32_t id = 1; id < known->tree.count; id++)
        if (hp_tree_child(&encoder->record.profile->tree, known->tree.nodes[id].parent, known->tree.nodes[id].function) != id)
            return HP_NO_MEMORY;
    return HP_OK;
}
