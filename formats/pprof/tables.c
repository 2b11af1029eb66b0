/* SPDX-License-Identifier: MIT */
#include "formats/pprof/tables.h"

#include <stdlib.h>
#include <string.h>

#include "formats/pprof/wire.h"
#include "formats/text.h"

static hp_status collect_functions(hp_pprof_tables *tables) {
    const hp_profile *profile = tables->profile;
    tables->ids = calloc(profile->function_count, sizeof *tables->ids);
    if (tables->ids == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < profile->row_count; i++) /* sorted by function, one for each that occurs */
        tables->ids[profile->rows[i].function] = ++tables->function_count;
    return HP_OK;
}

static hp_status collect_lines(hp_pprof_tables *tables) {
    const hp_profile *profile = tables->profile;
    for (uint32_t i = 0; i < profile->line_count; i++) {
        const hp_line *line = &profile->lines[i];
        uint32_t function = profile->tree.nodes[line->node].function;
        if (line->line != 0 && hp_pairs_put(&tables->lines, function, line->line, tables->lines.count) == HP_NO_PAIR)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

hp_status hp_pprof_tables_init(hp_pprof_tables *tables, const hp_profile *profile) {
    *tables = (hp_pprof_tables){.profile = profile};
    tables->strings = hp_strings_new();
    if (tables->strings == NULL || hp_pprof_string(tables, "") != 0)
        return HP_NO_MEMORY;
    hp_status status = hp_labels_new(profile, &tables->labels);
    if (status == HP_OK)
        status = collect_functions(tables);
    if (status == HP_OK)
        status = collect_lines(tables);
    return status;
}

void hp_pprof_tables_fini(hp_pprof_tables *tables) {
    hp_labels_free(tables->labels);
    hp_strings_free(tables->strings);
    hp_pairs_fini(&tables->lines);
    hp_bytes_free(&tables->message);
    free(tables->ids);
}

uint32_t hp_pprof_string(hp_pprof_tables *tables, const char *text) {
    size_t size = strlen(text);
    if (hp_text_is_plain(text, size, 0))
        return hp_strings_id(tables->strings, text, size);
    char *escaped = malloc(hp_text_escaped_limit(size));
    if (escaped == NULL)
        return HP_NO_STRING;
    uint32_t id = hp_strings_id(tables->strings, escaped, hp_text_escape(escaped, text, size, 0));
    free(escaped);
    return id;
}

void hp_pprof_field(hp_pprof_tables *tables, hp_gzip *to, uint32_t field) {
    uint8_t head[2 * HP_VARINT_LIMIT];
    uint8_t *end = hp_varint_put(head, (uint64_t)field << 3 | HP_WIRE_BYTES);
    end = hp_varint_put(end, tables->message.size);
    hp_gzip_write(to, head, (size_t)(end - head));
    hp_gzip_write(to, tables->message.data, tables->message.size);
    tables->message.size = 0;
}

static void write_location(hp_pprof_tables *tables, hp_gzip *to, uint32_t id, uint32_t function, uint32_t line) {
    hp_bytes inner = {0};
    uint32_t told = line != 0 ? line : tables->profile->functions[function].first_line;
    hp_wire_number(&tables->message, LOCATION_ID, id);
    hp_wire_number(&inner, LINE_FUNCTION, tables->ids[function]);
    hp_wire_number(&inner, LINE_NUMBER, told);
    hp_wire_bytes(&tables->message, LOCATION_LINE, inner.data, inner.size);
    hp_wire_number(&tables->message, LOCATION_UNTOLD, line == 0 && told != 0);
    tables->message.failed |= inner.failed;
    hp_bytes_free(&inner);
    hp_pprof_field(tables, to, PROFILE_LOCATION);
}

/* Lines in the order in which hp_pprof_location numbers them. */
static hp_status write_line_locations(hp_pprof_tables *tables, hp_gzip *to) {
    const hp_profile *profile = tables->profile;
    uint32_t next = 0;
    for (uint32_t i = 0; i < profile->line_count; i++) {
        const hp_line *line = &profile->lines[i];
        uint32_t function = profile->tree.nodes[line->node].function;
        if (line->line == 0 || hp_pairs_get(&tables->lines, function, line->line) != next)
            continue;
        next++;
        write_location(tables, to, tables->function_count + next, function, line->line);
    }
    return tables->message.failed ? HP_NO_MEMORY : HP_OK;
}

hp_status hp_pprof_write_locations(hp_pprof_tables *tables, hp_gzip *to) {
    const hp_profile *profile = tables->profile;
    for (uint32_t i = 0; i < profile->row_count; i++)
        write_location(tables, to, i + 1, profile->rows[i].function, 0);
    return write_line_locations(tables, to);
}

static void own_text(hp_bytes *message, uint32_t field, const char *text) {
    if (text[0] != '\0')
        hp_wire_bytes(message, field, text, strlen(text));
}

/* The last part of a dotted name. */
static const char *last_part(const char *qualname) {
    const char *dot = strrchr(qualname, '.');
    return dot == NULL ? qualname : dot + 1;
}

/* No system name: equal to the name, pprof's demangler would strip `<...>` from both. */
static bool write_function(hp_pprof_tables *tables, hp_gzip *to, uint32_t id) {
    const hp_function *function = &tables->profile->functions[id];
    hp_bytes *message = &tables->message;
    uint32_t label = hp_pprof_string(tables, tables->labels[id]), file = hp_pprof_string(tables, function->file);
    if (label == HP_NO_STRING || file == HP_NO_STRING)
        return false;
    hp_wire_number(message, FUNCTION_ID, tables->ids[id]);
    hp_wire_number(message, FUNCTION_NAME, label);
    hp_wire_number(message, FUNCTION_FILE, file);
    hp_wire_number(message, FUNCTION_START_LINE, function->first_line);
    hp_wire_number(message, FUNCTION_KIND, (uint64_t)function->kind + 1);
    own_text(message, FUNCTION_MODULE, function->module);
    own_text(message, FUNCTION_QUALNAME, function->qualname);
    if (strcmp(function->name, last_part(function->qualname)) != 0)
        hp_wire_bytes(message, FUNCTION_OWN_NAME, function->name, strlen(function->name));
    if (!hp_text_is_plain(function->file, strlen(function->file), 0))
        own_text(message, FUNCTION_OWN_FILE, function->file);
    hp_pprof_field(tables, to, PROFILE_FUNCTION);
    return !message->failed;
}

hp_status hp_pprof_write_functions(hp_pprof_tables *tables, hp_gzip *to) {
    const hp_profile *profile = tables->profile;
    for (uint32_t i = 0; i < profile->row_count; i++) {
        if (!write_function(tables, to, profile->rows[i].function))
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

void hp_pprof_write_strings(hp_pprof_tables *tables, hp_gzip *to) {
    for (uint32_t i = 0; i < hp_strings_count(tables->strings); i++) {
        hp_bytes_add(&tables->message, hp_strings_text(tables->strings, i), hp_strings_size(tables->strings, i));
        hp_pprof_field(tables, to, PROFILE_STRING);
    }
}
