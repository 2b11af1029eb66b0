/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/decode_counts.h"

#include "base/array.h"
#include "formats/hyprof/moments.h"

hp_status hp_decode_sampled(hp_decoder *decoder, hp_error *error) {
    hp_tree *tree = &decoder->record.profile->tree;
    for (uint32_t r = 0; r < decoder->rows.rows; r++) {
        uint64_t id = hp_decode_column(decoder, r, 0);
        if (id >= tree->count)
            return hp_decode_refuse(error, "node", id, "nodes known:", tree->count);
        tree->nodes[id].samples += hp_decode_column(decoder, r, 1);
        tree->nodes[id].sampled += hp_decode_column(decoder, r, 2);
    }
    return HP_OK;
}

hp_status hp_decode_exact(hp_decoder *decoder, hp_error *error) {
    hp_tree *tree = &decoder->record.profile->tree;
    for (uint32_t r = 0; r < decoder->rows.rows; r++) {
        uint64_t id = hp_decode_column(decoder, r, 0), flags = hp_decode_column(decoder, r, 4);
        if (id >= tree->count)
            return hp_decode_refuse(error, "node", id, "nodes known:", tree->count);
        if (flags > UINT32_MAX)
            return hp_decode_refuse(error, "the flags of a node", flags, "at most", UINT32_MAX);
        tree->nodes[id].calls += hp_decode_column(decoder, r, 1);
        tree->nodes[id].exact += hp_decode_column(decoder, r, 2);
        tree->nodes[id].overhead += hp_decode_column(decoder, r, 3);
        tree->nodes[id].flags = (uint32_t)flags;
    }
    return HP_OK;
}

hp_status hp_decode_lines(hp_decoder *decoder, hp_error *error) {
    hp_record *record = &decoder->record;
    hp_status status = hp_decode_first(decoder, "lines", record->line_count, error);
    if (status != HP_OK)
        return status;
    hp_line *lines = hp_array_grow(record->lines, &record->line_capacity, record->line_count + decoder->rows.rows, sizeof *lines);
    if (lines == NULL)
        return hp_decode_no_memory(error);
    record->lines = lines;
    for (uint32_t r = 0; r < decoder->rows.rows; r++) {
        uint64_t node = hp_decode_column(decoder, r, 0), line = hp_decode_column(decoder, r, 1), state = hp_decode_column(decoder, r, 2);
        if (node >= record->profile->tree.count)
            return hp_decode_refuse(error, "node", node, "nodes known:", record->profile->tree.count);
        if (line >= HP_LINE_LIMIT)
            return hp_decode_refuse(error, "line", line, "at most", HP_LINE_LIMIT - 1);
        if (state >= HP_STATES)
            state = HP_STATE_UNKNOWN; /* a later version may know more of them */
        lines[record->line_count++] = (hp_line){.node = (uint32_t)node, .line = (uint32_t)line, .state = (hp_thread_state)state};
    }
    return HP_OK;
}

hp_status hp_decode_line_counts(hp_decoder *decoder, hp_error *error) {
    hp_record *record = &decoder->record;
    for (uint32_t r = 0; r < decoder->rows.rows; r++) {
        uint64_t id = hp_decode_column(decoder, r, 0);
        if (id >= record->line_count)
            return hp_decode_refuse(error, "line row", id, "known:", record->line_count);
        record->lines[id].samples += hp_decode_column(decoder, r, 1);
        record->lines[id].sampled += hp_decode_column(decoder, r, 2);
    }
    return HP_OK;
}

hp_status hp_decode_estimates(hp_decoder *decoder, hp_error *error) {
    hp_record *record = &decoder->record;
    hp_status status = hp_decode_first(decoder, "estimates", record->estimate_count, error);
    if (status != HP_OK)
        return status;
    hp_estimate *estimates =
        hp_array_grow(record->estimates, &record->estimate_capacity, record->estimate_count + decoder->rows.rows, sizeof *estimates);
    if (estimates == NULL)
        return hp_decode_no_memory(error);
    record->estimates = estimates;
    for (uint32_t r = 0; r < decoder->rows.rows; r++) {
        uint64_t thread = hp_decode_column(decoder, r, 0), function = hp_decode_column(decoder, r, 1);
        if (function >= decoder->function_count)
            return hp_decode_refuse(error, "the function of an estimate", function, "functions known:", decoder->function_count);
        if (thread > UINT32_MAX)
            return hp_decode_refuse(error, "the thread of an estimate", thread, "at most", UINT32_MAX);
        estimates[record->estimate_count++] = (hp_estimate){.thread = (uint32_t)thread, .function = decoder->functions[function]};
    }
    return HP_OK;
}

