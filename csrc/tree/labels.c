/* SPDX-License-Identifier: MIT */
/* Labels are made in three steps: the plain label of each function; how many share it; the final one, with whatever tells it apart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sink.h"
#include "base/strings.h"
#include "tree/profile.h"

/* The code point that begins at `text`, of which `left` bytes are left, and its size; size 1 and -1 where the bytes are no UTF-8. Lone
 * surrogates (WTF-8) are decoded. */
static int32_t decode(const uint8_t *text, size_t left, size_t *size) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80                      ? 1
                    : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                    : (text[0] & 0xf0) == 0xe0          ? 3
                    : (text[0] & 0xf8) == 0xf0          ? 4
                                                        : 0;
    uint32_t point = length == 1 ? text[0] : length == 0 ? 0 : text[0] & (0xffu >> (length + 1));
    *size = 1;
    if (length == 0 || length > left)
        return -1;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return -1;
        point = point << 6 | (text[i] & 0x3fu);
    }
    if (point < least[length] || point > 0x10ffff)
        return -1;
    *size = length;
    return (int32_t)point;
}

static void put_escaped(hp_sink *sink, const char *text) {
    const uint8_t *next = (const uint8_t *)text;
    const uint8_t *end = next + strlen(text);
    while (next < end) {
        size_t size;
        int32_t point = decode(next, (size_t)(end - next), &size);
        if (point == '\n' || point == '\r' || point == '\t')
            hp_sink_text(sink, point == '\n' ? "\\n" : point == '\r' ? "\\r" : "\\t");
        else if (point < 0)
            hp_sink_format(sink, "\\x%02x", (unsigned)*next);
        else if (point < 0x20 || (point >= 0x7f && point <= 0x9f))
            hp_sink_format(sink, "\\x%02x", (unsigned)point);
        else if (point == 0x2028 || point == 0x2029 || (point >= 0xd800 && point <= 0xdfff))
            hp_sink_format(sink, "\\u%04x", (unsigned)point);
        else
            hp_sink_write(sink, next, size);
        next += size;
    }
}

/* "cart" of "/srv/shop/cart.py". */
static bool put_stem(hp_sink *sink, const char *file) {
    char stem[256];
    const char *slash = strrchr(file, '/');
    const char *base = slash == NULL ? file : slash + 1;
    size_t size = strlen(base);
    if (size > 3 && strcmp(base + size - 3, ".py") == 0)
        size -= 3;
    size = size < sizeof stem ? size : sizeof stem - 1; /* longer than file names can be */
    memcpy(stem, base, size);
    stem[size] = '\0';
    put_escaped(sink, stem);
    return size > 0;
}

/* The plain label: never empty, never without a dot unless it begins with '<' (gprof2dot makes bad dot of a function named `node`). */
static void put_label(hp_sink *sink, const hp_function *function) {
    const char *name = function->qualname[0] != '\0' ? function->qualname : function->name;
    if (function->kind == HP_CODE_BLOCK) {
        hp_sink_text(sink, "<block ");
        put_escaped(sink, name);
        hp_sink_text(sink, ">");
        return;
    }
    bool plain = name[0] == '<' || strchr(name, '.') != NULL;
    if (function->kind == HP_CODE_PYTHON || !plain) {
        bool placed = function->module[0] != '\0';
        if (placed)
            put_escaped(sink, function->module);
        else
            placed = put_stem(sink, function->file);
        if (!placed && !plain)
            hp_sink_text(sink, "?");
        if (placed || !plain)
            hp_sink_text(sink, ".");
    }
    put_escaped(sink, name[0] != '\0' ? name : "?");
}

/* The work in hand; arrays by function. */
typedef struct labelling {
    const hp_profile *profile;
    hp_strings *plain; /* plain labels, each once */
    uint32_t *plain_of;
    uint32_t *sharers; /* by plain label: how many functions have it */
    hp_strings *final; /* labels given, all different: its ids are those of the functions, since they are given in their order */
    uint32_t *next;    /* by label given: the number to try for the next function that wants it, 0: none did yet */
} labelling;

