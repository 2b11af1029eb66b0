/* SPDX-License-Identifier: MIT */
#include "formats/pstats/unmarshal.h"

#include <stdlib.h>
#include <string.h>

#include "formats/pstats/marshal.h"
#include "formats/text.h"

enum { NESTING_LIMIT = 32 }; /* a pstats file has 4 */

void hp_unmarshal_init(hp_unmarshal *reader, const uint8_t *bytes, size_t size, hp_error *error) {
    *reader = (hp_unmarshal){.bytes = bytes, .size = size, .budget = size + 4096, .error = error};
}

void hp_unmarshal_fini(hp_unmarshal *reader) {
    free(reader->refs);
    reader->refs = NULL;
}

static hp_status cut_short(hp_unmarshal *reader) {
    reader->cut_short = true;
    return hp_fail(reader->error, HP_BAD_FORMAT, 0, "this pstats file ends in the middle of a row, after %zu bytes: it was cut short",
                   reader->size);
}

static bool left(const hp_unmarshal *reader, size_t size) {
    return reader->size - reader->at >= size;
}

static uint64_t take(hp_unmarshal *reader, unsigned size) {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)reader->bytes[reader->at + i] << (8 * i);
    reader->at += size;
    return value;
}

static bool remember(hp_unmarshal *reader, size_t offset) {
    if (reader->ref_count == reader->ref_capacity) {
        size_t capacity = reader->ref_capacity != 0 ? reader->ref_capacity * 2 : 256;
        size_t *refs = realloc(reader->refs, capacity * sizeof *refs);
        if (refs == NULL)
            return false;
        reader->refs = refs;
        reader->ref_capacity = capacity;
    }
    reader->refs[reader->ref_count++] = offset;
    return true;
}

/* Singletons take no reference number, whatever their flag says; a reference is no object. */
static bool is_referable(uint8_t type) {
    return strchr("0NTFr", type) == NULL;
}

static void set_integer(hp_object *object, uint64_t amount, bool negative) {
    object->kind = HP_OBJECT_INT;
    object->integer = amount;
    object->negative = negative && amount != 0;
    object->number = negative ? -(double)amount : (double)amount;
}

static hp_status take_fixed(hp_unmarshal *reader, hp_object *object, unsigned size) {
    if (!left(reader, size))
        return cut_short(reader);
    uint64_t bits = take(reader, size);
    uint64_t sign = (uint64_t)1 << (8 * size - 1);
    bool negative = (bits & sign) != 0;
    set_integer(object, negative ? (sign - 1 - (bits & (sign - 1))) + 1 : bits, negative);
    return HP_OK;
}

static hp_status take_long(hp_unmarshal *reader, hp_object *object) {
    if (!left(reader, 4))
        return cut_short(reader);
    uint32_t head = (uint32_t)take(reader, 4);
    bool negative = head >> 31 != 0, large = false;
    size_t digits = negative ? (uint64_t)0x100000000u - head : head;
    uint64_t amount = 0;
    if (!left(reader, 2 * digits))
        return cut_short(reader);
    for (size_t i = 0; i < digits; i++) {
        uint64_t digit = take(reader, 2) & 0x7fff;
        large = large || (digit != 0 && (i > 4 || (i == 4 && digit > 15)));
        amount |= i <= 4 ? digit << (15 * i) : 0;
    }
    set_integer(object, large ? UINT64_MAX : amount, negative);
    return HP_OK;
}

static hp_status take_double(hp_unmarshal *reader, hp_object *object) {
    if (!left(reader, 8))
        return cut_short(reader);
    uint64_t bits = take(reader, 8);
    object->kind = HP_OBJECT_FLOAT;
    memcpy(&object->number, &bits, sizeof bits);
    return HP_OK;
}

static double scaled(double value, int exponent) {
    double power = 1;
    for (int left_over = abs(exponent); left_over > 0; left_over--)
        power *= 10;
    return exponent < 0 ? value / power : value * power;
}

