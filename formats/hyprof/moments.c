/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/moments.h"

static uint64_t expected(hp_moment_place *place, uint64_t time, bool first) {
    if (first)
        *place = (hp_moment_place){time, time};
    place->before = time != place->now ? place->now : place->before;
    place->now = time;
    return place->now - place->before;
}

void hp_moment_writer_begin(hp_moment_writer *writer, hp_group *group) {
    hp_table_begin(&writer->table, group, HP_CHUNK_MOMENTS, 0);
}

void hp_moment_writer_put(hp_moment_writer *writer, const hp_moment *moment, uint32_t node) {
    uint64_t weight = expected(&writer->place, moment->time, writer->table.rows == 0);
    hp_table_row(&writer->table, (uint64_t[]){moment->time, node, moment->weight - weight});
}

void hp_moment_writer_end(hp_moment_writer *writer, bool even_empty) {
    hp_table_end(&writer->table, even_empty);
}

hp_status hp_moment_read(hp_moment_place *place, const hp_rows *rows, uint32_t r, hp_moment *moment, hp_error *error) {
    const uint64_t *at = rows->values + r;
    uint64_t time = at[0], node = at[rows->rows], weight = at[2u * (size_t)rows->rows] + expected(place, time, r == 0);
    if (node > UINT32_MAX || weight > UINT32_MAX || time > HP_MOMENT_TIME_LIMIT)
        return hp_fail(error, HP_BAD_FORMAT, 0, "a sample of the timeline is out of range: time %llu, node %llu, weight %llu",
                       (unsigned long long)time, (unsigned long long)node, (unsigned long long)weight);
    *moment = (hp_moment){time, (uint32_t)node, (uint32_t)weight};
    return HP_OK;
}
