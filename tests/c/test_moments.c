/* SPDX-License-Identifier: MIT */
/* The sampler's ring of moments: the newest are there, in order, and what it had to let go is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sampler/moments.h"

static void expect(const hp_moments *moments, uint64_t first, uint64_t count, uint64_t lost) {
    hp_timeline line;
    assert_int_equal(hp_moments_copy(moments, first, &line), HP_OK);
    assert_true(line.kept);
    assert_int_equal(line.count, count);
    assert_int_equal(line.lost, lost);
    assert_int_equal(line.next, moments->count);
    for (uint32_t i = 0; i < line.count; i++)
        assert_int_equal(line.moments[i].node, line.next - count + i);
    hp_timeline_fini(&line);
}

/* Samples are numbered by their nodes. */
static void test_the_newest_are_kept(void **state) {
    (void)state;
    hp_moments *moments = calloc(1, sizeof *moments);
    assert_non_null(moments);
    moments->begin_ns = 1000;
    expect(moments, 0, 0, 0);
    for (uint32_t i = 0; i < HP_MOMENTS_HELD; i++)
        hp_moments_add(moments, 1000 + (int64_t)i * 10000000, i, 10000000);
    expect(moments, 0, HP_MOMENTS_HELD, 0);
    expect(moments, HP_MOMENTS_HELD - 5, 5, 0);
    expect(moments, HP_MOMENTS_HELD + 5, 0, 0);
    for (uint32_t i = 0; i < 7; i++)
        hp_moments_add(moments, 1000 + (int64_t)(HP_MOMENTS_HELD + i) * 10000000, HP_MOMENTS_HELD + i, 10000000);
    expect(moments, 0, HP_MOMENTS_HELD, 7);
    expect(moments, 4, HP_MOMENTS_HELD, 3);
    expect(moments, 7, HP_MOMENTS_HELD, 0);
    free(moments);
}

/* However often it rounds, the sum of weights is the time that has passed. */
static void test_rounding_does_not_add_up(void **state) {
    (void)state;
    hp_moments *moments = calloc(1, sizeof *moments);
    int64_t now = 0;
    uint64_t sum = 0;
    assert_non_null(moments);
    for (int64_t i = 1; i < 100000; i++) {
        int64_t gap = i * 7919 % 130001;
        now += gap;
        hp_moments_add(moments, now, 1, (uint64_t)gap);
        sum += moments->ring[i - 1].weight;
    }
    assert_int_equal(sum, (uint64_t)now / HP_MOMENT_NS);
    free(moments);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_newest_are_kept), cmocka_unit_test(test_rounding_does_not_add_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
