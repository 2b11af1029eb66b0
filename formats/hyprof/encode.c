/* SPDX-License-Identifier: MIT */
/* Second step of hp_encoder: what differs between the record and the profile that was taken, as chunks. */
#include "formats/hyprof/encode.h"

#include <msgpack.h>

#include "formats/hyprof/facts.h"
#include "formats/hyprof/moments.h"
#include "formats/hyprof/table.h"

/* Strings of one chunk together, unless a single one is longer: far below the limit on raw bytes, and enough to deflate well. */
enum { STRINGS_RAW_AIM = 1 << 20, SOURCES_AT_ONCE = 4096 };

static uint64_t string_id(const hp_encoder *encoder, const char *text) {
    return hp_strings_find(encoder->strings, text, strlen(text));
}

static bool warnings_differ(const hp_record *record, const hp_meta *meta) {
    if (record->warning_count != meta->warning_count)
        return true;
    for (uint32_t i = 0; i < meta->warning_count; i++)
        if (strcmp(record->warnings[i], meta->warnings[i]) != 0)
            return true;
    return false;
}

/* All of them, each time one is new: there are few. */
static void write_warnings(const hp_encoder *encoder, hp_group *group) {
    const hp_meta *meta = &encoder->taken->meta;
    hp_bytes raw = {0};
    msgpack_packer packer;
    if (!warnings_differ(&encoder->record, meta))
        return;
    msgpack_packer_init(&packer, &raw, hp_bytes_pack);
    msgpack_pack_array(&packer, meta->warning_count);
    for (uint32_t i = 0; i < meta->warning_count; i++) {
        msgpack_pack_bin(&packer, strlen(meta->warnings[i]));
        msgpack_pack_bin_body(&packer, meta->warnings[i], strlen(meta->warnings[i]));
    }
    group->failed |= raw.failed;
    if (!raw.failed)
        hp_group_chunk(group, HP_CHUNK_WARNINGS, raw.data, raw.size, meta->warning_count);
    hp_bytes_free(&raw);
}

static bool sources_differ(const hp_profile *known, const hp_profile *now) {
    bool differ = known->source_count != now->source_count;
    for (uint32_t i = 0; i < now->source_count && !differ; i++)
        differ = memcmp(known->sources[i].id, now->sources[i].id, sizeof now->sources[i].id) != 0;
    return differ;
}

static void write_source_chunk(hp_group *group, const hp_profile *now, uint32_t first, uint32_t count) {
    hp_bytes raw = {0};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &raw, hp_bytes_pack);
    msgpack_pack_array(&packer, count + 1u);
    msgpack_pack_uint32(&packer, first);
    for (uint32_t i = 0; i < count; i++)
        hp_facts_pack_meta(&packer, &now->sources[first + i]);
    group->failed |= raw.failed;
    if (!raw.failed)
        hp_group_chunk(group, HP_CHUNK_SOURCES, raw.data, raw.size, count * HP_SOURCE_BYTES);
    hp_bytes_free(&raw);
}

/* All of them, each time: they change only where profiles are merged, and then there is one group. */
static void write_sources(const hp_encoder *encoder, hp_group *group) {
    const hp_profile *now = encoder->taken;
    if (!sources_differ(encoder->record.profile, now))
        return;
    for (uint32_t first = 0; first < now->source_count || first == 0; first += SOURCES_AT_ONCE) {
        uint32_t left = now->source_count - first;
        write_source_chunk(group, now, first, left < SOURCES_AT_ONCE ? left : SOURCES_AT_ONCE);
    }
}

static void write_string_chunk(hp_group *group, uint32_t first, uint32_t count, hp_bytes *sizes, hp_bytes *texts) {
    hp_bytes raw = {0};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &raw, hp_bytes_pack);
    msgpack_pack_array(&packer, 4);
    msgpack_pack_uint32(&packer, first);
    msgpack_pack_uint32(&packer, count);
    msgpack_pack_bin(&packer, sizes->size);
    msgpack_pack_bin_body(&packer, sizes->data, sizes->size);
    msgpack_pack_bin(&packer, texts->size);
    msgpack_pack_bin_body(&packer, texts->data, texts->size);
    group->failed |= raw.failed || sizes->failed || texts->failed;
    if (!group->failed)
        hp_group_chunk(group, HP_CHUNK_STRINGS, raw.data, raw.size, count);
    hp_bytes_free(&raw);
    sizes->size = 0;
    texts->size = 0;
}

static void write_strings(const hp_encoder *encoder, hp_group *group) {
    hp_bytes sizes = {0}, texts = {0};
    uint32_t first = encoder->written_strings, count = hp_strings_count(encoder->strings);
    for (uint32_t id = first; id < count; id++) {
        size_t size = hp_strings_size(encoder->strings, id);
        hp_bytes_varint(&sizes, hp_zigzag(size));
        hp_bytes_add(&texts, hp_strings_text(encoder->strings, id), size);
        if (texts.size < STRINGS_RAW_AIM && id + 1 - first < HP_CHUNK_ROWS_LIMIT && id + 1 < count)
            continue;
        write_string_chunk(group, first, id + 1 - first, &sizes, &texts);
        first = id + 1;
    }
    hp_bytes_free(&sizes);
    hp_bytes_free(&texts);
}

