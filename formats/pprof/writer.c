/* SPDX-License-Identifier: MIT */
/* A calling context is a sample for each line (and state) that it was sampled on, one for what was sampled on no known line, and one for
 * what was counted. SPEC.md says why.
 *
 * A sample's locations stand with the leaf first: the path of the node being visited lies at the end of one buffer and grows to the front,
 * so that a stack is the leaf and a copy of its parent's path. Stacks repeat their callers, and a deep tree may need far more bytes than it
 * has nodes: the size is added up first. No depth costs C stack. */
#include "formats/pprof/writer.h"

#include <stdlib.h>
#include <string.h>

#include "formats/pprof/facts.h"
#include "formats/pprof/gzip.h"
#include "formats/pprof/samples.h"
#include "formats/pprof/tables.h"
#include "formats/pprof/wire.h"
#include "formats/reading.h"

/* Bytes that a sample takes beside its stack, at most. */
enum { LABEL_LIMIT = 24, SAMPLE_LIMIT = (6 + VALUE_COUNT) * HP_VARINT_LIMIT + 3 * LABEL_LIMIT };

/* Before compression. Protocol buffers end at 2 GiB, and programs need some times as much memory. */
#define SIZE_LIMIT ((uint64_t)1 << 30)

typedef struct label {
    uint8_t bytes[LABEL_LIMIT];
    size_t size; /* 0: no label */
} label;

typedef struct export {
    const hp_tree *tree;
    hp_pprof_tables tables;
    hp_gzip gzip;
    uint64_t *path_size; /* by node */
    uint8_t *path_end;
    uint8_t *path;
    uint32_t *line_of;   /* by node: the first of its lines, UINT32_MAX if it has none */
    uint32_t *next_line; /* by line: the next of the same node */
    hp_pairs threads;    /* (root, 0) -> thread */
    label thread;        /* of the node being visited */
    label measured[HP_MIXED + 1];
    label states[HP_STATES];
} export;

static bool make_label(export *work, label *out, const char *key, const char *text) {
    uint32_t key_id = hp_pprof_string(&work->tables, key), text_id = hp_pprof_string(&work->tables, text);
    uint8_t inner[LABEL_LIMIT], *end = inner;
    *end++ = LABEL_KEY << 3 | HP_WIRE_VARINT;
    end = hp_varint_put(end, key_id);
    *end++ = LABEL_STRING << 3 | HP_WIRE_VARINT;
    end = hp_varint_put(end, text_id);
    out->bytes[0] = SAMPLE_LABEL << 3 | HP_WIRE_BYTES;
    out->bytes[1] = (uint8_t)(end - inner);
    memcpy(out->bytes + 2, inner, (size_t)(end - inner));
    out->size = 2 + (size_t)(end - inner);
    return key_id != HP_NO_STRING && text_id != HP_NO_STRING;
}

static hp_status make_labels(export *work) {
    static const char *const measured[] = {"sampled", "exact", HP_PPROF_MIXED};
    static const char *const states[] = HP_STATE_NAMES;
    bool whole = true;
    for (unsigned i = 0; i <= HP_MIXED; i++)
        whole &= make_label(work, &work->measured[i], HP_PPROF_MEASURED, measured[i]);
    for (unsigned i = HP_STATE_UNKNOWN + 1; i < HP_STATES; i++)
        whole &= make_label(work, &work->states[i], HP_PPROF_STATE, states[i]);
    return whole ? HP_OK : HP_NO_MEMORY;
}