hp_status hp_decode_estimate_counts(hp_decoder *decoder, hp_error *error) {
    hp_record *record = &decoder->record;
    for (uint32_t r = 0; r < decoder->rows.rows; r++) {
        uint64_t id = hp_decode_column(decoder, r, 0);
        if (id >= record->estimate_count)
            return hp_decode_refuse(error, "estimate row", id, "known:", record->estimate_count);
        hp_estimate *one = &record->estimates[id];
        one->self_samples += hp_decode_column(decoder, r, 1);
        one->self_runs += hp_decode_column(decoder, r, 2);
        one->total_samples += hp_decode_column(decoder, r, 3);
        one->total_runs += hp_decode_column(decoder, r, 4);
    }
    return HP_OK;
}

hp_status hp_decode_estimate_variances(hp_decoder *decoder, hp_error *error) {
    hp_record *record = &decoder->record;
    for (uint32_t r = 0; r < decoder->rows.rows; r++) {
        uint64_t id = hp_decode_column(decoder, r, 0);
        if (id >= record->estimate_count)
            return hp_decode_refuse(error, "estimate row", id, "known:", record->estimate_count);
        record->estimates[id].self_variance_us2 += hp_decode_column(decoder, r, 1);
        record->estimates[id].total_variance_us2 += hp_decode_column(decoder, r, 2);
    }
    return HP_OK;
}

static hp_status read_thread(hp_decoder *decoder, uint32_t r, hp_error *error) {
    hp_record *record = &decoder->record;
    uint64_t index = hp_decode_column(decoder, r, 0), name = hp_decode_column(decoder, r, 1), root = hp_decode_column(decoder, r, 2);
    if (index > record->thread_count || index >= decoder->rows.first)
        return hp_decode_refuse(error, "thread", index, "threads known:", record->thread_count);
    if (name >= decoder->string_count)
        return hp_decode_refuse(error, "the name of a thread: string", name, "strings known:", decoder->string_count);
    if (root > record->profile->tree.count)
        return hp_decode_refuse(error, "the root of a thread", root, "at most", record->profile->tree.count);
    hp_profile_thread *threads = hp_array_grow(record->threads, &record->thread_capacity, (uint32_t)index + 1, sizeof *threads);
    if (threads == NULL)
        return hp_decode_no_memory(error);
    record->threads = threads;
    record->thread_count += index == record->thread_count;
    threads[index] = (hp_profile_thread){.name = decoder->strings[name],
                                         .native_id = hp_decode_column(decoder, r, 3),
                                         .root = root == 0 ? HP_NO_NODE : (uint32_t)(root - 1),
                                         .samples = hp_decode_column(decoder, r, 4),
                                         .traced_samples = hp_decode_column(decoder, r, 5),
                                         .measured_ns = hp_decode_column(decoder, r, 6),
                                         .sampled_ns = hp_decode_column(decoder, r, 7),
                                         .exact_ns = hp_decode_column(decoder, r, 8),
                                         .overhead_ns = hp_decode_column(decoder, r, 9),
                                         .unresolved_ns = hp_decode_column(decoder, r, 10)};
    return HP_OK;
}

hp_status hp_decode_threads(hp_decoder *decoder, hp_error *error) {
    hp_status status = HP_OK;
    if (decoder->rows.first < decoder->record.thread_count)
        decoder->record.thread_count = (uint32_t)decoder->rows.first;
    for (uint32_t r = 0; r < decoder->rows.rows && status == HP_OK; r++)
        status = read_thread(decoder, r, error);
    return status;
}

static hp_status check_measured(uint64_t measured, hp_error *error) {
    return measured > HP_MIXED ? hp_decode_refuse(error, "the kind of a measurement", measured, "at most", HP_MIXED) : HP_OK;
}

