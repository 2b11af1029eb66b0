/* SPDX-License-Identifier: MIT */
/* A timeline as rows of chunks. Private to formats/hyprof.
 *
 * Most samples stand for the time since the tick before, which their chunk says: what is written of a weight is the difference to that, so
 * mostly 0. A chunk knows nothing of the ones before it. */
#ifndef HP_HYPROF_MOMENTS_H
#define HP_HYPROF_MOMENTS_H

#include "formats/hyprof/table.h"
#include "tree/timeline.h"

/* Where a chunk has come to: this time, and the last one that was another. Begins anew with each. */
typedef struct hp_moment_place {
    uint64_t now, before;
} hp_moment_place;

typedef struct hp_moment_writer {
    hp_table table;
    hp_moment_place place;
} hp_moment_writer;

void hp_moment_writer_begin(hp_moment_writer *writer, hp_group *group);
/* `node`: its id in the file. */
void hp_moment_writer_put(hp_moment_writer *writer, const hp_moment *moment, uint32_t node);
void hp_moment_writer_end(hp_moment_writer *writer, bool even_empty);

/* Row `r` of a chunk, rows in order. HP_BAD_FORMAT and a sentence where it means nothing; whether there is such a node is not asked. */
hp_status hp_moment_read(hp_moment_place *place, const hp_rows *rows, uint32_t r, hp_moment *moment, hp_error *error);

#endif
