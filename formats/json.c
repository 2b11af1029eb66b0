/* SPDX-License-Identifier: MIT */
#include "formats/json.h"

#include <string.h>

#include "formats/text.h"

static void begin(hp_json *json) {
    if (json->follows)
        hp_sink_byte(json->sink, ',');
    if (json->breaks)
        hp_sink_byte(json->sink, '\n');
    json->breaks = false;
    json->follows = true;
}

void hp_json_open(hp_json *json, char bracket) {
    begin(json);
    hp_sink_byte(json->sink, bracket);
    json->follows = false;
}

void hp_json_close(hp_json *json, char bracket) {
    hp_sink_byte(json->sink, bracket);
    json->follows = true;
}

void hp_json_key(hp_json *json, const char *key) {
    begin(json);
    hp_sink_byte(json->sink, '"');
    hp_sink_text(json->sink, key);
    hp_sink_write(json->sink, "\":", 2);
    json->follows = false;
}

void hp_json_break(hp_json *json) {
    json->breaks = true;
}

/* How many bytes stand for themselves. */
static size_t plain_run(const char *text, size_t size) {
    size_t at = 0;
    while (at < size && text[at] >= 0x20 && text[at] < 0x7f && text[at] != '"' && text[at] != '\\' && text[at] != '<')
        at++;
    return at;
}

/* One character, escaped for people first and for JSON then. `</script` and `<!--` would mean something to a page that holds this text: as
 * `\u003c` the `<` means nothing to the page and itself to JSON. */
static size_t put_character(hp_sink *sink, const char *text, size_t left) {
    char piece[HP_TEXT_STEP_LIMIT];
    char *end = piece;
    if (text[0] == '<' && (left == 1 || text[1] == '/' || text[1] == '!')) {
        hp_sink_text(sink, "\\u003c");
        return 1;
    }
    size_t taken = hp_text_step(&end, text, left, 0);
    for (const char *c = piece; c < end; c++) {
        if (*c == '"' || *c == '\\')
            hp_sink_byte(sink, '\\');
        hp_sink_byte(sink, *c);
    }
    return taken;
}

static void put_text(hp_sink *sink, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        size_t taken = plain_run(text, left);
        hp_sink_write(sink, text, taken);
        if (taken == 0)
            taken = put_character(sink, text, left);
        text += taken;
        left -= taken;
    }
}

void hp_json_joined(hp_json *json, const char *first, const char *second) {
    begin(json);
    hp_sink_byte(json->sink, '"');
    put_text(json->sink, first);
    put_text(json->sink, second);
    hp_sink_byte(json->sink, '"');
}

void hp_json_string(hp_json *json, const char *text) {
    hp_json_joined(json, text, "");
}

void hp_json_u64(hp_json *json, uint64_t value) {
    begin(json);
    hp_sink_u64(json->sink, value);
}

void hp_json_ms(hp_json *json, uint64_t ns) {
    char digits[8] = ".000000";
    uint32_t fraction = (uint32_t)(ns % 1000000);
    size_t size = 7;
    hp_json_u64(json, ns / 1000000);
    if (fraction == 0)
        return;
    for (size_t i = 6; i > 0; i--, fraction /= 10)
        digits[i] = (char)('0' + fraction % 10);
    while (digits[size - 1] == '0')
        size--;
    hp_sink_write(json->sink, digits, size);
}

void hp_json_raw(hp_json *json, const char *text, size_t size) {
    begin(json);
    hp_sink_write(json->sink, text, size);
}

enum { NEAR = 4096 };

bool hp_json_recognize(const uint8_t *bytes, size_t size, const char *text) {
    size_t at = 1, near = size < NEAR ? size : NEAR;
    if (size == 0 || bytes[0] != '{')
        return false;
    while (at < size && strchr(" \t\r\n", bytes[at]) != NULL && bytes[at] != '\0')
        at++;
    /* A pstats file begins with the same brace, and then with no quote. */
    if (at == size || bytes[at] != '"')
        return false;
    return memmem(bytes, near, text, strlen(text)) != NULL || memmem(bytes + size - near, near, text, strlen(text)) != NULL;
}
