/* SPDX-License-Identifier: MIT */
/* The file that takes the place of one that grew. Private to formats/hyprof.
 *
 * One group: a whole profile, and the timeline, copied chunk by chunk from the old file, so that one of any length takes the memory of a
 * chunk. */
#ifndef HP_HYPROF_COMPACT_H
#define HP_HYPROF_COMPACT_H

#include <sys/types.h>

#include "base/sink.h"
#include "formats/hyprof/chunk.h"

typedef struct hp_compact {
    hp_group group; /* the profile, without a commit */
    int old;        /* open for reading */
    off_t old_size; /* of its whole groups */
    bool has_timeline;
    off_t size; /* of the new file, when it was written */
} hp_compact;

/* A hp_write_function: `what` is a hp_compact. */
hp_status hp_compact_write(hp_sink *sink, const void *what, hp_error *error);

#endif
