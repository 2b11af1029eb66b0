/* SPDX-License-Identifier: MIT */
#include "formats/pprof/wire.h"

static uint64_t wire_fail(hp_wire *wire) {
    wire->bad = true;
    wire->at = wire->end;
    return 0;
}

uint64_t hp_wire_varint_slow(hp_wire *wire) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 7 * HP_VARINT_LIMIT; shift += 7) {
        if (wire->at >= wire->end)
            return wire_fail(wire);
        uint8_t byte = *wire->at++;
        value |= (uint64_t)(byte & 0x7f) << shift; /* what does not fit into 64 bits falls off, as everybody's reader does it */
        if (byte < 0x80)
            return value;
    }
    return wire_fail(wire);
}

static uint64_t wire_fixed(hp_wire *wire, unsigned size) {
    uint64_t value = 0;
    if ((size_t)(wire->end - wire->at) < size)
        return wire_fail(wire);
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)wire->at[i] << 8 * i;
    wire->at += size;
    return value;
}

static void wire_bytes(hp_wire *wire, hp_wire_field *field) {
    uint64_t size = hp_wire_varint(wire);
    if (wire->bad || size > (uint64_t)(wire->end - wire->at)) {
        wire_fail(wire);
        return;
    }
    field->bytes = wire->at;
    field->size = (size_t)size;
    wire->at += size;
}

bool hp_wire_next(hp_wire *wire, hp_wire_field *field) {
    if (wire->at >= wire->end)
        return false;
    uint64_t tag = hp_wire_varint(wire);
    *field = (hp_wire_field){.number = (uint32_t)(tag >> 3), .type = (unsigned)(tag & 7)};
    bool fixed = field->type == HP_WIRE_FIXED64 || field->type == HP_WIRE_FIXED32;
    bool known = fixed || field->type == HP_WIRE_VARINT || field->type == HP_WIRE_BYTES;
    if (!known || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
        wire_fail(wire);
    else if (field->type == HP_WIRE_VARINT)
        field->value = hp_wire_varint(wire);
    else if (fixed)
        field->value = wire_fixed(wire, field->type == HP_WIRE_FIXED64 ? 8 : 4);
    else
        wire_bytes(wire, field);
    return !wire->bad;
}