/* Digits with at most one point; how many of them stand behind it is taken off `exponent`. */
static size_t take_digits(const uint8_t *text, size_t size, double *value, int *exponent) {
    size_t i = 0;
    bool point = false;
    for (; i < size && ((text[i] >= '0' && text[i] <= '9') || (text[i] == '.' && !point)); i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        *value = *value * 10 + (text[i] - '0');
        *exponent -= point;
    }
    return i;
}

/* Marshal 0 and 1 write floats as text. strtod follows the program's locale, so the decimal is read by hand. */
static hp_status take_text_double(hp_unmarshal *reader, hp_object *object) {
    if (!left(reader, 1) || !left(reader, (size_t)reader->bytes[reader->at] + 1))
        return cut_short(reader);
    size_t size = (size_t)take(reader, 1), i = 0;
    const uint8_t *text = reader->bytes + reader->at;
    double value = 0;
    int scale = 0, exponent = 0;
    reader->at += size;
    bool negative = size != 0 && text[0] == '-';
    i = negative + take_digits(text + negative, size - negative, &value, &scale);
    if (i < size && text[i] == 'e') {
        i++;
        bool down = i < size && text[i] == '-';
        i += i < size && (text[i] == '-' || text[i] == '+');
        for (; i < size && text[i] >= '0' && text[i] <= '9' && exponent < 1000; i++)
            exponent = exponent * 10 + (text[i] - '0');
        exponent = down ? -exponent : exponent;
    }
    char shown[HP_TEXT_SHOWN_ROOM];
    if (i != size || size == 0)
        return hp_fail(reader->error, HP_BAD_FORMAT, 0, "this pstats file has a number that is none: \"%s\"",
                       hp_text_shown(shown, text, size));
    object->kind = HP_OBJECT_FLOAT;
    object->number = scaled(negative ? -value : value, scale + exponent);
    return HP_OK;
}

static hp_status take_text(hp_unmarshal *reader, hp_object *object, unsigned size_bytes) {
    if (!left(reader, size_bytes))
        return cut_short(reader);
    object->kind = HP_OBJECT_TEXT;
    object->size = (size_t)take(reader, size_bytes);
    object->text = reader->bytes + reader->at;
    if (!left(reader, object->size))
        return cut_short(reader);
    reader->at += object->size;
    return HP_OK;
}

/* Each child takes a byte at least, so a count beyond what is left is a lie. */
static hp_status take_count(hp_unmarshal *reader, hp_object *object, unsigned size_bytes) {
    if (!left(reader, size_bytes))
        return cut_short(reader);
    object->kind = HP_OBJECT_TUPLE;
    object->count = (uint32_t)take(reader, size_bytes);
    return left(reader, object->count) ? HP_OK : cut_short(reader);
}

static hp_status no_such_type(hp_unmarshal *reader, uint8_t type) {
    return hp_fail(reader->error, HP_BAD_FORMAT, 0,
                   "this is no pstats file: it has an object of type 0x%02x at byte %zu, where rows should be", type, reader->at - 1);
}

static hp_status take_number(hp_unmarshal *reader, uint8_t type, hp_object *object) {
    switch (type) {
    case HP_MARSHAL_TRUE:
    case HP_MARSHAL_FALSE:
        set_integer(object, type == HP_MARSHAL_TRUE, false);
        return HP_OK;
    case HP_MARSHAL_INT:
        return take_fixed(reader, object, 4);
    case HP_MARSHAL_INT64:
        return take_fixed(reader, object, 8);
    case HP_MARSHAL_LONG:
        return take_long(reader, object);
    case HP_MARSHAL_FLOAT:
        return take_text_double(reader, object);
    case HP_MARSHAL_BINARY_FLOAT:
        return take_double(reader, object);
    default:
        return no_such_type(reader, type);
    }
}

