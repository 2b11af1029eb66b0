/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/code_table.h"
#include "support/check.h"

static hp_code_table *table;

static int setup(void **state) {
    (void)state;
    return hp_code_table_new(&table) == HP_OK ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    hp_code_table_free(table);
    return 0;
}

static void test_slot_zero_is_overflow(void **state) {
    (void)state;
    hp_code_info info;
    assert_int_equal(hp_code_table_count(table), 1);
    assert_true(hp_code_table_info(table, 0, &info));
    assert_string_equal(info.name, "<overflow>");
    assert_int_equal(info.kind, HP_CODE_SYNTHETIC);
    assert_int_equal(hp_code_table_address(table, 0), 0);
}

static void test_death_gives_a_new_slot_and_refuses_the_walk(void **state) {
    (void)state;
    uint32_t slots[2] = {7, 7};
    const uintptr_t addresses[] = {0x1000, 0x2000};
    uint64_t epoch = hp_code_table_epoch(table);
    assert_ok(hp_code_table_slots(table, epoch, addresses, 2, slots));
    uint32_t first = slots[0];
    assert_int_equal(hp_code_table_died(table, 0x1000), first);
    assert_int_equal(hp_code_table_address(table, first), 0);
    assert_int_equal(hp_code_table_slots(table, epoch, addresses, 2, slots), HP_AGAIN);
    assert_ok(hp_code_table_slots(table, hp_code_table_epoch(table), addresses, 2, slots));
    assert_int_not_equal(slots[0], first);
    assert_int_equal(hp_code_table_address(table, slots[0]), 0x1000);
    epoch = hp_code_table_epoch(table);
    assert_int_equal(hp_code_table_died(table, 0x3000), HP_NO_SLOT);
    assert_int_equal(hp_code_table_epoch(table), epoch + 1); /* even for an address nobody saw */
}

static void test_kinds_and_names_do_not_meet(void **state) {
    (void)state;
    uint32_t python = hp_code_table_slot(table, 0x1000, HP_CODE_PYTHON);
    uint32_t c = hp_code_table_slot(table, 0x1000, HP_CODE_C);
    assert_int_not_equal(python, c);
    hp_code_table_died(table, 0x1000);
    assert_int_equal(hp_code_table_slot(table, 0x1000, HP_CODE_C), c);
    uint32_t block = hp_code_table_named(table, HP_CODE_BLOCK, "x");
    assert_int_equal(hp_code_table_named(table, HP_CODE_BLOCK, "x"), block);
    assert_int_not_equal(hp_code_table_named(table, HP_CODE_SYNTHETIC, "x"), block);
}

static void test_first_description_wins(void **state) {
    (void)state;
    hp_code_info got;
    uint32_t slot = hp_code_table_slot(table, 0x1000, HP_CODE_PYTHON);
    assert_false(hp_code_table_info(table, slot, &got));
    const uint8_t lines[] = {1, 0, 2};
    hp_code_info said = {
        .qualname = "A.f", .name = "f", .file = "a.py", .first_line = 3, .line_table = lines, .line_table_size = 3, .code_units = 9};
    assert_ok(hp_code_table_describe(table, slot, &said));
    said = (hp_code_info){.module = "a", .qualname = "other", .first_line = 8};
    assert_ok(hp_code_table_describe(table, slot, &said));
    assert_true(hp_code_table_info(table, slot, &got));
    assert_string_equal(got.qualname, "A.f");
    assert_string_equal(got.module, "a");
    assert_int_equal(got.first_line, 3);
    assert_int_equal(got.line_table_size, 3);
    assert_memory_equal(got.line_table, lines, 3);
    assert_int_equal(hp_code_table_describe(table, 99, &said), HP_BAD_VALUE);
    assert_false(hp_code_table_info(table, 99, &got));
}

/* Random lives and deaths against a plain array: backward-shift deletion must lose and confuse nobody. */
static void test_against_a_model(void **state) {
    (void)state;
    enum { ADDRESSES = 3000, STEPS = 60000 };
    uint32_t *model = malloc(ADDRESSES * sizeof *model);
    for (int i = 0; i < ADDRESSES; i++)
        model[i] = HP_NO_SLOT;
    srand(1);
    uint32_t next = 1;
    for (int step = 0; step < STEPS; step++) {
        int i = rand() % ADDRESSES;
        uintptr_t address = 0x10000 + (uintptr_t)i * 192;
        if (rand() % 3 == 0) {
            assert_int_equal(hp_code_table_died(table, address), model[i]);
            model[i] = HP_NO_SLOT;
        } else {
            uint32_t slot;
            assert_ok(hp_code_table_slots(table, hp_code_table_epoch(table), &address, 1, &slot));
            model[i] = model[i] == HP_NO_SLOT ? next++ : model[i];
            assert_int_equal(slot, model[i]);
        }
    }
    assert_int_equal(hp_code_table_count(table), next);
    free(model);
}

static void test_bound(void **state) {
    (void)state;
    uint32_t slot = 0;
    for (uintptr_t i = 1; i < 1000000; i++)
        slot = hp_code_table_slot(table, i * 64, HP_CODE_PYTHON);
    assert_int_equal(slot, 999999);
    const uintptr_t addresses[] = {64, 7, 128};
    uint32_t slots[3];
    assert_int_equal(hp_code_table_slots(table, hp_code_table_epoch(table), addresses, 3, slots), HP_FULL);
    assert_int_equal(slots[0], 1);
    assert_int_equal(slots[1], 0);
    assert_int_equal(slots[2], 2);
    assert_int_equal(hp_code_table_slot(table, 7, HP_CODE_PYTHON), 0);
    hp_code_table_after_fork(table); /* an untouched table stays as it is */
    assert_int_equal(hp_code_table_slot(table, 64, HP_CODE_PYTHON), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slot_zero_is_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_death_gives_a_new_slot_and_refuses_the_walk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds_and_names_do_not_meet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_description_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_against_a_model, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
