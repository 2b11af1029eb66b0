/* SPDX-License-Identifier: MIT */
/* Protocol buffers' encoding, as much of it as pprof's profile.proto needs, and the numbers of that schema. Private to formats/pprof.
 *
 * A message is a run of fields, each a varint `number << 3 | type` and a value; a field of value 0 is left out; what a reader does not know
 * it passes over. On that rule rest the fields of our own: numbers from 200 on in Profile, Function and Location, which pprof will hardly
 * reach. */
#ifndef HP_PPROF_WIRE_H
#define HP_PPROF_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/hyprof/bytes.h"

enum { HP_WIRE_VARINT = 0, HP_WIRE_FIXED64 = 1, HP_WIRE_BYTES = 2, HP_WIRE_FIXED32 = 5, HP_VARINT_LIMIT = 10 };

enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_FUNCTION = 5,
    PROFILE_STRING = 6,
    PROFILE_TIME_NANOS = 9,
    PROFILE_DURATION_NANOS = 10,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_COMMENT = 13,
    PROFILE_DEFAULT_TYPE = 14,
    PROFILE_FACT = 200, /* ours: see facts.h */
    VALUE_TYPE = 1,
    VALUE_UNIT = 2,
    SAMPLE_LOCATION = 1,
    SAMPLE_VALUE = 2,
    SAMPLE_LABEL = 3,
    LABEL_KEY = 1,
    LABEL_STRING = 2,
    LOCATION_ID = 1,
    LOCATION_ADDRESS = 3,
    LOCATION_LINE = 4,
    LOCATION_UNTOLD = 200, /* ours: 1 where the line is only the function's first, for want of a better */
    LINE_FUNCTION = 1,
    LINE_NUMBER = 2,
    FUNCTION_ID = 1,
    FUNCTION_NAME = 2,
    FUNCTION_SYSTEM_NAME = 3,
    FUNCTION_FILE = 4,
    FUNCTION_START_LINE = 5,
    FUNCTION_KIND = 200, /* ours: hp_code_kind + 1; then bytes, as they are in the program */
    FUNCTION_MODULE = 201,
    FUNCTION_QUALNAME = 202,
    FUNCTION_OWN_NAME = 203, /* where it is not the last part of the qualname */
    FUNCTION_OWN_FILE = 204, /* where `filename` had to be escaped */
};

/* Writes a varint of at most HP_VARINT_LIMIT bytes; returns what follows it. */
static inline uint8_t *hp_varint_put(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static inline unsigned hp_varint_size(uint64_t value) {
    unsigned size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static inline void hp_wire_number(hp_bytes *message, uint32_t field, uint64_t value) {
    if (value == 0)
        return;
    hp_bytes_varint(message, (uint64_t)field << 3 | HP_WIRE_VARINT);
    hp_bytes_varint(message, value);
}

static inline void hp_wire_bytes(hp_bytes *message, uint32_t field, const void *bytes, size_t size) {
    hp_bytes_varint(message, (uint64_t)field << 3 | HP_WIRE_BYTES);
    hp_bytes_varint(message, size);
    hp_bytes_add(message, bytes, size);
}

/* Reading. `bad` sticks: a cursor that met something malformed is at its end. */
typedef struct hp_wire {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
} hp_wire;

typedef struct hp_wire_field {
    uint32_t number;
    unsigned type;
    uint64_t value;       /* of a varint or a fixed one */
    const uint8_t *bytes; /* of HP_WIRE_BYTES */
    size_t size;
} hp_wire_field;

uint64_t hp_wire_varint_slow(hp_wire *wire);

static inline uint64_t hp_wire_varint(hp_wire *wire) {
    if (wire->at < wire->end && *wire->at < 0x80)
        return *wire->at++;
    return hp_wire_varint_slow(wire);
}

/* False at the end, and where what follows is malformed (then `bad`). */
bool hp_wire_next(hp_wire *wire, hp_wire_field *field);

/* The inside of a field; of any other type than bytes: nothing. */
static inline hp_wire hp_wire_inside(const hp_wire_field *field) {
    if (field->type != HP_WIRE_BYTES)
        return (hp_wire){0};
    return (hp_wire){field->bytes, field->bytes + field->size, false};
}

#endif
