/* SPDX-License-Identifier: MIT */
/* The tables that all threads have in common, column by column. Strings are, in this order: labels of functions, files, packages; so a
 * function's place is that of its name. */
#include "formats/gecko/writer.h"

enum { RESOURCE_LIBRARY = 1 };

static void put_null(hp_gecko_writer *w, uint32_t i) {
    (void)i;
    hp_json_raw(&w->json, "null", 4);
}

static void put_false(hp_gecko_writer *w, uint32_t i) {
    (void)i;
    hp_json_raw(&w->json, "false", 5);
}

static void put_zero(hp_gecko_writer *w, uint32_t i) {
    (void)i;
    hp_json_raw(&w->json, "0", 1);
}

static void put_none(hp_gecko_writer *w, uint32_t i) {
    (void)i;
    hp_json_raw(&w->json, "-1", 2);
}

static void put_itself(hp_gecko_writer *w, uint32_t i) {
    hp_json_u64(&w->json, i);
}

static void put_or_null(hp_gecko_writer *w, uint32_t value, uint32_t absent) {
    if (value != absent)
        hp_json_u64(&w->json, value);
    else
        hp_json_raw(&w->json, "null", 4);
}

static void put_stack_frame(hp_gecko_writer *w, uint32_t i) {
    hp_json_u64(&w->json, w->tables.stacks[i].frame);
}

static void put_stack_prefix(hp_gecko_writer *w, uint32_t i) {
    put_or_null(w, w->tables.stacks[i].prefix, HP_GECKO_NONE);
}

static void put_frame_function(hp_gecko_writer *w, uint32_t i) {
    hp_json_u64(&w->json, w->places[w->tables.frames[i].function]);
}

static void put_frame_line(hp_gecko_writer *w, uint32_t i) {
    put_or_null(w, w->tables.frames[i].line, 0);
}

/* What has no time of its own is of no category: the reader gives it that of its caller. */
static void put_frame_category(hp_gecko_writer *w, uint32_t i) {
    put_or_null(w, w->tables.frames[i].category, HP_GECKO_OTHER);
}

static void put_frame_subcategory(hp_gecko_writer *w, uint32_t i) {
    put_or_null(w, w->tables.frames[i].category == HP_GECKO_OTHER ? HP_GECKO_NONE : 0, HP_GECKO_NONE);
}

static const hp_function *function_at(const hp_gecko_writer *w, uint32_t i) {
    return &w->profile->functions[w->functions[i]];
}

static void put_function_resource(hp_gecko_writer *w, uint32_t i) {
    const hp_function *f = function_at(w, i);
    uint32_t place = hp_strings_find(w->packages, f->module, hp_gecko_package(f));
    if (place != HP_NO_STRING)
        hp_json_u64(&w->json, place);
    else
        put_none(w, i);
}

static void put_function_source(hp_gecko_writer *w, uint32_t i) {
    const char *file = function_at(w, i)->file;
    put_or_null(w, hp_strings_find(w->files, file, strlen(file)), HP_NO_STRING);
}

static void put_function_line(hp_gecko_writer *w, uint32_t i) {
    put_or_null(w, function_at(w, i)->first_line, 0);
}

static void put_file_name(hp_gecko_writer *w, uint32_t i) {
    hp_json_u64(&w->json, w->function_count + i);
}

static void put_package_name(hp_gecko_writer *w, uint32_t i) {
    hp_json_u64(&w->json, w->function_count + hp_strings_count(w->files) + i);
}

static void put_library_type(hp_gecko_writer *w, uint32_t i) {
    (void)i;
    hp_json_u64(&w->json, RESOURCE_LIBRARY);
}

static void put_stacks(hp_gecko_writer *w) {
    uint32_t count = w->tables.stack_count;
    hp_gecko_begin_table(w, "stackTable", count);
    hp_gecko_put_column(w, "frame", count, put_stack_frame);
    hp_gecko_put_column(w, "prefix", count, put_stack_prefix);
    hp_json_close(&w->json, '}');
}