static hp_status link_lines(export *work, const hp_profile *profile) {
    work->line_of = malloc(profile->tree.count * sizeof *work->line_of);
    work->next_line = malloc(((size_t)profile->line_count + 1) * sizeof *work->next_line);
    if (work->line_of == NULL || work->next_line == NULL)
        return HP_NO_MEMORY;
    memset(work->line_of, 0xff, profile->tree.count * sizeof *work->line_of);
    for (uint32_t i = profile->line_count; i-- > 0;) {
        uint32_t *first = &work->line_of[profile->lines[i].node];
        work->next_line[i] = *first;
        *first = i;
    }
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        uint32_t root = profile->threads[i].root;
        if (root != HP_NO_NODE && hp_pairs_put(&work->threads, root, 0, i) == HP_NO_PAIR)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

/* How many samples stand for a node, at most. */
static uint64_t samples_of(const export *work, uint32_t index) {
    const hp_node *node = &work->tree->nodes[index];
    const hp_line *lines = work->tables.profile->lines;
    uint64_t count = (node->calls | node->exact | node->overhead | node->flags) != 0 || node->first_child == HP_NO_NODE;
    uint64_t samples = node->samples, ns = node->sampled;
    for (uint32_t i = work->line_of[index]; i != UINT32_MAX; i = work->next_line[i]) {
        samples -= lines[i].samples;
        ns -= lines[i].sampled;
        count++;
    }
    return count + ((samples | ns) != 0);
}

/* Bytes of all samples, at most, and in `longest` those of the longest path: parents come before children, so one pass does it. */
static uint64_t measure(export *work, uint64_t *longest) {
    const hp_node *nodes = work->tree->nodes;
    uint64_t total = 0;
    work->path_size[0] = 0;
    for (uint32_t i = 1; i < work->tree->count; i++) {
        uint64_t size = work->path_size[nodes[i].parent] + hp_varint_size(hp_pprof_location(&work->tables, nodes[i].function, 0));
        work->path_size[i] = size;
        *longest = size > *longest ? size : *longest;
        total = hp_add_saturated(total, samples_of(work, i) * (size + SAMPLE_LIMIT));
    }
    return total;
}

static uint8_t *put_value_bytes(uint8_t *at, const uint64_t values[VALUE_COUNT]) {
    uint8_t *size = at++;
    uint8_t *first = at;
    for (unsigned i = 0; i < VALUE_COUNT; i++)
        at = hp_varint_put(at, values[i]);
    *size = (uint8_t)(at - first);
    return at;
}

static uint8_t *put_label(uint8_t *at, const label *one) {
    memcpy(at, one->bytes, one->size);
    return at + one->size;
}

static void write_sample(export *work, uint32_t index, uint32_t line, const uint64_t values[VALUE_COUNT], const label *measured,
                         const label *state) {
    const hp_node *node = &work->tree->nodes[index];
    uint8_t head[4 * HP_VARINT_LIMIT], tail[SAMPLE_LIMIT], *at = tail;
    size_t above = work->path_size[node->parent];
    uint64_t leaf = hp_pprof_location(&work->tables, node->function, line);
    uint64_t stack = hp_varint_size(leaf) + above;
    *at++ = SAMPLE_VALUE << 3 | HP_WIRE_BYTES;
    at = put_value_bytes(at, values);
    at = put_label(at, &work->thread);
    at = put_label(at, measured);
    at = put_label(at, state);
    uint8_t *end = head;
    *end++ = PROFILE_SAMPLE << 3 | HP_WIRE_BYTES;
    end = hp_varint_put(end, 1 + hp_varint_size(stack) + stack + (uint64_t)(at - tail));
    *end++ = SAMPLE_LOCATION << 3 | HP_WIRE_BYTES;
    end = hp_varint_put(end, stack);
    end = hp_varint_put(end, leaf);
    hp_gzip_write(&work->gzip, head, (size_t)(end - head));
    hp_gzip_write(&work->gzip, work->path_end - above, above);
    hp_gzip_write(&work->gzip, tail, (size_t)(at - tail));
}

static void write_sampled(export *work, uint32_t index, uint32_t line, uint64_t samples, uint64_t ns, hp_thread_state state) {
    uint64_t values[VALUE_COUNT] = {[VALUE_SAMPLES] = samples, [VALUE_SAMPLED] = ns, [VALUE_TIME] = ns};
    write_sample(work, index, line, values, &work->measured[HP_SAMPLED], &work->states[state]);
}

/* What is left of the node when its lines have been written. A node that holds nothing and has no children is written all the same: it is
 * there. */
static void write_rest(export *work, uint32_t index, uint64_t samples, uint64_t ns) {
    static const label none = {.size = 0};
    const hp_node *node = &work->tree->nodes[index];
    bool partial = (node->flags & HP_NODE_PARTIAL) != 0;
    bool counted = partial || (node->calls | node->exact | node->overhead) != 0;
    uint64_t values[VALUE_COUNT] = {
        [VALUE_CALLS] = node->calls, [VALUE_EXACT] = node->exact, [VALUE_OVERHEAD] = node->overhead, [VALUE_TIME] = node->exact};
    if ((samples | ns) != 0)
        write_sampled(work, index, 0, samples, ns, HP_STATE_UNKNOWN);
    if (counted)
        write_sample(work, index, 0, values, &work->measured[partial ? HP_MIXED : HP_EXACT], &none);
    else if (node->first_child == HP_NO_NODE && (node->samples | node->sampled) == 0)
        write_sample(work, index, 0, values, &none, &none);
}

/* A thread without a name has no label: pprof would take the empty text for the number 0. */
static bool enter_thread(export *work, uint32_t root) {
    uint32_t thread = hp_pairs_get(&work->threads, root, 0);
    const char *name = thread == HP_NO_PAIR ? "" : work->tables.profile->threads[thread].name;
    work->thread.size = 0;
    return name[0] == '\0' || make_label(work, &work->thread, HP_PPROF_THREAD, name);
}

static bool visit(export *work, uint32_t index) {
    const hp_node *node = &work->tree->nodes[index];
    const hp_profile *profile = work->tables.profile;
    uint64_t samples = node->samples, ns = node->sampled;
    if (node->parent == 0 && !enter_thread(work, index))
        return false;
    hp_varint_put(work->path_end - work->path_size[index], hp_pprof_location(&work->tables, node->function, 0));
    for (uint32_t i = work->line_of[index]; i != UINT32_MAX; i = work->next_line[i]) {
        const hp_line *line = &profile->lines[i];
        samples -= line->samples;
        ns -= line->sampled;
        write_sampled(work, index, line->line, line->samples, line->sampled, line->state);
    }
    write_rest(work, index, samples, ns);
    return true;
}

static hp_status write_samples(export *work) {
    const hp_node *nodes = work->tree->nodes;
    uint32_t at = nodes[0].first_child;
    while (at != HP_NO_NODE) {
        if (!visit(work, at))
            return HP_NO_MEMORY;
        if (nodes[at].first_child != HP_NO_NODE) {
            at = nodes[at].first_child;
            continue;
        }
        while (at != 0 && nodes[at].next_sibling == HP_NO_NODE)
            at = nodes[at].parent;
        at = at != 0 ? nodes[at].next_sibling : HP_NO_NODE;
    }
    return HP_OK;
}

static const char *time_name(const hp_profile *profile) {
    static const char *const names[] = HP_PPROF_CLOCK_NAMES;
    return names[profile->meta.clock];
}

static void write_type(export *work, uint32_t field, const char *type, const char *unit) {
    uint32_t type_id = hp_pprof_string(&work->tables, type), unit_id = hp_pprof_string(&work->tables, unit);
    work->tables.message.failed |= type_id == HP_NO_STRING || unit_id == HP_NO_STRING;
    hp_wire_number(&work->tables.message, VALUE_TYPE, type_id);
    hp_wire_number(&work->tables.message, VALUE_UNIT, unit_id);
    hp_pprof_field(&work->tables, &work->gzip, field);
}

static void write_types(export *work) {
    static const char *const names[] = HP_PPROF_VALUE_NAMES;
    for (unsigned i = 0; i < VALUE_TIME; i++)
        write_type(work, PROFILE_SAMPLE_TYPE, names[i], i <= VALUE_CALLS ? "count" : "nanoseconds");
    write_type(work, PROFILE_SAMPLE_TYPE, time_name(work->tables.profile), "nanoseconds");
}

static void write_number(export *work, uint32_t field, uint64_t value) {
    uint8_t bytes[2 * HP_VARINT_LIMIT];
    uint8_t *end = hp_varint_put(hp_varint_put(bytes, (uint64_t)field << 3 | HP_WIRE_VARINT), value);
    if (value != 0)
        hp_gzip_write(&work->gzip, bytes, (size_t)(end - bytes));
}

static bool write_comment(void *to, const char *text, size_t size) {
    export *work = to;
    uint32_t id = hp_strings_id(work->tables.strings, text, size);
    write_number(work, PROFILE_COMMENT, id);
    return id != HP_NO_STRING;
}

static bool write_fact(void *to, const char *text, size_t size) {
    export *work = to;
    hp_bytes_add(&work->tables.message, text, size);
    hp_pprof_field(&work->tables, &work->gzip, PROFILE_FACT);
    return true;
}

static hp_status write_head_and_tail(export *work) {
    const hp_meta *meta = &work->tables.profile->meta;
    write_number(work, PROFILE_TIME_NANOS, (uint64_t)meta->started_ns);
    write_number(work, PROFILE_DURATION_NANOS, meta->duration_ns <= INT64_MAX ? meta->duration_ns : INT64_MAX);
    if (meta->rate_hz > 0 && meta->rate_hz <= 1e9 && meta->rate_hz >= 1e-9) {
        write_type(work, PROFILE_PERIOD_TYPE, time_name(work->tables.profile), "nanoseconds");
        write_number(work, PROFILE_PERIOD, (uint64_t)(1e9 / meta->rate_hz + 0.5));
    }
    if (!hp_pprof_comments(work->tables.profile, write_comment, work) || !hp_pprof_facts(work->tables.profile, write_fact, work))
        return HP_NO_MEMORY;
    write_number(work, PROFILE_DEFAULT_TYPE, hp_pprof_string(&work->tables, time_name(work->tables.profile)));
    hp_pprof_write_strings(&work->tables, &work->gzip);
    return work->tables.message.failed ? HP_NO_MEMORY : HP_OK;
}

static hp_status write_all(export *work, hp_sink *sink) {
    hp_status status = hp_gzip_begin(&work->gzip, sink);
    if (status != HP_OK)
        return status;
    write_types(work);
    status = write_samples(work);
    if (status == HP_OK)
        status = hp_pprof_write_locations(&work->tables, &work->gzip);
    if (status == HP_OK)
        status = hp_pprof_write_functions(&work->tables, &work->gzip);
    if (status == HP_OK)
        status = write_head_and_tail(work);
    hp_gzip_end(&work->gzip);
    return status;
}

/* pprof adds up in 63 bits and says nothing where that is too few. */
static hp_status check_sums(const hp_tree *tree, hp_error *error) {
    uint64_t time = 0, calls = 0, samples = 0, overhead = 0;
    for (uint32_t i = 1; i < tree->count; i++) {
        const hp_node *node = &tree->nodes[i];
        time = hp_add_saturated(time, hp_add_saturated(node->sampled, node->exact));
        calls = hp_add_saturated(calls, node->calls);
        samples = hp_add_saturated(samples, node->samples);
        overhead = hp_add_saturated(overhead, node->overhead);
    }
    if (time < INT64_MAX && calls < INT64_MAX && samples < INT64_MAX && overhead < INT64_MAX)
        return HP_OK;
    return hp_fail(error, HP_UNSUPPORTED, 0,
                   "pprof adds up in 63 bits, and the times or counts of this profile make more: export it as hyprof or collapsed");
}

static hp_status prepare(export *work, const hp_profile *profile, hp_error *error) {
    uint64_t longest = 0;
    hp_status status = hp_pprof_tables_init(&work->tables, profile);
    if (status == HP_OK)
        status = make_labels(work);
    if (status == HP_OK)
        status = link_lines(work, profile);
    if (status != HP_OK)
        return status;
    work->path_size = malloc(profile->tree.count * sizeof *work->path_size);
    if (work->path_size == NULL)
        return HP_NO_MEMORY;
    if (measure(work, &longest) > SIZE_LIMIT)
        return hp_fail(error, HP_UNSUPPORTED, 0,
                       "as pprof this profile would take more than 1 GiB before compression, because its stacks are deep and each sample "
                       "repeats one: export it as callgrind or hyprof");
    work->path = malloc(longest + HP_VARINT_LIMIT);
    work->path_end = work->path == NULL ? NULL : work->path + longest;
    return work->path == NULL ? HP_NO_MEMORY : HP_OK;
}

hp_status hp_pprof_write(hp_sink *sink, const hp_profile *profile, hp_error *error) {
    export work = {.tree = &profile->tree};
    if (profile->tree.count <= 1 && profile->row_count != 0)
        return hp_fail(error, HP_UNSUPPORTED, 0,
                       "pprof needs whole stacks, and this profile has only functions and their callers (it was read from a pstats file): "
                       "export it as pstats or callgrind");
    hp_status status = check_sums(&profile->tree, error);
    if (status == HP_OK)
        status = prepare(&work, profile, error);
    if (status == HP_OK)
        status = write_all(&work, sink);
    if (status == HP_NO_MEMORY)
        hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to write a pprof file");
    if (status == HP_OK)
        status = hp_sink_flush(sink, error);
    hp_pprof_tables_fini(&work.tables);
    hp_pairs_fini(&work.threads);
    free(work.path_size);
    free(work.line_of);
    free(work.next_line);
    free(work.path);
    return status;
}
