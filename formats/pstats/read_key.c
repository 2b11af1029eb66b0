/* SPDX-License-Identifier: MIT */
/* The keys of a pstats file, back into functions. */
#include <stdlib.h>
#include <string.h>

#include "formats/pstats/keys.h"
#include "formats/pstats/reading.h"
#include "formats/text.h"

/* What of a text cannot stand in a profile (NUL, bytes that are no UTF-8) is escaped. */
static const char *take_string(hp_pstats_reading *r, const hp_object *text) {
    if (memchr(text->text, '\0', text->size) == NULL && hp_text_is_utf8(text->text, text->size))
        return hp_profile_string_sized(r->profile, (const char *)text->text, text->size);
    char *escaped = malloc(hp_text_escaped_limit(text->size));
    if (escaped == NULL)
        return "";
    size_t size = hp_text_escape(escaped, (const char *)text->text, text->size, 0);
    const char *made = hp_profile_string_sized(r->profile, escaped, size);
    free(escaped);
    return made;
}

/* Not strtod: that follows the program's locale. */
static double decimal(const char *text) {
    char *end = NULL;
    double value = (double)strtoull(text, &end, 10), place = 1;
    for (end += *end == '.'; *end >= '0' && *end <= '9'; end++) {
        place /= 10;
        value += place * (*end - '0');
    }
    return value;
}

/* The samples and the rate stand in the marker's sentence: see put_marker in writer.c. */
static void take_marker(hp_pstats_reading *r, const char *sentence) {
    static const char before_samples[] = "estimated from ", before_rate[] = " samples at ";
    const char *samples = strstr(sentence, before_samples);
    const char *rate = samples != NULL ? strstr(samples, before_rate) : NULL;
    r->marked = true;
    if (samples != NULL)
        r->profile->meta.samples_kept = strtoull(samples + sizeof before_samples - 1, NULL, 10);
    if (rate != NULL)
        r->profile->meta.rate_hz = decimal(rate + sizeof before_rate - 1);
}

static bool is_between(const char *text, const char *before, const char *after) {
    size_t size = strlen(text), head = strlen(before), tail = strlen(after);
    return size >= head + tail && memcmp(text, before, head) == 0 && memcmp(text + size - tail, after, tail) == 0;
}

/* ('~', 0, name): what is no Python code. `<block NAME>`, `<thread NAME #n>` and a few more are ours; else a built-in function. */
static void name_builtin(hp_pstats_reading *r, hp_function *function) {
    static const char *const ours[] = {"<unresolved>", "<overflow>", "<unknown>"};
    function->kind = HP_CODE_C;
    function->file = "";
    if (is_between(function->name, "<block ", ">")) {
        function->kind = HP_CODE_BLOCK;
        function->name = hp_profile_string_sized(r->profile, function->name + 7, strlen(function->name) - 8);
        return;
    }
    if (is_between(function->name, "<thread ", ">")) {
        function->kind = HP_CODE_SYNTHETIC;
        r->ours = true;
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (strcmp(function->name, ours[i]) == 0)
            function->kind = HP_CODE_SYNTHETIC;
    }
}

static hp_status key_function(hp_pstats_reading *r, const hp_object part[3], uint32_t *key) {
    hp_function function = {.kind = HP_CODE_PYTHON, .module = ""};
    function.file = take_string(r, &part[0]);
    function.name = take_string(r, &part[2]);
    if (part[1].kind == HP_OBJECT_INT && !part[1].negative && part[1].integer <= INT32_MAX)
        function.first_line = (uint32_t)part[1].integer;
    if (strcmp(function.file, HP_PSTATS_MARKER_FILE) == 0) {
        take_marker(r, function.name);
        *key = HP_KEY_MARKER;
        return HP_OK;
    }
    if (strcmp(function.file, "~") == 0 && function.first_line == 0) {
        if (strcmp(function.name, HP_PSTATS_ALL_THREADS) == 0) {
            r->ours = true;
            *key = HP_KEY_ROOT;
            return HP_OK;
        }
        name_builtin(r, &function);
    }
    function.qualname = function.name;
    *key = hp_profile_function(r->profile, &function);
    return *key < HP_KEY_SAMPLED ? HP_OK : hp_pstats_no_memory(r);
}

hp_status hp_pstats_take_key(hp_pstats_reading *r, const hp_object *head, uint32_t *key) {
    static const char what[] = "a key is not (file, line, name)";
    hp_object part[3] = {{0}};
    if (head->kind != HP_OBJECT_TUPLE || (head->count != 3 && head->count != 1))
        return hp_pstats_bad_row(r, what);
    for (uint32_t i = 0; i < head->count; i++) {
        hp_status status = hp_unmarshal_next(&r->source, &part[i]);
        if (status != HP_OK)
            return status;
        if (part[i].kind == HP_OBJECT_TUPLE || part[i].kind == HP_OBJECT_DICT || part[i].kind == HP_OBJECT_END)
            return hp_pstats_bad_row(r, what);
    }
    hp_unmarshal_leave(&r->source, head);
    if (head->count == 1) {
        r->tachyon = true;
        *key = HP_KEY_SAMPLED;
        return HP_OK;
    }
    if (part[0].kind != HP_OBJECT_TEXT || part[2].kind != HP_OBJECT_TEXT)
        return hp_pstats_bad_row(r, what);
    return key_function(r, part, key);
}
