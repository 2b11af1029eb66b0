/* SPDX-License-Identifier: MIT */
/* Where a format writes: a buffered file or a growing memory block. The first failure sticks; writers need not check each call. */
#ifndef HP_BASE_SINK_H
#define HP_BASE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct hp_sink hp_sink;

hp_status hp_sink_memory(hp_sink **out);
/* Takes an open descriptor; does not close it. */
hp_status hp_sink_descriptor(hp_sink **out, int descriptor);
/* Where a signal interrupts a write that waits for its reader `go_on` is asked; false ends the sink with EINTR. Unless said it goes on. */
void hp_sink_ask_after_signals(hp_sink *sink, bool (*go_on)(void *whose), void *whose);
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
/* As above without fsync, for who has it done later: whoever reads the file has all of it, but a machine that fails may leave neither file.
 */
hp_status hp_write_unsynced(const char *path, hp_write_function write, const void *what, hp_error *error);

/* For who goes on writing to a regular file that he has open for writing: another file, with what `write` writes, is to take its place as
 * above, once it is on the disk, which is for its owner to see to. All zero: there is none. */
typedef struct hp_successor {
    char *name, *target;
    int descriptor;
} hp_successor;
/* Mode and owner are those of the old file, which is open as `descriptor`. HP_UNSUPPORTED where that is no longer what `path` leads to, has
 * a second name, or its owner could not be kept. On any failure all is as it was. */
hp_status hp_successor_write(hp_successor *successor, const char *path, int descriptor, hp_write_function write, const void *what,
                             hp_error *error);
/* Then `*descriptor` is open on it. Fails as above; then the successor is still its owner's to drop. */
hp_status hp_successor_take_place(hp_successor *successor, const char *path, int *descriptor, hp_error *error);
/* `remove_it`: false in a forked child, whose parent's it is. */
void hp_successor_drop(hp_successor *successor, bool remove_it);

/* Removes from `path`'s directory what processes that were killed in the middle of one of the above have left: our own temporary files,
 * by name and owner, that nobody has written to for an hour. Failures are nobody's business. */
void hp_sweep_leftovers(const char *path);
/* The whole file, malloc'ed, for the caller to free. HP_BAD_VALUE with a sentence when it is over `limit` bytes. */
hp_status hp_read_file(const char *path, size_t limit, uint8_t **bytes, size_t *size, hp_error *error);

#endif
