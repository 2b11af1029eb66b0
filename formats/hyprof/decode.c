/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/decode.h"

#include "base/array.h"
#include "base/strings.h"
#include "formats/hyprof/cursor.h"
#include "formats/hyprof/decode_counts.h"
#include "formats/hyprof/facts.h"
#include "formats/hyprof/text.h"

hp_status hp_decode_no_memory(hp_error *error) {
    return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory for the profile in the file");
}

hp_status hp_decode_refuse(hp_error *error, const char *what, uint64_t value, const char *right, uint64_t limit) {
    return hp_fail(error, HP_BAD_FORMAT, 0, "%s %llu is out of range: %s %llu", what, (unsigned long long)value, right,
                   (unsigned long long)limit);
}

hp_status hp_decoder_init(hp_decoder *decoder) {
    *decoder = (hp_decoder){.mended_left = HP_MENDED_LIMIT};
    return hp_record_init(&decoder->record);
}

void hp_decoder_fini(hp_decoder *decoder) {
    hp_record_fini(&decoder->record);
    free(decoder->strings);
    free(decoder->functions);
    hp_rows_free(&decoder->rows);
    hp_inflater_fini(&decoder->inflater);
    *decoder = (hp_decoder){0};
}

hp_status hp_decode_first(const hp_decoder *decoder, const char *what, uint32_t count, hp_error *error) {
    if (decoder->rows.first != count)
        return hp_fail(error, HP_BAD_FORMAT, 0, "%s begin at %llu where %u are known", what, (unsigned long long)decoder->rows.first,
                       count);
    if (count > UINT32_MAX / 2 - decoder->rows.rows)
        return hp_decode_refuse(error, what, (uint64_t)count + decoder->rows.rows, "at most", UINT32_MAX / 2);
    return HP_OK;
}

static hp_status read_warnings(hp_decoder *decoder, const uint8_t *raw, const hp_chunk *chunk, hp_error *error) {
    hp_record *record = &decoder->record;
    hp_cursor cursor = {raw, raw + chunk->raw_size, false};
    uint32_t count = hp_cursor_array(&cursor);
    hp_status status = HP_OK;
    if (cursor.bad || count > chunk->size)
        return hp_fail(error, HP_BAD_FORMAT, 0, "the warnings are not a list");
    const char **warnings = hp_array_grow(record->warnings, &record->warning_capacity, count, sizeof *warnings);
    if (warnings == NULL)
        return hp_decode_no_memory(error);
    record->warnings = warnings;
    record->warning_count = 0;
    for (uint32_t i = 0; i < count && status == HP_OK; i++) {
        size_t size;
        uint32_t id;
        const uint8_t *bytes = hp_cursor_bytes(&cursor, &size);
        if (cursor.bad)
            return hp_fail(error, HP_BAD_FORMAT, 0, "warning %u is not a string", i);
        status = hp_text_read(record->profile->strings, bytes, size, &decoder->mended_left, &id, error);
        if (status == HP_OK)
            warnings[record->warning_count++] = hp_strings_text(record->profile->strings, id);
    }
    return status;
}

static hp_status read_source(hp_profile *profile, hp_cursor *cursor, size_t *mended_left, hp_error *error) {
    hp_profile one = {.strings = profile->strings};
    one.meta.python = one.meta.implementation = one.meta.platform = one.meta.program = one.meta.sampler_method = one.meta.tracer_hook =
        one.meta.tracing_spared = "";
    hp_status status = hp_facts_read_map(&one, cursor, mended_left, error);
    if (status == HP_OK && hp_profile_add_source(profile, &one.meta) != HP_OK)
        status = hp_decode_no_memory(error);
    return status;
}

/* [first, map, map ...]: first 0 begins anew. */
static hp_status read_sources(hp_decoder *decoder, const uint8_t *raw, const hp_chunk *chunk, hp_error *error) {
    hp_profile *profile = decoder->record.profile;
    hp_cursor cursor = {raw, raw + chunk->raw_size, false};
    hp_status status = HP_OK;
    uint32_t items = hp_cursor_array(&cursor);
    uint64_t first = hp_cursor_u64(&cursor);
    if (first == 0)
        profile->source_count = 0;
    if (cursor.bad || items == 0 || first != profile->source_count || items - 1 > chunk->size / HP_SOURCE_BYTES)
        return hp_fail(error, HP_BAD_FORMAT, 0, "a chunk of sources is not a list of maps of %d bytes or more that goes on at source %u",
                       HP_SOURCE_BYTES, profile->source_count);
    for (uint32_t i = 1; i < items && status == HP_OK; i++)
        status = read_source(profile, &cursor, &decoder->mended_left, error);
    return status;
}

