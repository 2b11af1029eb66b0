/* SPDX-License-Identifier: MIT */
#include "formats/text.h"

#include <stdint.h>
#include <string.h>

/* Length of the UTF-8 sequence at `text`, 0 if it is none; a surrogate counts as one (WTF-8). */
static size_t sequence(const uint8_t *text, size_t left, uint32_t *point) {
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;
    if (length == 0 || length > left)
        return 0;
    uint32_t value = length == 1 ? text[0] : (uint32_t)text[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3fu);
    }
    *point = value;
    return value < smallest[length] || value > 0x10ffff ? 0 : length;
}

static bool is_safe(uint32_t point) {
    if (point < 0x20 || (point >= 0x7f && point < 0xa0))
        return false;
    return point != 0x2028 && point != 0x2029 && (point < 0xd800 || point > 0xdfff);
}

static bool begins_script(const char *text, size_t left) {
    static const char tag[] = "</script";
    if (left < sizeof tag - 1)
        return false;
    for (size_t i = 0; i < sizeof tag - 1; i++) {
        char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 'a' - 'A') : text[i];
        if (c != tag[i])
            return false;
    }
    return true;
}

static char *put_hex(char *out, char kind, uint32_t value, int digits) {
    *out++ = '\\';
    *out++ = kind;
    for (int i = digits - 1; i >= 0; i--)
        *out++ = "0123456789abcdef"[value >> (4 * i) & 15u];
    return out;
}

static char *put_escape(char *out, uint32_t point) {
    const char *found = point < 0x80 && point != 0 ? strchr("\nn\rr\tt", (int)point) : NULL;
    if (found != NULL && point < 0x20) {
        *out++ = '\\';
        *out++ = found[1];
        return out;
    }
    return point < 0x100 ? put_hex(out, 'x', point, 2) : put_hex(out, 'u', point, 4);
}

bool hp_text_is_utf8(const void *bytes, size_t size) {
    uint32_t point = 0;
    for (size_t at = 0; at < size;) {
        size_t length = sequence((const uint8_t *)bytes + at, size - at, &point);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

bool hp_text_is_plain(const char *text, size_t size, unsigned also) {
    for (size_t at = 0; at < size;) {
        uint8_t c = (uint8_t)text[at];
        if (c >= 0x20 && c < 0x7f && c != ';' && c != '<') {
            at++;
            continue;
        }
        uint32_t point = 0;
        size_t length = sequence((const uint8_t *)text + at, size - at, &point);
        if (length == 0 || !is_safe(point) || (c == ';' && (also & HP_TEXT_SEMICOLON)) ||
            (c == '<' && (also & HP_TEXT_SCRIPT) && begins_script(text + at, size - at)))
            return false;
        at += length;
    }
    return true;
}

size_t hp_text_step(char **out, const char *text, size_t left, unsigned also) {
    uint32_t point = 0;
    size_t length = sequence((const uint8_t *)text, left, &point);
    if (length == 0) {
        *out = put_hex(*out, 'x', (uint8_t)text[0], 2);
        return 1;
    }
    if (!is_safe(point) || (point == ';' && (also & HP_TEXT_SEMICOLON))) {
        *out = put_escape(*out, point);
        return length;
    }
    memcpy(*out, text, length);
    *out += length;
    if (point == '<' && (also & HP_TEXT_SCRIPT) && begins_script(text, left))
        *(*out)++ = '\\';
    return length;
}

size_t hp_text_escaped_size(const char *text, size_t size, unsigned also) {
    size_t made = 0;
    for (size_t at = 0; at < size;) {
        char piece[HP_TEXT_STEP_LIMIT];
        char *end = piece;
        at += hp_text_step(&end, text + at, size - at, also);
        made += (size_t)(end - piece);
    }
    return made;
}

size_t hp_text_escape(char *out, const char *text, size_t size, unsigned also) {
    char *end = out;
    for (size_t at = 0; at < size;)
        at += hp_text_step(&end, text + at, size - at, also);
    *end = '\0';
    return (size_t)(end - out);
}

const char *hp_text_shown(char out[HP_TEXT_SHOWN_ROOM], const void *text, size_t size) {
    char *end = out;
    size_t at = 0;
    while (at < size && at < HP_TEXT_SHOWN)
        at += hp_text_step(&end, (const char *)text + at, size - at, 0);
    memcpy(end, at < size ? "..." : "", at < size ? 4 : 1);
    return out;
}

void hp_text_write(hp_sink *sink, const char *text, unsigned also) {
    size_t size = strlen(text);
    if (hp_text_is_plain(text, size, also)) {
        hp_sink_write(sink, text, size);
        return;
    }
    for (size_t at = 0; at < size;) {
        char piece[HP_TEXT_STEP_LIMIT];
        char *end = piece;
        at += hp_text_step(&end, text + at, size - at, also);
        hp_sink_write(sink, piece, (size_t)(end - piece));
    }
}
