/* SPDX-License-Identifier: MIT */
/* Protocol buffers by hand: what other producers write, and what no producer would. */
#ifndef HP_TESTS_SUPPORT_MESSAGES_H
#define HP_TESTS_SUPPORT_MESSAGES_H

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "formats/pprof/pprof.h"
#include "formats/pprof/wire.h"

typedef struct hp_message {
    hp_bytes bytes;
} hp_message;

static inline void message_text(hp_message *message, uint32_t field, const char *text) {
    hp_wire_bytes(&message->bytes, field, text, strlen(text));
}

/* A field that is a message of up to four numbers: fields 1, 2, ... of it; 0 is left out. */
static inline void message_numbers(hp_message *message, uint32_t field, const uint64_t *numbers, uint32_t count) {
    hp_bytes inner = {0};
    for (uint32_t i = 0; i < count; i++)
        hp_wire_number(&inner, i + 1, numbers[i]);
    hp_wire_bytes(&message->bytes, field, inner.data, inner.size);
    hp_bytes_free(&inner);
}
#define MESSAGE_NUMBERS(message, field, ...)                                                                                               \
    message_numbers((message), (field), (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static inline void message_packed(hp_bytes *to, uint32_t field, const uint64_t *numbers, uint32_t count) {
    hp_bytes inner = {0};
    for (uint32_t i = 0; i < count; i++)
        hp_bytes_varint(&inner, numbers[i]);
    hp_wire_bytes(to, field, inner.data, inner.size);
    hp_bytes_free(&inner);
}

/* Locations (leaf first, 0: none), values and a label (key, text; key 0: none). Not packed: as old writers do it. */
static inline void message_sample(hp_message *message, bool packed, const uint64_t locations[4], const uint64_t *values,
                                  uint32_t value_count, uint64_t key, uint64_t text) {
    hp_bytes inner = {0}, label = {0};
    uint32_t depth = 0;
    while (depth < 4 && locations[depth] != 0)
        depth++;
    if (packed) {
        message_packed(&inner, SAMPLE_LOCATION, locations, depth);
        message_packed(&inner, SAMPLE_VALUE, values, value_count);
    } else {
        for (uint32_t i = 0; i < depth; i++)
            hp_wire_number(&inner, SAMPLE_LOCATION, locations[i]);
        for (uint32_t i = 0; i < value_count; i++) {
            hp_bytes_varint(&inner, SAMPLE_VALUE << 3);
            hp_bytes_varint(&inner, values[i]);
        }
    }
    if (key != 0) {
        hp_wire_number(&label, LABEL_KEY, key);
        hp_wire_number(&label, LABEL_STRING, text);
        hp_wire_bytes(&inner, SAMPLE_LABEL, label.data, label.size);
    }
    hp_wire_bytes(&message->bytes, PROFILE_SAMPLE, inner.data, inner.size);
    hp_bytes_free(&inner);
    hp_bytes_free(&label);
}

static inline void put_strings(hp_message *message, const char *const *strings) {
    for (; *strings != NULL; strings++)
        message_text(message, PROFILE_STRING, *strings);
}

static inline void put_location(hp_message *message, uint64_t id, uint64_t address, const uint64_t lines[4]) {
    hp_bytes inner = {0}, line = {0};
    hp_wire_number(&inner, LOCATION_ID, id);
    hp_wire_number(&inner, 2, 1); /* mapping */
    hp_wire_number(&inner, LOCATION_ADDRESS, address);
    for (uint32_t i = 0; i < 4 && lines[i] != 0; i += 2) {
        line.size = 0;
        hp_wire_number(&line, LINE_FUNCTION, lines[i]);
        hp_wire_number(&line, LINE_NUMBER, lines[i + 1]);
        hp_wire_bytes(&inner, LOCATION_LINE, line.data, line.size);
    }
    hp_wire_bytes(&message->bytes, PROFILE_LOCATION, inner.data, inner.size);
    hp_bytes_free(&inner);
    hp_bytes_free(&line);
}

/* One function, one location; types and values as given. */
static inline hp_message small_profile(const char *const *strings, const uint64_t (*types)[2], const uint64_t *values, uint32_t count) {
    hp_message m = {0};
    for (uint32_t i = 0; i < count; i++)
        MESSAGE_NUMBERS(&m, PROFILE_SAMPLE_TYPE, types[i][0], types[i][1]);
    message_sample(&m, true, (uint64_t[4]){1}, values, count, 0, 0);
    put_location(&m, 1, 0, (uint64_t[4]){1, 4});
    MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, 1, 1, 0, 2, 0);
    put_strings(&m, strings);
    return m;
}

/* The strings and types that most tests give it. */
static const char *const small_strings[] = {"", "f", "f.py", "wall", "ns", NULL};
static const uint64_t small_types[][2] = {{3, 4}};

static inline void assert_status(const uint8_t *bytes, size_t size, hp_status expected, const char *words) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    uint8_t *own = calloc(1, size == 0 ? 1 : size); /* of its own size: sanitizers see a read behind it */
    if (size != 0)
        memcpy(own, bytes, size);
    assert_int_equal(hp_format_pprof.read(own, size, &profile, &error), expected);
    assert_null(profile);
    if (strstr(error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
    free(own);
}

static inline void assert_message(hp_message *message, hp_status expected, const char *words) {
    assert_status(message->bytes.data, message->bytes.size, expected, words);
    hp_bytes_free(&message->bytes);
}

#endif