static void write_functions(const hp_encoder *encoder, hp_group *group) {
    const hp_profile *known = encoder->record.profile;
    hp_table table, absent;
    hp_table_begin(&table, group, HP_CHUNK_FUNCTIONS, encoder->written_functions);
    for (uint32_t id = encoder->written_functions; id < known->function_count; id++) {
        const hp_function *f = &known->functions[id];
        hp_table_row(&table, (uint64_t[]){(uint64_t)f->kind, string_id(encoder, f->module), string_id(encoder, f->qualname),
                                          string_id(encoder, f->name), string_id(encoder, f->file), f->first_line});
    }
    hp_table_end(&table, false);
    hp_table_begin(&absent, group, HP_CHUNK_FUNCTIONS_ABSENT, 0);
    for (uint32_t id = 0; id < known->function_count; id++)
        if ((encoder->functions[id] != 0) == hp_marks_has(&encoder->record.absent_functions, id))
            hp_table_row(&absent, (uint64_t[]){id});
    hp_table_end(&absent, false);
}

static void write_nodes(const hp_encoder *encoder, hp_group *group) {
    const hp_tree *known = &encoder->record.profile->tree;
    hp_table table, absent;
    hp_table_begin(&table, group, HP_CHUNK_NODES, encoder->written_nodes);
    for (uint32_t id = encoder->written_nodes; id < known->count; id++)
        hp_table_row(&table, (uint64_t[]){known->nodes[id].parent, known->nodes[id].function});
    hp_table_end(&table, false);
    hp_table_begin(&absent, group, HP_CHUNK_NODES_ABSENT, 0);
    for (uint32_t id = 0; id < known->count; id++)
        if (encoder->nodes[id].present == hp_marks_has(&encoder->record.absent_nodes, id))
            hp_table_row(&absent, (uint64_t[]){id});
    hp_table_end(&absent, false);
}

static void write_sampled(const hp_encoder *encoder, hp_group *group) {
    const hp_tree *known = &encoder->record.profile->tree;
    hp_table table;
    hp_table_begin(&table, group, HP_CHUNK_SAMPLED, 0);
    for (uint32_t id = 0; id < known->count; id++) {
        const hp_node *old = &known->nodes[id];
        const hp_node_values *now = &encoder->nodes[id];
        if (now->samples != old->samples || now->sampled != old->sampled)
            hp_table_row(&table, (uint64_t[]){id, now->samples - old->samples, now->sampled - old->sampled});
    }
    hp_table_end(&table, false);
}

static void write_exact(const hp_encoder *encoder, hp_group *group) {
    const hp_tree *known = &encoder->record.profile->tree;
    hp_table table;
    hp_table_begin(&table, group, HP_CHUNK_EXACT, 0);
    for (uint32_t id = 0; id < known->count; id++) {
        const hp_node *old = &known->nodes[id];
        const hp_node_values *now = &encoder->nodes[id];
        if (now->calls != old->calls || now->exact != old->exact || now->overhead != old->overhead || now->flags != old->flags)
            hp_table_row(&table,
                         (uint64_t[]){id, now->calls - old->calls, now->exact - old->exact, now->overhead - old->overhead, now->flags});
    }
    hp_table_end(&table, false);
}

static void write_lines(const hp_encoder *encoder, hp_group *group) {
    const hp_record *record = &encoder->record;
    hp_table keys, counts;
    hp_table_begin(&keys, group, HP_CHUNK_LINES, encoder->written_lines);
    for (uint32_t id = encoder->written_lines; id < record->line_count; id++)
        hp_table_row(&keys, (uint64_t[]){record->lines[id].node, record->lines[id].line, record->lines[id].state});
    hp_table_end(&keys, false);
    hp_table_begin(&counts, group, HP_CHUNK_LINE_COUNTS, 0);
    for (uint32_t id = 0; id < record->line_count; id++) {
        const hp_line *old = &record->lines[id], *now = &encoder->lines[id];
        if (now->samples != old->samples || now->sampled != old->sampled)
            hp_table_row(&counts, (uint64_t[]){id, now->samples - old->samples, now->sampled - old->sampled});
    }
    hp_table_end(&counts, false);
}

static void write_estimates(const hp_encoder *encoder, hp_group *group) {
    const hp_record *record = &encoder->record;
    hp_table keys, counts;
    hp_table_begin(&keys, group, HP_CHUNK_ESTIMATES, encoder->written_estimates);
    for (uint32_t id = encoder->written_estimates; id < record->estimate_count; id++)
        hp_table_row(&keys, (uint64_t[]){record->estimates[id].thread, record->estimates[id].function});
    hp_table_end(&keys, false);
    hp_table_begin(&counts, group, HP_CHUNK_ESTIMATE_COUNTS, 0);
    for (uint32_t id = 0; id < record->estimate_count; id++) {
        const hp_estimate *old = &record->estimates[id], *now = &encoder->estimates[id];
        const uint64_t row[] = {id, now->self_samples - old->self_samples, now->self_runs - old->self_runs,
                                now->total_samples - old->total_samples, now->total_runs - old->total_runs};
        if ((row[1] | row[2] | row[3] | row[4]) != 0)
            hp_table_row(&counts, row);
    }
    hp_table_end(&counts, false);
}

