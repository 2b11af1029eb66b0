/* SPDX-License-Identifier: MIT */
/* From chunks to a record: the layer below checksums and zlib, where every number is still untrusted. Private to formats/hyprof. */
#ifndef HP_HYPROF_DECODE_H
#define HP_HYPROF_DECODE_H

#include "formats/hyprof/chunk.h"
#include "formats/hyprof/record.h"
#include "formats/hyprof/table.h"

typedef struct hp_decoder {
    hp_record record;
    const char **strings; /* by file id; they live in record.profile's strings */
    uint32_t string_count, string_capacity;
    uint32_t *functions; /* by file id: the id in record.profile, which has one function from the start */
    uint32_t function_count, function_capacity;
    bool met_function_0;
    bool parts_only;    /* the tree is read without its index, only to be added to another */
    size_t mended_left; /* see text.h */
    hp_rows rows;
    hp_inflater inflater;
} hp_decoder;

hp_status hp_decoder_init(hp_decoder *decoder);
void hp_decoder_fini(hp_decoder *decoder);

/* Adds one chunk to the record; unknown types are passed over unless they must be understood. After a failure the record is good for
 * nothing but hp_decoder_fini. */
hp_status hp_decoder_chunk(hp_decoder *decoder, const hp_chunk *chunk, hp_error *error);

#endif
