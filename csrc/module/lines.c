/* SPDX-License-Identifier: MIT */
/* Sampled instructions become lines. Line tables can only be read forward, so instructions are sorted by code object and place: each
 * table is read once, however many samples it has. */
#include "module/assemble.h"

#include <stdlib.h>
#include <string.h>

#include "tree/line_table.h"

static int compare_places(const void *left, const void *right) {
    const hp_place *a = left, *b = right;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return a->unit < b->unit ? -1 : a->unit > b->unit;
}

static int compare_lines(const void *left, const void *right) {
    const hp_place *a = left, *b = right;
    if (a->node != b->node)
        return a->node < b->node ? -1 : 1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->state < b->state ? -1 : a->state > b->state;
}

static void decode(hp_code_table *code, const uint32_t *map, hp_place *places, uint32_t count) {
    hp_line_reader reader;
    for (uint32_t i = 0; i < count; i++) {
        hp_code_info info = {0};
        if (i == 0 || places[i].slot != places[i - 1].slot) {
            /* A hidden function's samples stand in its caller's node: the line that they have is not a line of the caller. */
            bool known = map[places[i].slot] != HP_MAP_HIDE && hp_code_table_info(code, places[i].slot, &info);
            hp_line_reader_init(&reader, known ? info.line_table : NULL, known ? info.line_table_size : 0, info.first_line);
        }
        uint32_t line = hp_line_reader_line(&reader, places[i].unit);
        places[i].line = line < HP_LINE_LIMIT ? line : 0;
    }
}

static hp_status add_sums(const hp_place *places, uint32_t count, hp_profile *profile) {
    hp_status status = HP_OK;
    for (uint32_t i = 0; status == HP_OK && i < count;) {
        hp_place sum = places[i++];
        for (; i < count && compare_lines(&sum, &places[i]) == 0; i++) {
            sum.samples += places[i].samples;
            sum.sampled += places[i].sampled;
        }
        status = hp_profile_add_line(profile, &(hp_line){sum.node, sum.line, sum.state, sum.samples, sum.sampled});
    }
    return status;
}

hp_status hp_assemble_lines(const hp_gathered *gathered, const uint32_t *map, const uint32_t *node_map, const hp_place *more,
                            uint32_t more_count, hp_profile *profile) {
    const hp_sampled *sampled = &gathered->sampled;
    uint32_t count = sampled->line_count + more_count;
    if (count == 0)
        return HP_OK;
    hp_place *places = malloc(count * sizeof *places);
    if (!places)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < sampled->line_count; i++) {
        const hp_sampled_line *from = &sampled->lines[i];
        places[i] = (hp_place){.slot = sampled->tree.nodes[from->node].function,
                               .unit = from->unit,
                               .state = (hp_thread_state)from->state,
                               .node = node_map[from->node],
                               .samples = from->samples,
                               .sampled = from->sampled};
    }
    if (more_count > 0)
        memcpy(places + sampled->line_count, more, more_count * sizeof *places);
    qsort(places, count, sizeof *places, compare_places);
    decode(gathered->code, map, places, count);
    qsort(places, count, sizeof *places, compare_lines);
    hp_status status = add_sums(places, count, profile);
    free(places);
    return status;
}
