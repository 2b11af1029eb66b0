/* SPDX-License-Identifier: MIT */
/* Frames: ours are `label (file:first line)`, `label (~)` or `<...>`. Of others `name (file:line)` (py-spy), `file:name:line` (Austin,
 * Tachyon) or any text (perf, other languages). */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "formats/collapsed/reader.h"
#include "formats/reading.h"

bool hp_collapsed_is_thread(const uint8_t *text, size_t size) {
    char copy[512];
    if (size >= sizeof copy) {
        memcpy(copy, text, 8); /* a long name: its beginning and its end tell */
        memcpy(copy + 8, text + size - 64, 64);
        size = 8 + 64;
    } else {
        memcpy(copy, text, size);
    }
    copy[size] = '\0';
    return strlen(copy) == size && hp_reading_is_thread(copy);
}

static bool is_one_of(uint8_t c, const char *accept) {
    return c != '\0' && strchr(accept, c) != NULL;
}

static size_t marker_size(const uint8_t *text, size_t size, const char *head, const char *accept) {
    size_t at = strlen(head);
    if (size <= at || memcmp(text, head, at) != 0)
        return 0;
    while (at < size && is_one_of(text[at], accept))
        at++;
    return at > strlen(head) && (at == size || text[at] == ';') ? at : 0;
}

size_t hp_collapsed_thread_size(const uint8_t *text, size_t size) {
    static const char digits[] = "0123456789", hexadecimals[] = "0123456789abcdefx:";
    size_t tachyon = marker_size(text, size, "tid:", digits), process = marker_size(text, size, "P", digits);
    if (tachyon != 0 || process == 0 || process == size)
        return tachyon;
    size_t thread = marker_size(text + process + 1, size - process - 1, "T", hexadecimals);
    return thread == 0 ? 0 : process + 1 + thread;
}

/* The number between `from` and `to`; false if it is none, or none of a line. */
static bool take_line(const char *from, const char *to, uint32_t *line) {
    *line = 0;
    if (from == to)
        return false;
    for (; from < to; from++) {
        if (*from < '0' || *from > '9' || *line >= HP_LINE_LIMIT / 10)
            return false;
        *line = *line * 10 + (uint32_t)(*from - '0');
    }
    return true;
}

static const char *last_of(const char *from, const char *to, char what) {
    while (to > from && to[-1] != what)
        to--;
    return to > from ? to - 1 : NULL;
}

static bool ends_in(const char *from, const char *to, const char *tail) {
    size_t size = strlen(tail);
    return (size_t)(to - from) >= size && memcmp(to - size, tail, size) == 0;
}

/* `;` is the one character that our writer escapes and other formats do not. */
static const char *unescaped(hp_profile *profile, const char *text, size_t size) {
    char *copy = malloc(size + 1), *to = copy;
    if (copy == NULL)
        return "";
    for (size_t i = 0; i < size; i++) {
        bool escape = size - i >= 4 && memcmp(text + i, "\\x3b", 4) == 0;
        *to++ = escape ? ';' : text[i];
        i += escape ? 3 : 0;
    }
    const char *made = hp_profile_string_sized(profile, copy, (size_t)(to - copy));
    free(copy);
    return made;
}

static const char *part(const hp_collapsed_frames *all, const char *from, const char *to) {
    size_t size = (size_t)(to - from);
    return all->ours ? unescaped(all->profile, from, size) : hp_profile_string_sized(all->profile, from, size);
}

/* `module.name:12` has its line in the label where two functions would share one. */
static const char *without_line(const char *name, const char *end, uint32_t line) {
    uint32_t told = 0;
    const char *colon = last_of(name, end, ':');
    return colon != NULL && colon > name && take_line(colon + 1, end, &told) && told == line ? colon : end;
}

/* `name (file:line)`; also without a line, where the file is Python's. */
static bool take_parenthesized(const hp_collapsed_frames *all, const char *text, const char *end, hp_function *function, uint32_t *line) {
    const char *open = end != text && end[-1] == ')' ? strstr(text + 1, " (") : NULL;
    if (open++ == NULL)
        return false;
    const char *colon = last_of(open + 1, end - 1, ':'), *file_end = colon;
    if (colon == NULL || !take_line(colon + 1, end - 1, line)) {
        *line = 0;
        file_end = end - 1;
        if (!ends_in(open + 1, file_end, ".py"))
            return false;
    }
    function->file = part(all, open + 1, file_end);
    hp_reading_name(all->profile, part(all, text, all->ours ? without_line(text, open - 1, *line) : open - 1), all->ours, function);
    return true;
}

/* `file:name:line` */
static bool take_colons(const hp_collapsed_frames *all, const char *text, const char *end, hp_function *function, uint32_t *line) {
    const char *second = last_of(text, end, ':');
    const char *first = second == NULL ? NULL : last_of(text, second, ':');
    if (first == NULL || first == text || first + 1 == second || !take_line(second + 1, end, line))
        return false;
    if (!ends_in(text, first, ".py") && text[0] != '<')
        return false;
    function->file = part(all, text, first);
    hp_reading_name(all->profile, part(all, first + 1, second), false, function);
    return true;
}

static bool judge_thread(hp_collapsed_frames *all, const char *text, hp_collapsed_frame *frame) {
    frame->thread = all->ours ? hp_reading_add_thread(all->profile, part(all, text, text + strlen(text)))
                              : hp_profile_add_thread(all->profile, text, 0);
    if (frame->thread == HP_NO_NODE)
        return false;
    frame->function = all->profile->tree.nodes[all->profile->threads[frame->thread].root].function;
    return true;
}

static bool judge(hp_collapsed_frames *all, const char *text, hp_collapsed_frame *frame) {
    hp_function function = {.kind = HP_CODE_C, .module = "", .file = ""};
    const char *end = text + strlen(text);
    if (all->ours ? hp_reading_is_thread(text) : hp_collapsed_thread_size((const uint8_t *)text, (size_t)(end - text)) != 0)
        return judge_thread(all, text, frame);
    if (!take_parenthesized(all, text, end, &function, &frame->line) &&
        (all->ours || !take_colons(all, text, end, &function, &frame->line))) {
        hp_reading_name_unfiled(all->profile, part(all, text, ends_in(text, end, " (~)") ? end - 4 : end), &function);
        frame->line = 0;
    }
    if (all->ours) {
        function.first_line = frame->line;
        frame->line = 0;
    }
    frame->function = hp_profile_function(all->profile, &function);
    return frame->function != HP_NO_FUNCTION;
}

const hp_collapsed_frame *hp_collapsed_frame_of(hp_collapsed_frames *all, const uint8_t *text, size_t size) {
    uint32_t id = hp_strings_id(all->texts, (const char *)text, size), known = all->capacity;
    if (id == HP_NO_STRING)
        return NULL;
    hp_collapsed_frame *frames = hp_array_grow(all->frames, &all->capacity, id + 1, sizeof *frames);
    if (frames == NULL)
        return NULL;
    all->frames = frames;
    for (; known < all->capacity; known++)
        frames[known] = (hp_collapsed_frame){HP_NO_FUNCTION, HP_NO_NODE, 0};
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the loop sets all up to the capacity */
    if (frames[id].function == HP_NO_FUNCTION && !judge(all, hp_reading_text(all->profile, text, size, NULL), &frames[id]))
        return NULL;
    return &frames[id];
}

void hp_collapsed_frames_fini(hp_collapsed_frames *all) {
    hp_strings_free(all->texts);
    free(all->frames);
}