/* [first, count, sizes, texts]: sizes as varints, texts one behind another. */
static hp_status read_strings(hp_decoder *decoder, const uint8_t *raw, const hp_chunk *chunk, hp_error *error) {
    static const hp_layout sizes_layout = {.width = 1};
    hp_cursor cursor = {raw, raw + chunk->raw_size, false};
    size_t left, unused;
    hp_status status = hp_rows_read(&decoder->rows, &sizes_layout, chunk, raw, error);
    if (status == HP_OK)
        status = hp_decode_first(decoder, "strings", decoder->string_count, error);
    if (status != HP_OK)
        return status;
    if (hp_cursor_array(&cursor) < 4)
        return hp_fail(error, HP_BAD_FORMAT, 0, "a chunk of strings holds no texts");
    hp_cursor_u64(&cursor);
    hp_cursor_u64(&cursor);
    hp_cursor_bytes(&cursor, &unused);
    const uint8_t *texts = hp_cursor_bytes(&cursor, &left);
    const char **strings =
        hp_array_grow(decoder->strings, &decoder->string_capacity, decoder->string_count + decoder->rows.rows, sizeof *strings);
    if (strings == NULL)
        return hp_decode_no_memory(error);
    decoder->strings = strings;
    for (uint32_t r = 0; r < decoder->rows.rows && status == HP_OK; r++) {
        uint64_t size = hp_decode_column(decoder, r, 0);
        uint32_t id;
        if (size > left)
            return hp_decode_refuse(error, "the size of a string", size, "bytes left:", left);
        status = hp_text_read(decoder->record.profile->strings, texts, (size_t)size, &decoder->mended_left, &id, error);
        if (status == HP_OK)
            strings[decoder->string_count++] = hp_strings_text(decoder->record.profile->strings, id);
        texts += size;
        left -= size;
    }
    return status;
}

static hp_status read_function(hp_decoder *decoder, uint32_t r, hp_error *error) {
    hp_profile *profile = decoder->record.profile;
    uint64_t kind = hp_decode_column(decoder, r, 0), line = hp_decode_column(decoder, r, 5);
    if (kind > HP_CODE_SYNTHETIC)
        return hp_decode_refuse(error, "the kind of a function", kind, "at most", HP_CODE_SYNTHETIC);
    if (line > UINT32_MAX)
        return hp_decode_refuse(error, "the first line of a function", line, "at most", UINT32_MAX);
    const char *texts[4];
    for (unsigned c = 0; c < 4; c++) {
        uint64_t string = hp_decode_column(decoder, r, c + 1);
        if (string >= decoder->string_count)
            return hp_decode_refuse(error, "string", string, "strings known:", decoder->string_count);
        texts[c] = decoder->strings[string];
    }
    hp_function function = {(hp_code_kind)kind, texts[0], texts[1], texts[2], texts[3], (uint32_t)line};
    uint32_t known = profile->function_count, id = hp_profile_function(profile, &function);
    if (id == HP_NO_FUNCTION)
        return hp_decode_no_memory(error);
    /* Every profile has function 0, so it may be met again, once. */
    if (id < known && (id > 0 || decoder->met_function_0))
        return hp_fail(error, HP_BAD_FORMAT, 0, "function %u is there twice", decoder->function_count);
    decoder->met_function_0 |= id == 0;
    decoder->functions[decoder->function_count++] = id;
    return HP_OK;
}

static hp_status read_functions(hp_decoder *decoder, hp_error *error) {
    hp_status status = hp_decode_first(decoder, "functions", decoder->function_count, error);
    if (status != HP_OK)
        return status;
    uint32_t *functions =
        hp_array_grow(decoder->functions, &decoder->function_capacity, decoder->function_count + decoder->rows.rows, sizeof *functions);
    if (functions == NULL)
        return hp_decode_no_memory(error);
    decoder->functions = functions;
    for (uint32_t r = 0; r < decoder->rows.rows && status == HP_OK; r++)
        status = read_function(decoder, r, error);
    return status;
}

static hp_status read_absent(hp_decoder *decoder, hp_marks *marks, const char *what, uint32_t count, const uint32_t *map, hp_error *error) {
    if (hp_marks_reserve(marks, count + 1) != HP_OK)
        return hp_decode_no_memory(error);
    for (uint32_t r = 0; r < decoder->rows.rows; r++) {
        uint64_t id = hp_decode_column(decoder, r, 0);
        if (id >= count)
            return hp_decode_refuse(error, what, id, "known:", count);
        hp_marks_toggle(marks, map == NULL ? (uint32_t)id : map[id]);
    }
    return HP_OK;
}

static hp_status add_node(hp_tree *tree, uint32_t parent, uint32_t function, hp_error *error) {
    uint32_t id = tree->count, got = hp_tree_find_or_add(tree, parent, function);
    bool same = tree->nodes[got].parent == parent && tree->nodes[got].function == function;
    if (got == id && same)
        return HP_OK;
    return got < id && tree->count == id && same ? hp_fail(error, HP_BAD_FORMAT, 0, "node %u is the same as node %u", id, got)
                                                 : hp_decode_no_memory(error);
}

