/* SPDX-License-Identifier: MIT */
/* Forks while other threads are inside the code table and the thread registry: the child uses both, and all that was given before holds. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/code_table.h"
#include "base/threads.h"
#include "support/check.h"

enum { FORKS = 150, OLD = 2000, ROUND = 60000, CHURN = 512, OLD_BASE = 1 << 20, NEW_BASE = 1 << 28 };

static hp_code_table *table;
static hp_threads *threads;
static atomic_bool over;
static uint32_t old_slots[OLD];

static void churn_codes(uint64_t i) {
    uint32_t slot;
    uintptr_t address = NEW_BASE + i % CHURN * 64;
    (void)hp_code_table_slots(table, hp_code_table_epoch(table), &address, 1, &slot);
    if (i % 3 == 0)
        (void)hp_code_table_died(table, address);
}

/* Fresh structures each round: their growth is what a fork is to cut off. */
static void *hammer(void *argument) {
    uint64_t i = 0;
    (void)argument;
    while (!atomic_load(&over)) {
        char name[32];
        snprintf(name, sizeof name, "n%llu", (unsigned long long)(i % ROUND));
        hp_code_table_named(table, HP_CODE_BLOCK, name);
        uint32_t slot = hp_code_table_slot(table, 3 * (uintptr_t)NEW_BASE + i % ROUND * 64, HP_CODE_C);
        hp_code_info info = {.qualname = name, .line_table = (const uint8_t *)name, .line_table_size = 4};
        hp_code_table_describe(table, slot, &info);
        churn_codes(i);
        hp_threads_get(threads, 1, i % ROUND, NULL);
        hp_threads_set_name(threads, (uint32_t)(i % OLD), name);
        i++;
    }
    return NULL;
}

static void setup_tables(void) {
    assert_ok(hp_code_table_new(&table));
    assert_ok(hp_threads_new(&threads));
    for (uint32_t i = 0; i < OLD; i++) {
        old_slots[i] = hp_code_table_slot(table, OLD_BASE + (uintptr_t)i * 64, HP_CODE_PYTHON);
        hp_threads_get(threads, 0, i, NULL);
    }
}

static bool old_ones_hold(void) {
    for (uint32_t i = 0; i < OLD; i++) {
        uintptr_t address = OLD_BASE + (uintptr_t)i * 64;
        hp_thread *thread = hp_threads_get(threads, 0, i, NULL);
        if (hp_code_table_slot(table, address, HP_CODE_PYTHON) != old_slots[i] || hp_code_table_address(table, old_slots[i]) != address)
            return false;
        if (thread == NULL || thread->index != i || hp_threads_at(threads, i) != thread)
            return false;
    }
    return true;
}

/* What is new in the child has its own identity: no slot serves two keys, and an address leads to a slot that says so or says nothing. */
static bool new_ones_work(void) {
    uint32_t count = hp_code_table_count(table);
    for (uint32_t i = 0; i < 3000; i++) {
        uintptr_t address = (uintptr_t)NEW_BASE * 5 + (uintptr_t)i * 64;
        uint32_t slot = hp_code_table_slot(table, address, HP_CODE_PYTHON);
        if (slot != count + i || hp_code_table_died(table, address) != slot || hp_code_table_address(table, slot) != 0)
            return false;
    }
    for (uint32_t i = 0; i < CHURN; i++) {
        uintptr_t address = NEW_BASE + (uintptr_t)i * 64;
        uint32_t slot = hp_code_table_slot(table, address, HP_CODE_PYTHON);
        uintptr_t told = hp_code_table_address(table, slot);
        if (told != address && told != 0)
            return false;
    }
    return true;
}

static bool all_is_sound(void) {
    uint32_t known = hp_threads_count(threads);
    for (uint32_t i = 0; i < known; i++) {
        const char *name = hp_threads_name(threads, i);
        if (hp_threads_at(threads, i)->index != i || (name != NULL && name[0] != 'n'))
            return false;
    }
    for (uint32_t slot = 0; slot < hp_code_table_count(table); slot++) {
        hp_code_info info;
        if (hp_code_table_info(table, slot, &info) && info.line_table != NULL && (info.line_table_size != 4 || info.line_table[0] != 'n'))
            return false;
    }
    return hp_code_table_named(table, HP_CODE_BLOCK, "n0") != 0 && hp_threads_set_name(threads, 0, "n") == HP_OK;
}

static int child(void) {
    alarm(30); /* a lock that nobody will ever release */
    hp_code_table_after_fork(table);
    hp_threads_after_fork(threads);
    if (!old_ones_hold())
        return 1;
    if (!new_ones_work())
        return 2;
    if (!all_is_sound())
        return 3;
    hp_code_table_free(table);
    hp_threads_free(threads);
    return 0;
}

static void test_child_can_use_what_the_fork_cut_in_half(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their allocators' own locks do not survive the fork of a process with threads */
#endif
    pthread_t others[2];
    for (int i = 0; i < FORKS; i++) {
        int how = -1;
        setup_tables();
        atomic_store(&over, false);
        for (int n = 0; n < 2; n++)
            assert_ok(pthread_create(&others[n], NULL, hammer, NULL));
        usleep((useconds_t)(i * 37 % 4000));
        pid_t pid = fork();
        if (pid == 0)
            _exit(child());
        assert_int_equal(waitpid(pid, &how, 0), pid);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), 0);
        atomic_store(&over, true);
        for (int n = 0; n < 2; n++)
            pthread_join(others[n], NULL);
        hp_code_table_free(table);
        hp_threads_free(threads);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_child_can_use_what_the_fork_cut_in_half)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
