/* SPDX-License-Identifier: MIT */
/* The processed profile format of the Firefox Profiler, version 60: the first that has all tables in common to the threads. Newer readers
 * upgrade it. tables.h says what becomes a stack; SPEC.md what the reader shows. */
#include "formats/gecko/gecko.h"

#include <stdlib.h>
#include <string.h>

#include "formats/gecko/writer.h"

void hp_gecko_word(hp_gecko_writer *w, const char *key, const char *json) {
    hp_json_key(&w->json, key);
    hp_json_raw(&w->json, json, strlen(json));
}

void hp_gecko_text(hp_gecko_writer *w, const char *key, const char *text) {
    hp_json_key(&w->json, key);
    hp_json_string(&w->json, text);
}

void hp_gecko_number(hp_gecko_writer *w, const char *key, uint64_t value) {
    hp_json_key(&w->json, key);
    hp_json_u64(&w->json, value);
}

void hp_gecko_put_column(hp_gecko_writer *w, const char *key, uint32_t length, hp_gecko_column *put) {
    hp_json_break(&w->json);
    hp_json_key(&w->json, key);
    hp_json_open(&w->json, '[');
    for (uint32_t i = 0; i < length; i++)
        put(w, i);
    hp_json_close(&w->json, ']');
}

void hp_gecko_begin_table(hp_gecko_writer *w, const char *key, uint32_t length) {
    hp_json_break(&w->json);
    hp_json_key(&w->json, key);
    hp_json_open(&w->json, '{');
    hp_gecko_number(w, "length", length);
}

static bool add_name(hp_strings *names, const char *text, size_t size) {
    return size == 0 || hp_strings_id(names, text, size) != HP_NO_STRING;
}

/* Functions that stand in a stack, in order of appearance. */
static hp_status number_functions(hp_gecko_writer *w) {
    for (uint32_t i = 0; i < w->tables.frame_count; i++) {
        uint32_t function = w->tables.frames[i].function;
        if (w->places[function] != HP_GECKO_NONE)
            continue;
        w->places[function] = w->function_count;
        w->functions[w->function_count++] = function;
        const hp_function *f = &w->profile->functions[function];
        if (!add_name(w->files, f->file, strlen(f->file)) || !add_name(w->packages, f->module, hp_gecko_package(f)))
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

static hp_status prepare(hp_gecko_writer *w) {
    size_t count = (size_t)w->profile->function_count + 1;
    hp_status status = hp_labels_new(w->profile, &w->labels);
    if (status == HP_OK)
        status = hp_gecko_tables_init(&w->tables, w->profile);
    if (status != HP_OK)
        return status;
    w->places = malloc(count * sizeof *w->places);
    w->functions = malloc(count * sizeof *w->functions);
    w->files = hp_strings_new();
    w->packages = hp_strings_new();
    if (w->places == NULL || w->functions == NULL || w->files == NULL || w->packages == NULL)
        return HP_NO_MEMORY;
    memset(w->places, 0xff, count * sizeof *w->places);
    return number_functions(w);
}

static void put_all(hp_gecko_writer *w) {
    hp_json_open(&w->json, '{');
    hp_gecko_put_meta(w);
    hp_gecko_put_libraries(w);
    hp_gecko_put_shared(w);
    hp_gecko_put_threads(w);
    hp_json_close(&w->json, '}');
    hp_sink_byte(w->json.sink, '\n');
}

static void writer_fini(hp_gecko_writer *w) {
    hp_gecko_tables_fini(&w->tables);
    hp_labels_free(w->labels);
    free(w->places);
    free(w->functions);
    hp_strings_free(w->files);
    hp_strings_free(w->packages);
}

static hp_status write_gecko(hp_sink *sink, const hp_profile *profile, hp_error *error) {
    hp_gecko_writer w = {.json = {.sink = sink}, .profile = profile};
    if (profile->tree.count <= 1 && profile->row_count != 0)
        return hp_fail(
            error, HP_UNSUPPORTED, 0,
            "a Firefox Profiler file needs whole stacks, and this profile has only functions and their callers (it was read from a "
            "pstats file): export it as pstats or callgrind");
    hp_status status = prepare(&w);
    if (status == HP_OK) {
        put_all(&w);
        status = hp_sink_flush(sink, error);
    } else if (status == HP_NO_MEMORY) {
        hp_fail(error, status, 0, "not enough memory to write a Firefox Profiler file");
    }
    writer_fini(&w);
    return status;
}

static bool recognize(const uint8_t *bytes, size_t size) {
    return hp_json_recognize(bytes, size, "\"preprocessedProfileVersion\"");
}

static const char *const suffixes[] = {".gecko.json", NULL};

const hp_format hp_format_gecko = {
    .name = "gecko",
    .suffixes = suffixes,
    .readers = "Firefox Profiler",
    .keeps = HP_KEEPS_CALLERS | HP_KEEPS_STACKS | HP_KEEPS_APART | HP_KEEPS_LINES | HP_KEEPS_STATES | HP_KEEPS_THREADS | HP_KEEPS_TIMELINE,
    .is_text = true,
    .write = write_gecko,
    .recognize = recognize,
};