static void put_frames(hp_gecko_writer *w) {
    uint32_t count = w->tables.frame_count;
    hp_gecko_begin_table(w, "frameTable", count);
    hp_gecko_put_column(w, "func", count, put_frame_function);
    hp_gecko_put_column(w, "line", count, put_frame_line);
    hp_gecko_put_column(w, "category", count, put_frame_category);
    hp_gecko_put_column(w, "subcategory", count, put_frame_subcategory);
    hp_gecko_put_column(w, "column", count, put_null);
    hp_gecko_put_column(w, "address", count, put_none);
    hp_gecko_put_column(w, "inlineDepth", count, put_zero);
    hp_gecko_put_column(w, "nativeSymbol", count, put_null);
    hp_gecko_put_column(w, "innerWindowID", count, put_null);
    hp_json_close(&w->json, '}');
}

static void put_functions(hp_gecko_writer *w) {
    uint32_t count = w->function_count;
    hp_gecko_begin_table(w, "funcTable", count);
    hp_gecko_put_column(w, "name", count, put_itself);
    hp_gecko_put_column(w, "resource", count, put_function_resource);
    hp_gecko_put_column(w, "source", count, put_function_source);
    hp_gecko_put_column(w, "lineNumber", count, put_function_line);
    hp_gecko_put_column(w, "columnNumber", count, put_null);
    hp_gecko_put_column(w, "isJS", count, put_false);
    hp_gecko_put_column(w, "relevantForJS", count, put_false);
    hp_json_close(&w->json, '}');
}

static void put_resources(hp_gecko_writer *w) {
    uint32_t packages = hp_strings_count(w->packages), files = hp_strings_count(w->files);
    hp_gecko_begin_table(w, "resourceTable", packages);
    hp_gecko_put_column(w, "lib", packages, put_itself);
    hp_gecko_put_column(w, "name", packages, put_package_name);
    hp_gecko_put_column(w, "host", packages, put_null);
    hp_gecko_put_column(w, "type", packages, put_library_type);
    hp_json_close(&w->json, '}');
    hp_gecko_begin_table(w, "sources", files);
    hp_gecko_put_column(w, "uuid", files, put_null);
    hp_gecko_put_column(w, "filename", files, put_file_name);
    hp_json_close(&w->json, '}');
    hp_gecko_begin_table(w, "nativeSymbols", 0);
    hp_gecko_word(w, "libIndex", "[]");
    hp_gecko_word(w, "address", "[]");
    hp_gecko_word(w, "name", "[]");
    hp_gecko_word(w, "functionSize", "[]");
    hp_json_close(&w->json, '}');
}

static void put_string(hp_gecko_writer *w, const char *text) {
    hp_json_break(&w->json);
    hp_json_string(&w->json, text);
}

static void put_strings(hp_gecko_writer *w) {
    hp_json_break(&w->json);
    hp_json_key(&w->json, "stringArray");
    hp_json_open(&w->json, '[');
    for (uint32_t i = 0; i < w->function_count; i++)
        put_string(w, w->labels[w->functions[i]]);
    for (uint32_t i = 0; i < hp_strings_count(w->files); i++)
        put_string(w, hp_strings_text(w->files, i));
    for (uint32_t i = 0; i < hp_strings_count(w->packages); i++)
        put_string(w, hp_strings_text(w->packages, i));
    hp_json_close(&w->json, ']');
}

/* A package takes the place of a library: the reader shows it beside the function, and can fold all of one into its callers. */
void hp_gecko_put_libraries(hp_gecko_writer *w) {
    hp_json_break(&w->json);
    hp_json_key(&w->json, "libs");
    hp_json_open(&w->json, '[');
    for (uint32_t i = 0; i < hp_strings_count(w->packages); i++) {
        hp_json_break(&w->json);
        hp_json_open(&w->json, '{');
        hp_gecko_text(w, "name", hp_strings_text(w->packages, i));
        hp_gecko_text(w, "debugName", hp_strings_text(w->packages, i));
        hp_gecko_word(w, "path", "\"\",\"debugPath\":\"\",\"breakpadId\":\"\",\"codeId\":null,\"arch\":\"\"");
        hp_json_close(&w->json, '}');
    }
    hp_json_close(&w->json, ']');
}

void hp_gecko_put_shared(hp_gecko_writer *w) {
    hp_json_break(&w->json);
    hp_json_key(&w->json, "shared");
    hp_json_open(&w->json, '{');
    put_stacks(w);
    put_frames(w);
    put_functions(w);
    put_resources(w);
    put_strings(w);
    hp_json_close(&w->json, '}');
}