static void write_variances(const hp_encoder *encoder, hp_group *group) {
    const hp_record *record = &encoder->record;
    hp_table table;
    hp_table_begin(&table, group, HP_CHUNK_ESTIMATE_VARIANCES, 0);
    for (uint32_t id = 0; id < record->estimate_count; id++) {
        const hp_estimate *old = &record->estimates[id], *now = &encoder->estimates[id];
        const uint64_t row[] = {id, now->self_variance_us2 - old->self_variance_us2, now->total_variance_us2 - old->total_variance_us2};
        if ((row[1] | row[2]) != 0)
            hp_table_row(&table, row);
    }
    hp_table_end(&table, false);
}

static bool threads_differ(const hp_profile_thread *a, const hp_profile_thread *b) {
    return strcmp(a->name, b->name) != 0 || a->root != b->root || a->native_id != b->native_id || a->samples != b->samples ||
           a->traced_samples != b->traced_samples || a->measured_ns != b->measured_ns || a->sampled_ns != b->sampled_ns ||
           a->exact_ns != b->exact_ns || a->overhead_ns != b->overhead_ns || a->unresolved_ns != b->unresolved_ns;
}

/* Rows replace: values, not differences. In place of a first id stands the number of threads, so that fewer than before can be said too. */
static void write_threads(const hp_encoder *encoder, hp_group *group) {
    const hp_record *record = &encoder->record;
    uint32_t count = encoder->taken->thread_count;
    hp_table table;
    hp_table_begin(&table, group, HP_CHUNK_THREADS, count);
    for (uint32_t i = 0; i < count; i++) {
        const hp_profile_thread *t = &encoder->threads[i];
        if (i < record->thread_count && !threads_differ(t, &record->threads[i]))
            continue;
        hp_table_row(&table, (uint64_t[]){i, string_id(encoder, t->name), t->root == HP_NO_NODE ? 0 : t->root + UINT64_C(1), t->native_id,
                                          t->samples, t->traced_samples, t->measured_ns, t->sampled_ns, t->exact_ns, t->overhead_ns,
                                          t->unresolved_ns});
    }
    hp_table_end(&table, count < record->thread_count);
}

static void write_rows(const hp_encoder *encoder, hp_group *group) {
    hp_table table;
    hp_table_begin(&table, group, HP_CHUNK_ROWS, 0);
    for (uint32_t i = 0; i < encoder->row_count; i++) {
        const hp_row *r = &encoder->rows[i];
        hp_table_row(&table, (uint64_t[]){r->function, (uint64_t)r->measured, r->samples, r->calls, r->primitive_calls, r->self_sampled,
                                          r->self_exact, r->total_sampled, r->total_exact, r->self_error_ns, r->total_error_ns});
    }
    hp_table_end(&table, encoder->row_count == 0 && encoder->record.row_count > 0);
}

static void write_edges(const hp_encoder *encoder, hp_group *group) {
    hp_table table;
    hp_table_begin(&table, group, HP_CHUNK_EDGES, 0);
    for (uint32_t i = 0; i < encoder->edge_count; i++) {
        const hp_edge *e = &encoder->edges[i];
        uint64_t caller = e->caller == HP_NO_FUNCTION ? 0 : e->caller + UINT64_C(1);
        hp_table_row(&table, (uint64_t[]){caller, e->callee, (uint64_t)e->measured, e->calls, e->primitive_calls, e->self_sampled,
                                          e->self_exact, e->total_sampled, e->total_exact});
    }
    hp_table_end(&table, encoder->edge_count == 0 && encoder->record.edge_count > 0);
}

static void write_moments(const hp_encoder *encoder, hp_group *group) {
    const hp_timeline *line = &encoder->taken->timeline;
    hp_moment_writer writer;
    if (encoder->moments_elsewhere)
        return;
    hp_moment_writer_begin(&writer, group);
    for (uint32_t i = 0; i < line->count; i++)
        hp_moment_writer_put(&writer, &line->moments[i], encoder->node_map[line->moments[i].node]);
    hp_moment_writer_end(&writer, line->kept && !encoder->has_timeline && line->count == 0);
}

void hp_encoder_write(const hp_encoder *encoder, hp_group *group) {
    hp_encoder_write_open(encoder, group);
    hp_group_commit(group);
}

void hp_encoder_write_open(const hp_encoder *encoder, hp_group *group) {
    hp_facts_write(group, encoder->record.profile, encoder->taken);
    write_warnings(encoder, group);
    write_sources(encoder, group);
    write_strings(encoder, group);
    write_functions(encoder, group);
    write_nodes(encoder, group);
    write_sampled(encoder, group);
    write_exact(encoder, group);
    write_lines(encoder, group);
    write_estimates(encoder, group);
    write_variances(encoder, group);
    write_threads(encoder, group);
    write_rows(encoder, group);
    write_edges(encoder, group);
    write_moments(encoder, group);
}
