/* SPDX-License-Identifier: MIT */
/* The keys of a pstats file, back into functions. */
#include <stdlib.h>
#include <string.h>

#include "formats/pstats/keys.h"
#include "formats/pstats/reading.h"

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

static hp_status key_function(hp_pstats_reading *r, const hp_object part[3], uint32_t *key) {
    hp_function function = {.kind = HP_CODE_PYTHON, .module = ""};
    function.file = hp_reading_text(r->profile, part[0].text, part[0].size, NULL);
    function.name = hp_reading_text(r->profile, part[2].text, part[2].size, NULL);
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
        hp_reading_name_unfiled(r->profile, function.name, &function);
        r->ours |= strncmp(function.name, "<thread ", 8) == 0;
    } else {
        function.qualname = function.name;
    }
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