hp_status hp_decode_rows(hp_decoder *decoder, hp_error *error) {
    hp_record *record = &decoder->record;
    record->row_count = decoder->rows.first == 0 ? 0 : record->row_count;
    hp_status status = hp_decode_first(decoder, "rows", record->row_count, error);
    if (status != HP_OK)
        return status;
    hp_row *rows = hp_array_grow(record->rows, &record->row_capacity, record->row_count + decoder->rows.rows, sizeof *rows);
    if (rows == NULL)
        return hp_decode_no_memory(error);
    record->rows = rows;
    for (uint32_t r = 0; r < decoder->rows.rows && status == HP_OK; r++) {
        uint64_t function = hp_decode_column(decoder, r, 0);
        if (function >= decoder->function_count)
            return hp_decode_refuse(error, "the function of a row", function, "functions known:", decoder->function_count);
        status = check_measured(hp_decode_column(decoder, r, 1), error);
        rows[record->row_count++] = (hp_row){decoder->functions[function],    (hp_measured)hp_decode_column(decoder, r, 1),
                                             hp_decode_column(decoder, r, 2), hp_decode_column(decoder, r, 3),
                                             hp_decode_column(decoder, r, 4), hp_decode_column(decoder, r, 5),
                                             hp_decode_column(decoder, r, 6), hp_decode_column(decoder, r, 7),
                                             hp_decode_column(decoder, r, 8), hp_decode_column(decoder, r, 9),
                                             hp_decode_column(decoder, r, 10)};
    }
    return status;
}

hp_status hp_decode_edges(hp_decoder *decoder, hp_error *error) {
    hp_record *record = &decoder->record;
    uint32_t functions = decoder->function_count;
    record->edge_count = decoder->rows.first == 0 ? 0 : record->edge_count;
    hp_status status = hp_decode_first(decoder, "edges", record->edge_count, error);
    if (status != HP_OK)
        return status;
    hp_edge *edges = hp_array_grow(record->edges, &record->edge_capacity, record->edge_count + decoder->rows.rows, sizeof *edges);
    if (edges == NULL)
        return hp_decode_no_memory(error);
    record->edges = edges;
    for (uint32_t r = 0; r < decoder->rows.rows && status == HP_OK; r++) {
        uint64_t caller = hp_decode_column(decoder, r, 0), callee = hp_decode_column(decoder, r, 1);
        if (caller > functions || callee >= functions)
            return hp_decode_refuse(error, "the function of an edge", caller > functions ? caller - 1 : callee,
                                    "functions known:", functions);
        status = check_measured(hp_decode_column(decoder, r, 2), error);
        edges[record->edge_count++] = (hp_edge){caller == 0 ? HP_NO_FUNCTION : decoder->functions[caller - 1],
                                                decoder->functions[callee],
                                                (hp_measured)hp_decode_column(decoder, r, 2),
                                                hp_decode_column(decoder, r, 3),
                                                hp_decode_column(decoder, r, 4),
                                                hp_decode_column(decoder, r, 5),
                                                hp_decode_column(decoder, r, 6),
                                                hp_decode_column(decoder, r, 7),
                                                hp_decode_column(decoder, r, 8)};
    }
    return status;
}

/* Who merges has no use for it but that there is one. */
hp_status hp_decode_moments(hp_decoder *decoder, hp_error *error) {
    hp_timeline *line = &decoder->record.profile->timeline;
    hp_moment_place place;
    hp_moment moment;
    hp_status status = HP_OK;
    line->kept = true;
    if (decoder->parts_only)
        return HP_OK;
    if (hp_timeline_reserve(line, decoder->rows.rows) != HP_OK)
        return hp_decode_no_memory(error);
    for (uint32_t r = 0; r < decoder->rows.rows && status == HP_OK; r++) {
        status = hp_moment_read(&place, &decoder->rows, r, &moment, error);
        if (status == HP_OK && (moment.node == 0 || moment.node >= decoder->record.profile->tree.count))
            return hp_decode_refuse(error, "the node of a sample", moment.node, "nodes known:", decoder->record.profile->tree.count);
        if (status == HP_OK)
            hp_timeline_append(line, moment);
    }
    return status;
}