static hp_status labels_init(labelling *work, const hp_profile *profile) {
    size_t count = profile->function_count;
    *work = (labelling){.profile = profile};
    work->plain = hp_strings_new();
    work->final = hp_strings_new();
    work->plain_of = calloc(count + 1, sizeof *work->plain_of);
    work->sharers = calloc(count + 1, sizeof *work->sharers);
    work->next = calloc(count + 1, sizeof *work->next);
    if (work->plain == NULL || work->final == NULL || work->plain_of == NULL || work->sharers == NULL || work->next == NULL)
        return HP_NO_MEMORY;
    return HP_OK;
}

static void labels_fini(labelling *work) {
    hp_strings_free(work->plain);
    hp_strings_free(work->final);
    free(work->plain_of);
    free(work->sharers);
    free(work->next);
}

static hp_status make_plain(labelling *work, uint32_t f) {
    hp_sink *sink = NULL;
    size_t size = 0;
    hp_status status = hp_sink_memory(&sink);
    if (status != HP_OK)
        return status;
    put_label(sink, &work->profile->functions[f]);
    status = hp_sink_flush(sink, NULL);
    if (status == HP_OK) {
        const char *text = (const char *)hp_sink_bytes(sink, &size);
        work->plain_of[f] = hp_strings_id(work->plain, text, size);
        status = work->plain_of[f] == HP_NO_STRING ? HP_NO_MEMORY : HP_OK;
    }
    if (status == HP_OK)
        work->sharers[work->plain_of[f]]++;
    hp_sink_free(sink);
    return status;
}

/* "#2", "#3" ... behind a label that the function `first` has: the first number that no function's label ends in by chance. */
static hp_status give_numbered(labelling *work, const char *label, uint32_t first) {
    uint32_t number = work->next[first] == 0 ? 2 : work->next[first];
    hp_status status = HP_AGAIN;
    for (; status == HP_AGAIN; number++) {
        char *text = NULL;
        int size = asprintf(&text, "%s#%u", label, number);
        if (size < 0)
            return HP_NO_MEMORY;
        if (hp_strings_find(work->final, text, (size_t)size) == HP_NO_STRING)
            status = hp_strings_id(work->final, text, (size_t)size) == HP_NO_STRING ? HP_NO_MEMORY : HP_OK;
        free(text);
    }
    work->next[first] = number;
    return status;
}

/* ":first_line" where the plain label is shared, a number where that is not enough. */
static hp_status make_final(labelling *work, uint32_t f) {
    hp_status status = HP_OK;
    uint32_t plain = work->plain_of[f];
    uint32_t line = work->profile->functions[f].first_line;
    bool shared = work->sharers[plain] > 1 && line != 0;
    char *label = NULL;
    int size = shared ? asprintf(&label, "%s:%u", hp_strings_text(work->plain, plain), line)
                      : asprintf(&label, "%s", hp_strings_text(work->plain, plain));
    if (size < 0)
        return HP_NO_MEMORY;
    uint32_t taken = hp_strings_find(work->final, label, (size_t)size);
    if (taken != HP_NO_STRING)
        status = give_numbered(work, label, taken);
    else if (hp_strings_id(work->final, label, (size_t)size) == HP_NO_STRING)
        status = HP_NO_MEMORY;
    free(label);
    return status;
}

/* One block: the addresses, then the text. */
static const char **pack(const labelling *work) {
    uint32_t count = work->profile->function_count;
    size_t size = (count + 1) * sizeof(char *);
    for (uint32_t f = 0; f < count; f++)
        size += hp_strings_size(work->final, f) + 1;
    const char **block = malloc(size);
    if (block == NULL)
        return NULL;
    char *next = (char *)(block + count + 1);
    for (uint32_t f = 0; f < count; f++) {
        size = hp_strings_size(work->final, f) + 1;
        memcpy(next, hp_strings_text(work->final, f), size);
        block[f] = next;
        next += size;
    }
    block[count] = NULL;
    return block;
}

hp_status hp_labels_new(const hp_profile *profile, const char ***labels) {
    labelling work;
    hp_status status = labels_init(&work, profile);
    for (uint32_t f = 0; status == HP_OK && f < profile->function_count; f++)
        status = make_plain(&work, f);
    for (uint32_t f = 0; status == HP_OK && f < profile->function_count; f++)
        status = make_final(&work, f);
    if (status == HP_OK) {
        const char **block = pack(&work);
        status = block == NULL ? HP_NO_MEMORY : HP_OK;
        *labels = block;
    }
    labels_fini(&work);
    return status;
}

void hp_labels_free(const char **labels) {
    free((void *)labels);
}
