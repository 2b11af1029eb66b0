/* SPDX-License-Identifier: MIT */
/* Reads marshal, versions 0 to 5, as far as a pstats file goes: numbers, strings, tuples, lists, dicts and references to them. Bytes are
 * not trusted.
 *
 * No objects are made: the reader steps through the bytes. A reference is followed by going back to where the object stands (its offset is
 * all that is kept, 8 bytes for an object of at least one), reading it again there and returning. How much may be read again is bounded
 * by the file's size, or a small file could unfold without end. */
#ifndef HP_FORMATS_PSTATS_UNMARSHAL_H
#define HP_FORMATS_PSTATS_UNMARSHAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum hp_object_kind {
    HP_OBJECT_END, /* of a dict */
    HP_OBJECT_NONE,
    HP_OBJECT_INT, /* also bool */
    HP_OBJECT_FLOAT,
    HP_OBJECT_TEXT,
    HP_OBJECT_TUPLE, /* or list: `count` objects follow */
    HP_OBJECT_DICT,  /* pairs follow, then an END */
} hp_object_kind;

typedef struct hp_object {
    hp_object_kind kind;
    bool negative;
    uint64_t integer; /* the amount; UINT64_MAX where it is larger */
    double number;    /* of an int too */
    const uint8_t *text;
    size_t size;
    uint32_t count;
    size_t resume; /* where to go on after a container that was referred to; 0: it was not */
} hp_object;

typedef struct hp_unmarshal {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    size_t *refs;
    size_t ref_count, ref_capacity;
    unsigned replaying; /* how many references we are inside of: nothing is registered twice */
    size_t budget;      /* objects that may still be read by reference */
    bool cut_short;     /* the failure was that the bytes end */
    hp_error *error;
} hp_unmarshal;

void hp_unmarshal_init(hp_unmarshal *reader, const uint8_t *bytes, size_t size, hp_error *error);
void hp_unmarshal_fini(hp_unmarshal *reader);
/* The next object; for a container its head. */
hp_status hp_unmarshal_next(hp_unmarshal *reader, hp_object *object);
/* Must follow the last child of a container. */
void hp_unmarshal_leave(hp_unmarshal *reader, const hp_object *container);
/* Reads and forgets what is left of an object whose head was read. */
hp_status hp_unmarshal_skip(hp_unmarshal *reader, const hp_object *head);

#endif
