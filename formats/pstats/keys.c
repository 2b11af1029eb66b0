/* SPDX-License-Identifier: MIT */
#include "formats/pstats/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pstats/marshal.h"
#include "formats/text.h"

typedef struct key {
    const char *file;
    const char *name;
    uint32_t line;
    uint32_t function;
    bool file_owned, name_owned;
} key;

bool hp_pstats_is_thread(const hp_function *function) {
    return function->kind == HP_CODE_SYNTHETIC && strncmp(function->name, "<thread ", 8) == 0;
}

/* `text` itself where nothing must be escaped, else a copy; NULL when memory is short. */
static const char *safe(const char *text, unsigned also, bool *owned) {
    size_t size = strlen(text);
    *owned = !hp_text_is_plain(text, size, also);
    if (!*owned)
        return text;
    char *copy = malloc(hp_text_escaped_limit(size));
    if (copy != NULL)
        hp_text_escape(copy, text, size, also);
    return copy;
}

static const char *block_name(const char *name, bool *owned) {
    size_t size = strlen(name) + sizeof "<block >";
    char *quoted = malloc(size);
    if (quoted == NULL)
        return NULL;
    snprintf(quoted, size, "<block %s>", name);
    const char *escaped = safe(quoted, HP_TEXT_SCRIPT, owned);
    if (*owned)
        free(quoted);
    *owned = true;
    return escaped;
}

/* What is not Python code has no file and line: ('~', 0, name), as cProfile writes built-in functions. Names also have `</script` broken
 * up, which empties snakeviz's page; no source can define a function so, only programs that make up code. A path is left alone: it must
 * lead to the file. */
static bool key_make(key *made, const hp_function *function, uint32_t id) {
    const char *name = function->name[0] != '\0' ? function->name : function->qualname[0] != '\0' ? function->qualname : "<unknown>";
    bool python = function->kind == HP_CODE_PYTHON;
    *made = (key){.line = python ? function->first_line : 0, .function = id};
    if (made->line > INT32_MAX)
        made->line = 0;
    made->file = safe(python ? function->file : "~", 0, &made->file_owned);
    if (function->kind == HP_CODE_BLOCK)
        made->name = block_name(name, &made->name_owned);
    else
        made->name = safe(name, HP_TEXT_SCRIPT, &made->name_owned);
    return made->file != NULL && made->name != NULL;
}

static void key_release(key *made) {
    if (made->file_owned)
        free((void *)(uintptr_t)made->file);
    if (made->name_owned)
        free((void *)(uintptr_t)made->name);
}

/* Interned strings are mostly the same pointer when equal, which saves nearly all comparing of long paths. */
static int text_compare(const char *a, const char *b) {
    return a == b ? 0 : strcmp(a, b);
}

static int key_compare(const void *left, const void *right) {
    const key *a = left, *b = right;
    int by_file = text_compare(a->file, b->file);
    if (by_file != 0)
        return by_file;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return text_compare(a->name, b->name);
}

static int key_order(const void *left, const void *right) {
    const key *a = left, *b = right;
    int order = key_compare(a, b);
    return order != 0 ? order : a->function < b->function ? -1 : a->function > b->function;
}

static uint8_t *put_text(uint8_t *out, const char *text, size_t size) {
    out = hp_marshal_head(out, HP_MARSHAL_UNICODE, (uint32_t)size);
    memcpy(out, text, size);
    return out + size;
}

size_t hp_pstats_key_encode(uint8_t *out, const char *file, uint32_t line, const char *name) {
    uint8_t *at = hp_marshal_head(out, HP_MARSHAL_TUPLE, 3);
    at = put_text(at, file, strlen(file));
    at = hp_marshal_head(at, HP_MARSHAL_INT, line);
    at = put_text(at, name, strlen(name));
    return (size_t)(at - out);
}

static bool encode_all(hp_pstats_keys *keys, const key *sorted) {
    size_t limit = 0, used = 0;
    for (uint32_t i = 0; i < keys->function_count; i++)
        limit += HP_PSTATS_KEY_LIMIT + strlen(sorted[i].file) + strlen(sorted[i].name);
    keys->bytes = malloc(limit + 1);
    if (keys->bytes == NULL)
        return false;
    for (uint32_t i = 0; i < keys->function_count; i++) {
        if (i == 0 || key_compare(&sorted[i - 1], &sorted[i]) != 0) {
            keys->start[keys->count] = used;
            keys->first[keys->count++] = sorted[i].function;
            used += hp_pstats_key_encode(keys->bytes + used, sorted[i].file, sorted[i].line, sorted[i].name);
        }
        keys->of_function[sorted[i].function] = keys->count - 1;
    }
    keys->start[keys->count] = used;
    return true;
}

hp_status hp_pstats_keys_init(hp_pstats_keys *keys, const hp_profile *profile) {
    uint32_t rows = profile->row_count, made = 0;
    hp_status status = HP_NO_MEMORY;
    key *sorted = calloc((size_t)rows + 1, sizeof *sorted);
    *keys = (hp_pstats_keys){.function_count = rows};
    keys->of_function = malloc(((size_t)profile->function_count + 1) * sizeof *keys->of_function);
    keys->first = malloc(((size_t)rows + 1) * sizeof *keys->first);
    keys->start = malloc(((size_t)rows + 1) * sizeof *keys->start);
    if (sorted == NULL || keys->of_function == NULL || keys->first == NULL || keys->start == NULL)
        goto done;
    memset(keys->of_function, 0xff, (size_t)profile->function_count * sizeof *keys->of_function);
    for (; made < rows; made++) {
        if (!key_make(&sorted[made], &profile->functions[profile->rows[made].function], profile->rows[made].function)) {
            made++;
            goto done;
        }
    }
    qsort(sorted, rows, sizeof *sorted, key_order);
    status = encode_all(keys, sorted) ? HP_OK : HP_NO_MEMORY;
done:
    for (uint32_t i = 0; i < made; i++)
        key_release(&sorted[i]);
    free(sorted);
    if (status != HP_OK)
        hp_pstats_keys_fini(keys);
    return status;
}

void hp_pstats_keys_fini(hp_pstats_keys *keys) {
    free(keys->of_function);
    free(keys->first);
    free(keys->bytes);
    free(keys->start);
    *keys = (hp_pstats_keys){0};
}
