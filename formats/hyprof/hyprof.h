/* SPDX-License-Identifier: MIT */
/* The native format, chunk by chunk, for who writes while the program still runs. SPEC.md has the layout.
 *
 * A stream remembers what it has written. Each hp_hyprof_append takes a whole profile of the same session and writes only what is new: new
 * strings, functions, nodes, and by how much counters grew. A reader adds up. A process that is killed loses at most the chunk being
 * written. */
#ifndef HP_FORMATS_HYPROF_H
#define HP_FORMATS_HYPROF_H

#include <stdbool.h>

#include "formats/format.h"

typedef struct hp_hyprof_stream hp_hyprof_stream;

/* Nothing is created or overwritten until the first append has been written to a temporary file, which is then renamed to `path`. `path` is
 * copied. */
hp_status hp_hyprof_open(hp_hyprof_stream **out, const char *path, hp_error *error);
hp_status hp_hyprof_append(hp_hyprof_stream *stream, const hp_profile *profile, hp_error *error);
/* `complete`: writes the end mark (a file without it was cut short, and readers say so). Closes and frees in any case. */
hp_status hp_hyprof_close(hp_hyprof_stream *stream, bool complete, hp_error *error);

extern const hp_format hp_format_hyprof;

#endif
