/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/text.h"

typedef struct reader {
    const char *text;
    size_t size, at;
} reader;

static void fail_at(const reader *r, const char *what) {
    fail_msg("no JSON: %s at byte %zu, before \"%.20s\"", what, r->at, r->text + r->at);
}

static char peek(const reader *r) {
    return r->at < r->size ? r->text[r->at] : '\0';
}

static void skip_space(reader *r) {
    while (r->at < r->size && strchr(" \t\r\n", r->text[r->at]) != NULL && r->text[r->at] != '\0')
        r->at++;
}

static void take(reader *r, char expected) {
    if (r->at >= r->size || r->text[r->at] != expected)
        fail_at(r, "another character was expected");
    r->at++;
}

static size_t put_utf8(char *out, uint32_t point) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    assert_true(point < 0x800 || (point < 0xd800 || point > 0xdfff)); /* we write none of these as \u */
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | point >> 12);
    out[1] = (char)(0x80 | (point >> 6 & 0x3f));
    out[2] = (char)(0x80 | (point & 0x3f));
    return 3;
}

static size_t take_escape(reader *r, char *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char digits[5] = "";
    char *end = NULL;
    const char *place = strchr(from, peek(r));
    if (place != NULL && *place != '\0') {
        *out = to[place - from];
        r->at++;
        return 1;
    }
    take(r, 'u');
    for (int i = 0; i < 4; i++, r->at++)
        digits[i] = peek(r);
    uint32_t point = (uint32_t)strtoul(digits, &end, 16);
    if (end != digits + 4)
        fail_at(r, "\\u without four digits");
    return put_utf8(out, point);
}

static char *take_string(reader *r) {
    char *made = malloc(r->size - r->at + 1);
    size_t used = 0;
    assert_non_null(made);
    take(r, '"');
    while (peek(r) != '"') {
        if (r->at >= r->size || (unsigned char)r->text[r->at] < 0x20)
            fail_at(r, "a control character in a string");
        if (peek(r) == '\\') {
            r->at++;
            used += take_escape(r, made + used);
        } else {
            made[used++] = r->text[r->at++];
        }
    }
    made[used] = '\0';
    r->at++;
    if (!hp_text_is_utf8(made, used) || !hp_text_is_plain(made, used, 0))
        fail_msg("a viewer would not survive \"%s\"", made);
    return made;
}

static size_t take_digits(reader *r) {
    size_t count = 0;
    for (; isdigit((unsigned char)peek(r)); count++)
        r->at++;
    return count;
}

static char *take_number(reader *r) {
    size_t start = r->at;
    bool zero = false;
    if (peek(r) == '-')
        r->at++;
    zero = peek(r) == '0';
    size_t digits = take_digits(r);
    if (digits == 0 || (zero && digits > 1))
        fail_at(r, "a number of no such form");
    if (peek(r) == '.') {
        r->at++;
        if (take_digits(r) == 0)
            fail_at(r, "a point without digits");
    }
    return strndup(r->text + start, r->at - start);
}

static void take_value(reader *r, hp_test_json *value);

static void *grown(void *items, size_t size) {
    void *moved = realloc(items, size);
    if (moved == NULL)
        abort();
    return moved;
}

static void take_items(reader *r, hp_test_json *value, char end) {
    size_t capacity = 0;
    take(r, value->type);
    skip_space(r);
    while (peek(r) != end || value->count == 0) {
        if (value->count == 0 && peek(r) == end)
            break;
        if (value->count == capacity) {
            capacity = 2 * capacity + 8;
            value->items = grown(value->items, capacity * sizeof *value->items);
            value->keys = grown((void *)value->keys, capacity * sizeof *value->keys);
        }
        skip_space(r);
        value->keys[value->count] = end == '}' ? take_string(r) : NULL;
        if (end == '}')
            take(r, ':');
        take_value(r, &value->items[value->count++]);
        skip_space(r);
        if (peek(r) == end)
            break;
        take(r, ',');
        skip_space(r);
        if (peek(r) == end)
            fail_at(r, "a comma before the end");
    }
    take(r, end);
}

static void take_word(reader *r, const char *word) {
    for (; *word != '\0'; word++)
        take(r, *word);
}

static void take_value(reader *r, hp_test_json *value) {
    skip_space(r);
    *value = (hp_test_json){.type = peek(r)};
    if (value->type == '{')
        take_items(r, value, '}');
    else if (value->type == '[')
        take_items(r, value, ']');
    else if (value->type == '"')
        value->text = take_string(r);
    else if (value->type == 't' || value->type == 'f' || value->type == 'n')
        take_word(r, value->type == 't' ? "true" : value->type == 'f' ? "false" : "null");
    else {
        value->type = '0';
        value->text = take_number(r);
    }
}

hp_test_json *hp_test_json_parse(const char *text, size_t size) {
    reader r = {text, size, 0};
    hp_test_json *value = malloc(sizeof *value);
    assert_non_null(value);
    take_value(&r, value);
    skip_space(&r);
    if (r.at != size)
        fail_at(&r, "something follows");
    return value;
}

static void clear(hp_test_json *value) {
    for (size_t i = 0; i < value->count; i++) {
        clear(&value->items[i]);
        free(value->keys[i]);
    }
    free(value->items);
    free((void *)value->keys);
    free(value->text);
}

void hp_test_json_free(hp_test_json *value) {
    clear(value);
    free(value);
}

const hp_test_json *hp_test_json_at(const hp_test_json *object, const char *key) {
    assert_int_equal(object->type, '{');
    for (size_t i = 0; i < object->count; i++) {
        if (strcmp(object->keys[i], key) == 0)
            return &object->items[i];
    }
    fail_msg("there is no \"%s\"", key);
    return NULL;
}

const char *hp_test_json_text(const hp_test_json *value) {
    assert_int_equal(value->type, '"');
    return value->text;
}

uint64_t hp_test_json_u64(const hp_test_json *value) {
    char *end = NULL;
    assert_int_equal(value->type, '0');
    uint64_t number = strtoull(value->text, &end, 10);
    assert_true(value->text[0] != '-' && *end == '\0');
    return number;
}

uint64_t hp_test_json_ns(const hp_test_json *value) {
    char *end = NULL;
    assert_int_equal(value->type, '0');
    uint64_t ns = strtoull(value->text, &end, 10) * 1000000, unit = 100000;
    assert_true(value->text[0] != '-' && (*end == '\0' || *end == '.'));
    for (end += *end == '.'; *end != '\0'; end++, unit /= 10) {
        assert_int_not_equal(unit, 0);
        ns += (uint64_t)(*end - '0') * unit;
    }
    return ns;
}
