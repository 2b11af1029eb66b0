/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/code_table.h"
#include "support/check.h"
#include "support/random.h"

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

static void test_only_the_epoch_of_the_walk_refuses(void **state) {
    (void)state;
    uint64_t epoch = hp_code_table_epoch(table);
    uint32_t slot = hp_code_table_slot(table, 0x1000, HP_CODE_PYTHON);
    hp_code_table_died(table, 0x2000);
    hp_code_table_refuse(table, epoch, 0x1000); /* something died since: whoever lives there keeps the slot */
    assert_int_equal(hp_code_table_slot(table, 0x1000, HP_CODE_PYTHON), slot);
    assert_int_equal(hp_code_table_address(table, slot), 0x1000);
    hp_code_table_refuse(table, hp_code_table_epoch(table), 0x1000);
    assert_int_equal(hp_code_table_address(table, slot), 0);
    assert_int_not_equal(hp_code_table_slot(table, 0x1000, HP_CODE_PYTHON), slot);
}

static void test_met_is_of_this_session(void **state) {
    (void)state;
    assert_false(hp_code_table_met(table, 0x1000, HP_CODE_PYTHON));
    uint32_t slot = hp_code_table_slot(table, 0x1000, HP_CODE_PYTHON);
    assert_true(hp_code_table_met(table, 0x1000, HP_CODE_PYTHON));
    assert_false(hp_code_table_met(table, 0x1000, HP_CODE_C));
    hp_code_table_session_began(table);
    assert_false(hp_code_table_met(table, 0x1000, HP_CODE_PYTHON));
    assert_int_equal(hp_code_table_slot(table, 0x1000, HP_CODE_PYTHON), slot);
    assert_true(hp_code_table_met(table, 0x1000, HP_CODE_PYTHON));
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

enum { WORKERS = 4, OWN = 200, COMMON = 50, TURNS = 20000 };

typedef struct worker {
    uint32_t number;
    uint32_t model[OWN]; /* the slot of each living address of its own */
    uint32_t common[COMMON];
    bool failed;
} worker;

static uint32_t slot_by_walk(uintptr_t address) {
    uint32_t slot;
    while (hp_code_table_slots(table, hp_code_table_epoch(table), &address, 1, &slot) == HP_AGAIN)
        ;
    return slot;
}

static bool live_or_die(worker *w, uint64_t *random) {
    uint32_t i = hp_test_below(random, OWN);
    uintptr_t address = ((uintptr_t)w->number << 24) + (uintptr_t)i * 208;
    if (hp_test_below(random, 4) == 0) {
        uint32_t slot = hp_code_table_died(table, address);
        bool same = slot == w->model[i] && (slot == HP_NO_SLOT || hp_code_table_address(table, slot) == 0);
        w->model[i] = HP_NO_SLOT;
        return same;
    }
    uint32_t slot = hp_test_below(random, 2) == 0 ? slot_by_walk(address) : hp_code_table_slot(table, address, HP_CODE_PYTHON);
    bool same = w->model[i] == HP_NO_SLOT || slot == w->model[i];
    w->model[i] = slot;
    return same && hp_code_table_address(table, slot) == address && slot < hp_code_table_count(table);
}

/* Names are everybody's: whoever describes a slot first, all read one whole description. */
static bool use_common(worker *w, uint64_t *random) {
    char name[16];
    hp_code_info info;
    uint32_t i = hp_test_below(random, COMMON);
    uint32_t slot = hp_code_table_slot(table, 64 + i, HP_CODE_C);
    snprintf(name, sizeof name, "c%u", i);
    if (w->common[i] != 0 && w->common[i] != slot)
        return false;
    w->common[i] = slot;
    if (hp_code_table_describe(table, slot, &(hp_code_info){.qualname = name, .name = name}) != HP_OK)
        return false;
    uint32_t named = hp_code_table_named(table, HP_CODE_BLOCK, name);
    return hp_code_table_info(table, slot, &info) && strcmp(info.name, name) == 0 &&
           named == hp_code_table_named(table, HP_CODE_BLOCK, name);
}

static void *work(void *argument) {
    worker *w = argument;
    uint64_t random = w->number;
    for (int turn = 0; turn < TURNS; turn++)
        w->failed = w->failed || !live_or_die(w, &random) || (turn % 4 == 0 && !use_common(w, &random));
    return NULL;
}

/* Each thread keeps a plain model of its own addresses; deaths of all others must not touch it. For ThreadSanitizer as well. */
static void test_several_threads_against_models(void **state) {
    (void)state;
    static worker workers[WORKERS];
    pthread_t threads[WORKERS];
    memset(workers, 0, sizeof workers);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i].number = i + 1;
        memset(workers[i].model, 0xff, sizeof workers[i].model);
        assert_ok(pthread_create(&threads[i], NULL, work, &workers[i]));
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(workers[i].failed);
        for (int c = 0; c < COMMON; c++)
            assert_int_equal(workers[i].common[c], workers[0].common[c]);
    }
    for (int a = 0; a < WORKERS * OWN; a++) { /* no slot serves two */
        for (int b = 0; b < a; b++) {
            uint32_t one = workers[a / OWN].model[a % OWN], other = workers[b / OWN].model[b % OWN];
            assert_true(one == HP_NO_SLOT || one != other);
        }
    }
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
    hp_code_table_after_fork(table); /* what was given stays */
    assert_int_equal(hp_code_table_slot(table, 64, HP_CODE_PYTHON), 1);
    assert_true(hp_code_table_is_full(table));
}

/* What compiles and runs the same source for ever: each life is a slot, and their line tables are one. */
static void test_equal_line_tables_are_kept_once(void **state) {
    (void)state;
    enum { LIVES = 20000, SIZE = 5000 };
    static uint8_t line_table[SIZE];
    hp_code_info info = {
        .kind = HP_CODE_PYTHON, .qualname = "f", .name = "f", .file = "made.py", .line_table = line_table, .line_table_size = SIZE};
    size_t before = hp_code_table_bytes(table);
    for (uint32_t life = 0; life < LIVES; life++) {
        line_table[SIZE / 2] = (uint8_t)(life % 2); /* NULs are bytes */
        uint32_t slot = hp_code_table_slot(table, 64, HP_CODE_PYTHON);
        assert_ok(hp_code_table_describe(table, slot, &info));
        hp_code_info found;
        assert_true(hp_code_table_info(table, slot, &found));
        assert_int_equal(found.line_table_size, SIZE);
        assert_memory_equal(found.line_table, line_table, SIZE);
        assert_int_equal(hp_code_table_died(table, 64), slot);
    }
    size_t grown = hp_code_table_bytes(table) - before;
    assert_in_range(grown, 2 * SIZE, LIVES * 160);
    assert_false(hp_code_table_is_full(table));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slot_zero_is_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_death_gives_a_new_slot_and_refuses_the_walk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_epoch_of_the_walk_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_met_is_of_this_session, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds_and_names_do_not_meet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_description_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_against_a_model, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_threads_against_models, setup, teardown),
        cmocka_unit_test_setup_teardown(test_equal_line_tables_are_kept_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
