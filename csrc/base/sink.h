/* SPDX-License-Identifier: MIT */
/* Where a format writes: a buffered file or a growing memory block. The first failure sticks; writers need not check each call. */
#ifndef HP_BASE_SINK_H
#define HP_BASE_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct hp_sink hp_sink;

hp_status hp_sink_memory(hp_sink **out);
/* Takes an open descriptor; does not close it. */
hp_status hp_sink_descriptor(hp_sink **out, int descriptor);
void hp_sink_free(hp_sink *sink);

void hp_sink_write(hp_sink *sink, const void *bytes, size_t size);
void hp_sink_text(hp_sink *sink, const char *text);
void hp_sink_byte(hp_sink *sink, char byte);
/* Decimal. Much faster than printf; exports of 100,000 nodes spend their time here. */
void hp_sink_u64(hp_sink *sink, uint64_t value);
void hp_sink_format(hp_sink *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes out what is buffered and returns the first failure of the sink's life. */
hp_status hp_sink_flush(hp_sink *sink, hp_error *error);
/* Memory sinks only: what was written so far; valid until the next write. */
const uint8_t *hp_sink_bytes(const hp_sink *sink, size_t *size);

/* Runs `write` into a temporary file beside `path` whose name does not begin with `path`'s name (KCachegrind opens siblings that
 * do), then fsync, rename. Mode 0600 for a new file; an existing file's mode is kept. On failure the old file is untouched, the temporary
 * file is gone and `error` is a sentence with the path. */
typedef hp_status (*hp_write_function)(hp_sink *sink, const void *what, hp_error *error);
hp_status hp_write_atomically(const char *path, hp_write_function write, const void *what, hp_error *error);
/* For who goes on writing to a regular file that he has open for writing as `*descriptor`: another file, with what `write` writes, takes
 * its place as above, and `*descriptor` is open on that instead. Mode and owner are those of the old one. HP_UNSUPPORTED where the old file
 * is no longer what `path` leads to, has a second name, or its owner could not be kept. On any failure file and descriptor are as they
 * were.
 */
hp_status hp_rewrite_file(const char *path, int *descriptor, hp_write_function write, const void *what, hp_error *error);
/* Removes from `path`'s directory what processes that were killed in the middle of one of the above have left: our own temporary files,
 * by name and owner, that nobody has written to for an hour. Failures are nobody's business. */
void hp_sweep_leftovers(const char *path);
/* The whole file, malloc'ed, for the caller to free. HP_BAD_VALUE with a sentence when it is over `limit` bytes. */
hp_status hp_read_file(const char *path, size_t limit, uint8_t **bytes, size_t *size, hp_error *error);

#endif
