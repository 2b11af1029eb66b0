/* SPDX-License-Identifier: MIT */
/* The native format, chunk by chunk, for who writes while the program still runs. SPEC.md has the layout.
 *
 * A stream remembers what it has written. Each hp_hyprof_append takes a whole profile of the same session and writes only what is new: new
 * strings, functions, nodes, and by how much counters grew. A reader adds up. A process that is killed loses at most the chunk being
 * written. From time to time the differences are replaced by their sum, so that the file is bounded by what is in the profile, not by how
 * long it was written to. */
#ifndef HP_FORMATS_HYPROF_H
#define HP_FORMATS_HYPROF_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/format.h"

typedef struct hp_hyprof_stream hp_hyprof_stream;

/* No append waits for the disk: a sync has a thread of its own, one at a time. Nothing is created or overwritten until the first append has
 * been written to a temporary file, which is then renamed to `path`: unless that leads to another file by then than it led to when this was
 * called. `path` is copied. */
hp_status hp_hyprof_open(hp_hyprof_stream **out, const char *path, hp_error *error);
/* A profile's timeline, if it has one, is what came since the last append that worked; all else is whole. */
hp_status hp_hyprof_append(hp_hyprof_stream *stream, const hp_profile *profile, hp_error *error);
/* Where what was appended is more than `bytes`, and more than the profile takes that is written once, the file is made compact: another one
 * that holds the profile once takes its place, when it is on the disk. UINT64_MAX: never. A megabyte unless said. */
void hp_hyprof_compact_above(hp_hyprof_stream *stream, uint64_t bytes);
/* Waits for a sync that is under way, at most so many milliseconds (less than 0: for as long as it takes), and does what had to wait for
 * it. Before a fork: so that as a rule no thread of ours runs then. */
void hp_hyprof_rest(hp_hyprof_stream *stream, int milliseconds);
/* Why the file could not be made compact; "" if it always could. It is whole all the same, and grows on. */
const char *hp_hyprof_notice(const hp_hyprof_stream *stream);
/* `complete`: writes the end mark (a file without it was cut short, and readers say so). Waits for the disk. Closes and frees in any case.
 */
hp_status hp_hyprof_close(hp_hyprof_stream *stream, bool complete, hp_error *error);

/* As hp_format_hyprof.read, but rows and edges are not computed: for who adds the profile to others (tree/merge.h). */
hp_status hp_hyprof_read_parts(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);
/* Metadata, counters and sources alone, in a profile that is empty otherwise: what tells whether a merge needs the file. Whether the rest
 * can be read is not found out, but groups that are damaged or unfinished are left out of this too. */
hp_status hp_hyprof_read_sources(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);

extern const hp_format hp_format_hyprof;

#endif
