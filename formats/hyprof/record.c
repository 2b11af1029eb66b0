/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

hp_status hp_marks_reserve(hp_marks *marks, uint32_t count) {
    uint32_t old = marks->capacity;
    uint8_t *grown = hp_array_grow(marks->marks, &marks->capacity, count, 1);
    if (grown == NULL)
        return HP_NO_MEMORY;
    memset(grown + old, 0, marks->capacity - old);
    marks->marks = grown;
    return HP_OK;
}

void hp_marks_toggle(hp_marks *marks, uint32_t id) {
    marks->marks[id] ^= 1;
    marks->set += marks->marks[id] == 1 ? 1u : UINT32_MAX;
}

hp_status hp_record_init(hp_record *record) {
    *record = (hp_record){0};
    return hp_profile_new(&record->profile);
}

void hp_record_fini(hp_record *record) {
    hp_profile_free(record->profile);
    free(record->absent_functions.marks);
    free(record->absent_nodes.marks);
    free(record->lines);
    free(record->estimates);
    free(record->threads);
    free(record->rows);
    free(record->edges);
    free(record->warnings);
    *record = (hp_record){0};
}
