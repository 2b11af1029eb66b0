/* SPDX-License-Identifier: MIT */
/* The sampler's table of lines against a plain list, and at its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "sampler/lines.h"
#include "sampler/sampler.h"

enum { NODES = 40, UNITS = 30, STATES = 3 };

static void sums_are_those_of_a_list(void **state) {
    static uint64_t samples[NODES][UNITS][STATES], sampled[NODES][UNITS][STATES];
    hp_line_table table = {0};
    uint32_t distinct = 0;
    (void)state;
    srand(1);
    for (int i = 0; i < 20000; i++) {
        uint32_t node = (uint32_t)rand() % NODES, unit = (uint32_t)rand() % UNITS, what = (uint32_t)rand() % STATES;
        hp_sampled_line line = {node, unit & 0xfffffff, what & 15, (uint64_t)rand() % 3 + 1, (uint64_t)rand()};
        distinct += samples[node][unit][what] == 0;
        samples[node][unit][what] += line.samples;
        sampled[node][unit][what] += line.sampled;
        hp_line_table_add(&table, &line);
    }
    assert_int_equal(table.count, distinct);
    assert_int_equal(table.left_out, 0);
    for (uint32_t i = 0; i < table.count; i++) {
        const hp_sampled_line *line = &table.entries[i];
        assert_int_equal(line->samples, samples[line->node][line->unit][line->state]);
        assert_int_equal(line->sampled, sampled[line->node][line->unit][line->state]);
        samples[line->node][line->unit][line->state] = 0; /* once only */
    }
    hp_line_table_fini(&table);
}

static void what_does_not_fit_is_counted(void **state) {
    hp_line_table table = {0};
    (void)state;
    for (uint32_t i = 0; i < HP_LINES_LIMIT + 7; i++)
        hp_line_table_add(&table, &(hp_sampled_line){i, 1, 0, 2, 100});
    assert_int_equal(table.count, HP_LINES_LIMIT);
    assert_int_equal(table.left_out, 14);
    hp_line_table_add(&table, &(hp_sampled_line){3, 1, 0, 5, 1}); /* one that is there */
    assert_int_equal(table.entries[3].samples, 7);
    assert_int_equal(table.left_out, 14);
    hp_line_table_fini(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums_are_those_of_a_list), cmocka_unit_test(what_does_not_fit_is_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
