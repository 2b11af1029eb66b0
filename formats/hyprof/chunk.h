/* SPDX-License-Identifier: MIT */
/* The outer layer of a .hyprof file: file header, chunks, groups of chunks. Private to formats/hyprof; SPEC.md says the same for readers in
 * other languages.
 *
 * A group is what one append writes: chunks, closed by a commit. The header has a checksum of its own, so that a damaged length is told
 * apart from a file that ends too early. */
#ifndef HP_HYPROF_CHUNK_H
#define HP_HYPROF_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "base/status.h"
#include "formats/hyprof/bytes.h"

enum {
    HP_FILE_HEADER_SIZE = 16,
    HP_CHUNK_HEADER_SIZE = 20,
    HP_HYPROF_MAJOR = 1, /* raised when an older reader would read wrong numbers: it refuses */
    HP_HYPROF_MINOR = 2, /* raised when something was added that an older reader may pass over */
    /* What a reader must be ready to inflate, and the most that one payload byte may stand for: the writer stores a chunk as it is rather
     * than pass the ratio. With rows_limit and the rule of one payload byte for each row, memory is a small multiple of the file's size
     * whatever the file says. */
    HP_CHUNK_RAW_LIMIT = 64 << 20,
    HP_CHUNK_RATIO_LIMIT = 64,
    HP_CHUNK_ROWS_LIMIT = 1 << 16,
    HP_SOURCE_BYTES = 8, /* of payload that a source takes at least: it is a long struct, and its id does not deflate */
};

typedef enum hp_chunk_type {
    HP_CHUNK_META = 1,
    HP_CHUNK_COUNTERS = 2,
    HP_CHUNK_WARNINGS = 3,
    HP_CHUNK_STRINGS = 4,
    HP_CHUNK_FUNCTIONS = 5,
    HP_CHUNK_FUNCTIONS_ABSENT = 6,
    HP_CHUNK_NODES = 7,
    HP_CHUNK_NODES_ABSENT = 8,
    HP_CHUNK_SAMPLED = 9,
    HP_CHUNK_EXACT = 10,
    HP_CHUNK_LINES = 11,
    HP_CHUNK_LINE_COUNTS = 12,
    HP_CHUNK_ESTIMATES = 13,
    HP_CHUNK_ESTIMATE_COUNTS = 14,
    HP_CHUNK_THREADS = 15,
    HP_CHUNK_ROWS = 16,
    HP_CHUNK_EDGES = 17,
    HP_CHUNK_SOURCES = 18,            /* since 1.1 */
    HP_CHUNK_ESTIMATE_VARIANCES = 19, /* since 1.1 */
    HP_CHUNK_COMMIT = 30,
    HP_CHUNK_END = 31,
    HP_CHUNK_MOMENTS = 32, /* a timeline; since 1.2 */
    /* 33 coverage windows: reserved */
} hp_chunk_type;

enum {
    HP_CHUNK_MUST_UNDERSTAND = 1u << 0, /* a reader that does not know the type must refuse the file */
    HP_CHUNK_DEFLATED = 1u << 1,        /* the payload is a zlib stream; else it is as it is */
    HP_CHUNK_FLAGS_KNOWN = HP_CHUNK_MUST_UNDERSTAND | HP_CHUNK_DEFLATED,
};

typedef struct hp_chunk {
    uint16_t type;
    uint16_t flags;
    uint32_t size;     /* of the payload in the file */
    uint32_t raw_size; /* inflated */
    const uint8_t *payload;
} hp_chunk;

typedef enum hp_chunk_state { HP_CHUNK_WHOLE, HP_CHUNK_CUT, HP_CHUNK_DAMAGED } hp_chunk_state;

/* Chunks on their way to the file. Owner: one thread. */
typedef struct hp_group {
    hp_bytes out;     /* what goes to the file */
    uint32_t chunks;  /* since the last commit */
    uint32_t groups;  /* commits so far */
    z_stream deflate; /* kept: setting it up costs a quarter of a megabyte */
    bool deflating;
    bool failed;   /* memory was short */
    bool too_long; /* a chunk was over HP_CHUNK_RAW_LIMIT */
} hp_group;

void hp_group_file_header(hp_group *group);
/* `rows`: how many rows the chunk holds, for the rule of one byte each. */
void hp_group_chunk(hp_group *group, uint16_t type, const void *raw, size_t raw_size, uint32_t rows);
/* Closes what was written since the last commit. */
void hp_group_commit(hp_group *group);
void hp_group_end(hp_group *group);
/* Whether all of it worked: HP_NO_MEMORY, or HP_BAD_VALUE where a text is longer than a chunk may be. */
hp_status hp_group_status(const hp_group *group, hp_error *error);
void hp_group_free(hp_group *group);

/* HP_OK, or a sentence that says what the file is instead. */
hp_status hp_file_header_read(const uint8_t *bytes, size_t size, hp_error *error);
/* Whether the bytes may be of this format, damaged by a text-mode transfer or not. */
bool hp_file_header_recognize(const uint8_t *bytes, size_t size);
/* The header of the chunk at `bytes`, of which `size` remain, and its own checksum. */
hp_chunk_state hp_chunk_header(const uint8_t *bytes, size_t size, hp_chunk *chunk);
/* The checksum of the payload of a chunk that stands behind its header. */
bool hp_chunk_payload_is_whole(const hp_chunk *chunk);
/* Both. */
hp_chunk_state hp_chunk_read(const uint8_t *bytes, size_t size, hp_chunk *chunk);

/* Inflates chunk after chunk. A file that grew while its program ran has thousands of small ones: what is allocated for a stream, and a
 * window that no single-step inflation looks back into, would cost more than many of them. Begins as all zero. Owner: one thread. */
typedef struct hp_inflater {
    z_stream stream;
    bool ready;
    hp_bytes room;
} hp_inflater;

/* The payload as it was before it was deflated: `*raw` points into the inflater, until the next chunk, or into the chunk. */
hp_status hp_chunk_inflate(const hp_chunk *chunk, hp_inflater *inflater, const uint8_t **raw, hp_error *error);
void hp_inflater_fini(hp_inflater *inflater);

#endif