static hp_status take_body(hp_unmarshal *reader, uint8_t type, hp_object *object) {
    switch (type) {
    case HP_MARSHAL_NULL:
    case HP_MARSHAL_NONE:
        object->kind = type == HP_MARSHAL_NULL ? HP_OBJECT_END : HP_OBJECT_NONE;
        return HP_OK;
    case HP_MARSHAL_BYTES:
    case HP_MARSHAL_INTERNED:
    case HP_MARSHAL_UNICODE:
    case HP_MARSHAL_ASCII:
    case HP_MARSHAL_ASCII_INTERNED:
        return take_text(reader, object, 4);
    case HP_MARSHAL_SHORT_ASCII:
    case HP_MARSHAL_SHORT_ASCII_INTERNED:
        return take_text(reader, object, 1);
    case HP_MARSHAL_TUPLE:
    case HP_MARSHAL_LIST:
        return take_count(reader, object, 4);
    case HP_MARSHAL_SMALL_TUPLE:
        return take_count(reader, object, 1);
    case HP_MARSHAL_DICT:
        object->kind = HP_OBJECT_DICT;
        return HP_OK;
    default:
        return take_number(reader, type, object);
    }
}

static hp_status follow(hp_unmarshal *reader, hp_object *object) {
    if (!left(reader, 4))
        return cut_short(reader);
    size_t index = (size_t)take(reader, 4);
    if (index >= reader->ref_count || reader->budget == 0 || reader->replaying >= NESTING_LIMIT)
        return hp_fail(reader->error, HP_BAD_FORMAT, 0, "this is no pstats file: the reference at byte %zu %s", reader->at - 5,
                       index >= reader->ref_count ? "leads nowhere" : "leads in circles");
    size_t resume = reader->at, start = reader->refs[index];
    reader->at = start;
    uint8_t type = reader->bytes[reader->at++] & (uint8_t)~HP_MARSHAL_FLAG_REF;
    hp_status status = take_body(reader, type, object);
    if (status == HP_OK && (object->kind == HP_OBJECT_TUPLE || object->kind == HP_OBJECT_DICT)) {
        object->resume = resume;
        reader->replaying++;
        return HP_OK;
    }
    /* A long text that many refer to would be hashed again each time. */
    size_t cost = (reader->at - start) / 4096;
    reader->budget -= cost < reader->budget ? cost : reader->budget;
    reader->at = resume;
    return status;
}

hp_status hp_unmarshal_next(hp_unmarshal *reader, hp_object *object) {
    *object = (hp_object){0};
    if (!left(reader, 1))
        return cut_short(reader);
    size_t offset = reader->at;
    uint8_t byte = reader->bytes[reader->at++], type = byte & (uint8_t)~HP_MARSHAL_FLAG_REF;
    if (reader->replaying != 0 && reader->budget-- == 0) {
        reader->budget = 0;
        return hp_fail(reader->error, HP_BAD_FORMAT, 0, "this is no pstats file: its references unfold to more than the file itself");
    }
    if (type == HP_MARSHAL_REF)
        return follow(reader, object);
    if (byte != type && reader->replaying == 0 && is_referable(type) && !remember(reader, offset))
        return hp_fail(reader->error, HP_NO_MEMORY, 0, "not enough memory to read a pstats file");
    return take_body(reader, type, object);
}

void hp_unmarshal_leave(hp_unmarshal *reader, const hp_object *container) {
    if (container->resume != 0) {
        reader->at = container->resume;
        reader->replaying--;
    }
}

static hp_status skip(hp_unmarshal *reader, const hp_object *head, unsigned nesting) {
    hp_status status = HP_OK;
    hp_object child = {0};
    if (head->kind != HP_OBJECT_TUPLE && head->kind != HP_OBJECT_DICT)
        return HP_OK;
    if (nesting > NESTING_LIMIT)
        return hp_fail(reader->error, HP_BAD_FORMAT, 0, "this is no pstats file: its objects are nested more than %d deep", NESTING_LIMIT);
    for (uint32_t i = 0; status == HP_OK && (head->kind == HP_OBJECT_DICT || i < head->count); i++) {
        status = hp_unmarshal_next(reader, &child);
        if (status == HP_OK && child.kind == HP_OBJECT_END)
            break;
        if (status == HP_OK)
            status = skip(reader, &child, nesting + 1);
    }
    hp_unmarshal_leave(reader, head);
    return status;
}

hp_status hp_unmarshal_skip(hp_unmarshal *reader, const hp_object *head) {
    return skip(reader, head, 0);
}