static hp_status read_nodes(hp_decoder *decoder, hp_error *error) {
    hp_tree *tree = &decoder->record.profile->tree;
    hp_status status = hp_decode_first(decoder, "nodes", tree->count, error);
    if (status == HP_OK && decoder->parts_only && hp_tree_unindexed_reserve(tree, decoder->rows.rows) != HP_OK)
        status = hp_decode_no_memory(error);
    for (uint32_t r = 0; r < decoder->rows.rows && status == HP_OK; r++) {
        uint64_t parent = hp_decode_column(decoder, r, 0), function = hp_decode_column(decoder, r, 1);
        if (parent >= tree->count)
            return hp_decode_refuse(error, "the parent of a node", parent, "nodes known:", tree->count);
        if (function >= decoder->function_count)
            return hp_decode_refuse(error, "the function of a node", function, "functions known:", decoder->function_count);
        if (decoder->parts_only)
            hp_tree_unindexed_append(tree, (uint32_t)parent, decoder->functions[function]);
        else
            status = add_node(tree, (uint32_t)parent, decoder->functions[function], error);
    }
    return status;
}

static hp_status read_table(hp_decoder *decoder, uint16_t type, hp_error *error) {
    hp_record *record = &decoder->record;
    switch (type) {
    case HP_CHUNK_FUNCTIONS:
        return read_functions(decoder, error);
    case HP_CHUNK_FUNCTIONS_ABSENT:
        return read_absent(decoder, &record->absent_functions, "function", decoder->function_count, decoder->functions, error);
    case HP_CHUNK_NODES:
        return read_nodes(decoder, error);
    case HP_CHUNK_NODES_ABSENT:
        return read_absent(decoder, &record->absent_nodes, "node", record->profile->tree.count, NULL, error);
    case HP_CHUNK_SAMPLED:
        return hp_decode_sampled(decoder, error);
    case HP_CHUNK_EXACT:
        return hp_decode_exact(decoder, error);
    case HP_CHUNK_LINES:
        return hp_decode_lines(decoder, error);
    case HP_CHUNK_LINE_COUNTS:
        return hp_decode_line_counts(decoder, error);
    case HP_CHUNK_ESTIMATES:
        return hp_decode_estimates(decoder, error);
    case HP_CHUNK_ESTIMATE_COUNTS:
        return hp_decode_estimate_counts(decoder, error);
    case HP_CHUNK_ESTIMATE_VARIANCES:
        return hp_decode_estimate_variances(decoder, error);
    case HP_CHUNK_THREADS:
        return hp_decode_threads(decoder, error);
    case HP_CHUNK_MOMENTS:
        return hp_decode_moments(decoder, error);
    case HP_CHUNK_ROWS:
        return hp_decode_rows(decoder, error);
    default:
        return hp_decode_edges(decoder, error);
    }
}

static bool is_known(uint16_t type) {
    return type == HP_CHUNK_META || type == HP_CHUNK_COUNTERS || type == HP_CHUNK_WARNINGS || type == HP_CHUNK_STRINGS ||
           type == HP_CHUNK_SOURCES || hp_layout_of(type) != NULL;
}

hp_status hp_decoder_chunk(hp_decoder *decoder, const hp_chunk *chunk, hp_error *error) {
    const uint8_t *raw = NULL;
    const hp_layout *layout = hp_layout_of(chunk->type);
    if (!is_known(chunk->type) && (chunk->flags & HP_CHUNK_MUST_UNDERSTAND) == 0)
        return HP_OK;
    if (!is_known(chunk->type) || (chunk->flags & ~HP_CHUNK_FLAGS_KNOWN) != 0)
        return hp_fail(error, HP_UNSUPPORTED, 0,
                       "it holds data that must be understood and is not (chunk type %u, flags %u): read it with a newer hybridprof",
                       chunk->type, chunk->flags);
    hp_status status = hp_chunk_inflate(chunk, &decoder->inflater, &raw, error);
    if (status == HP_OK && layout != NULL)
        status = hp_rows_read(&decoder->rows, layout, chunk, raw, error);
    if (status != HP_OK)
        return status;
    if (layout != NULL)
        return read_table(decoder, chunk->type, error);
    if (chunk->type == HP_CHUNK_STRINGS)
        return read_strings(decoder, raw, chunk, error);
    if (chunk->type == HP_CHUNK_WARNINGS)
        return read_warnings(decoder, raw, chunk, error);
    if (chunk->type == HP_CHUNK_SOURCES)
        return read_sources(decoder, raw, chunk, error);
    return hp_facts_read(decoder->record.profile, raw, chunk->raw_size, &decoder->mended_left, error);
}
