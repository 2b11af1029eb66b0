/* SPDX-License-Identifier: MIT */
/* Names of tasks, as text that lasts.
 *
 * A node for each of a million tasks would be no profile: asyncio's own names, which count through ("Task-123"), are one name, and so is
 * what goes beyond HP_TASK_NAMES different ones. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdio.h>
#include <string.h>

#include "frame/tasks.h"

enum { WORD = sizeof(uintptr_t), CHARACTERS = HP_TASK_NAME_TEXT, WIDEST = CHARACTERS * 4 };

/* Bytes of one character as UTF-8. Lone surrogates are three bytes, NUL its symbol: readers want C strings. */
static size_t encode(uint32_t c, char *to) {
    c = c == 0 ? 0x2400 : c > 0x10ffff ? 0xfffd : c;
    size_t more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(lead[more] | c >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        to[i] = (char)(0x80 | (c >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

static uint32_t character(const void *data, uint32_t kind, size_t i) {
    return kind == 1 ? ((const uint8_t *)data)[i] : kind == 2 ? ((const uint16_t *)data)[i] : ((const uint32_t *)data)[i];
}

/* The length of the text; a name that is longer ends in "...". */
static size_t encode_all(const void *data, uint32_t kind, size_t length, char *text) {
    size_t size = 0, taken = 0;
    while (taken < length && taken < CHARACTERS && size + 4 <= HP_TASK_NAME_TEXT - 3)
        size += encode(character(data, kind, taken++), text + size);
    if (taken < length) {
        memcpy(text + size, "...", 3);
        size += 3;
    }
    text[size] = '\0';
    return size;
}

/* 0 where the object is no plain string. */
static size_t read_text(hp_reader *reader, uintptr_t object, char *text) {
    union {
        PyASCIIObject head;
        uintptr_t words[(sizeof(PyASCIIObject) + WORD - 1) / WORD];
    } copy;
    uintptr_t data[WIDEST / WORD];
    if (!hp_reader_copy(reader, copy.words, object, sizeof copy.words) ||
        copy.words[offsetof(PyObject, ob_type) / WORD] != (uintptr_t)&PyUnicode_Type || !copy.head.state.compact || copy.head.length <= 0)
        return 0;
    uint32_t kind = copy.head.state.kind;
    size_t length = (size_t)copy.head.length, kept = length < CHARACTERS ? length : CHARACTERS;
    uintptr_t from = object + (copy.head.state.ascii ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject));
    if (kind != 1 && kind != 2 && kind != 4)
        return 0;
    /* In whole words: a string begins at one, and so does what comes behind it. */
    if (!hp_reader_copy(reader, data, from, (kept * kind + WORD - 1) / WORD * WORD))
        return 0;
    return encode_all(data, kind, length, text);
}

static bool is_numbered(const char *text) {
    static const char prefix[] = "Task-";
    const char *digits = text + sizeof prefix - 1;
    return strncmp(text, prefix, sizeof prefix - 1) == 0 && *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0';
}

static uint32_t number_of(hp_task_names *names, const char *text, uint64_t *refused) {
    enum { MASK = HP_TASK_NAMES * 2 - 1 };
    uint32_t hash = 2166136261u;
    for (const char *c = text; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    uint32_t at = hash & MASK;
    for (; names->index[at] != 0; at = (at + 1) & MASK)
        if (strcmp(names->text[names->index[at] - 1], text) == 0)
            return names->index[at] - 1u;
    if (names->count == HP_TASK_NAMES) {
        ++*refused;
        return HP_TASK_OTHERS;
    }
    strcpy(names->text[names->count], text);
    names->index[at] = (uint16_t)(names->count + 1);
    return names->count++;
}

uint32_t hp_task_name(hp_reader *reader, uintptr_t name, hp_tasks *tasks) {
    char text[HP_TASK_NAME_TEXT + 1] = "", marker[HP_TASK_NAME_BYTES];
    /* From 3.13 on a name that was not given is a number until somebody asks for it. */
    if (read_text(reader, name, text) == 0 || is_numbered(text))
        return HP_TASK_NUMBERED;
    snprintf(marker, sizeof marker, "<task %s>", text);
    return number_of(&tasks->names, marker, &tasks->names_refused);
}
