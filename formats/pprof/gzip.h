/* SPDX-License-Identifier: MIT */
/* gzip on the way to a sink, and back from untrusted bytes. Private to formats/pprof.
 *
 * A file may hold HP_GZIP_FREE bytes, or HP_GZIP_RATIO times its own size: a reader refuses what inflates to more, so that a small file
 * cannot fill the memory. A writer keeps well within that by storing blocks that deflate too well. */
#ifndef HP_PPROF_GZIP_H
#define HP_PPROF_GZIP_H

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#include "base/sink.h"

#define HP_GZIP_FREE ((uint64_t)64 << 20)
#define HP_GZIP_RATIO UINT64_C(64)
/* Protocol buffers' own limit for one message. */
#define HP_GZIP_RAW_LIMIT (((uint64_t)1 << 31) - 1)

typedef struct hp_gzip {
    hp_sink *sink;
    z_stream stream;
    uint8_t *in, *out;
    size_t used;          /* of `in` */
    uint64_t raw, packed; /* bytes so far */
    int level;
} hp_gzip;

/* HP_NO_MEMORY: nothing to end. */
hp_status hp_gzip_begin(hp_gzip *gzip, hp_sink *sink);
void hp_gzip_write(hp_gzip *gzip, const void *bytes, size_t size);
/* Writes what is left and frees. */
void hp_gzip_end(hp_gzip *gzip);

static inline bool hp_gzip_is(const uint8_t *bytes, size_t size) {
    return size >= 3 && bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == Z_DEFLATED;
}
/* The content, malloc'ed, for the caller to free; or a sentence. */
hp_status hp_gunzip(const uint8_t *bytes, size_t size, uint8_t **raw, size_t *raw_size, hp_error *error);

#endif
