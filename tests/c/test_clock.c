/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "support/check.h"

static void test_clocks_advance(void **state) {
    (void)state;
    int64_t wall = hp_now_ns(), cpu = hp_thread_cpu_ns();
    uint64_t ticks = hp_ticks();
    while (hp_now_ns() - wall < 1000000)
        ;
    assert_true(hp_thread_cpu_ns() > cpu);
    assert_true(hp_ticks() > ticks);
    assert_true(hp_wall_clock_ns() > (int64_t)1500000000 * 1000000000);
}

/* Ticks turned into ns must agree with the monotonic clock, over a long interval and for two timebases at the same moment. */
static void test_ticks_become_ns(void **state) {
    (void)state;
    hp_timebase from = hp_timebase_now();
    while (hp_now_ns() - from.ns < 20000000)
        ;
    hp_timebase to = hp_timebase_now();
    double scale = hp_ns_per_tick(&from, &to);
    double near = hp_ns_per_tick(&to, &to);
    double ns = (double)(to.ticks - from.ticks) * scale;
    assert_true(ns > 0.9999 * (double)(to.ns - from.ns) && ns < 1.0001 * (double)(to.ns - from.ns));
    assert_true(near > 0.9 * scale && near < 1.1 * scale);
}

int main(void) {
    hp_clock_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clocks_advance), cmocka_unit_test(test_ticks_become_ns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
