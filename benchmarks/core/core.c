/* SPDX-License-Identifier: MIT */
/* What the core's hot and large operations cost, by the CPU clock of this thread: the least of a few rounds. Run it alone on the machine.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/code_table.h"
#include "tree/profile.h"

enum { ROUNDS = 5, HITS = 2000000, CODES = 4000, STACK = 32, FAN = 64, NODES = 1000000, FUNCTIONS = 20000 };

/* Sums end up here so that no loop is optimised away. */
static volatile uint64_t result;

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "%s: memory is short\n", what);
    exit(1);
}

/* Returns CPU time of one round, ns. */
typedef int64_t (*round_function)(void *what);

static double least(round_function round, void *what, double operations) {
    int64_t best = INT64_MAX;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t took = round(what);
        best = took < best ? took : best;
    }
    return (double)best / operations;
}

static void show(const char *what, double value, const char *unit) {
    printf("%-48s %10.1f %s\n", what, value, unit);
}

static uintptr_t code_address(uint64_t i) {
    return 0x7f0000000000u + i * 208;
}

static int64_t round_slot_hits(void *table) {
    int64_t before = hp_thread_cpu_ns();
    uint64_t sum = 0;
    for (uint64_t i = 0; i < HITS; i++)
        sum += hp_code_table_slot(table, code_address(i * 1543 % CODES), HP_CODE_PYTHON);
    result = sum;
    return hp_thread_cpu_ns() - before;
}

static int64_t round_stack_hits(void *table) {
    uintptr_t addresses[STACK];
    uint32_t slots[STACK];
    int64_t before = hp_thread_cpu_ns();
    for (uint64_t i = 0; i < HITS / STACK; i++) {
        for (uint64_t at = 0; at < STACK; at++)
            addresses[at] = code_address((i * STACK + at) * 1543 % CODES);
        if (hp_code_table_slots(table, hp_code_table_epoch(table), addresses, STACK, slots) != HP_OK)
            give_up("code table");
        result = slots[0];
    }
    return hp_thread_cpu_ns() - before;
}

static void measure_code_table(void) {
    hp_code_table *table = NULL;
    if (hp_code_table_new(&table) != HP_OK)
        give_up("code table");
    for (uint64_t i = 0; i < CODES; i++)
        hp_code_table_slot(table, code_address(i), HP_CODE_PYTHON);
    show("code table, one known address", least(round_slot_hits, table, HITS), "ns");
    show("code table, address of a known stack of 32", least(round_stack_hits, table, HITS), "ns");
    hp_code_table_free(table);
}

static int64_t round_recent(void *argument) {
    hp_tree *tree = argument;
    int64_t before = hp_thread_cpu_ns();
    uint64_t sum = 0;
    for (uint64_t i = 0; i < HITS; i++)
        sum += hp_tree_child(tree, 1, 5);
    result = sum;
    return hp_thread_cpu_ns() - before;
}

static int64_t round_known(void *argument) {
    hp_tree *tree = argument;
    int64_t before = hp_thread_cpu_ns();
    uint64_t sum = 0;
    for (uint32_t i = 0; i < HITS; i++)
        sum += hp_tree_child(tree, 1 + i % 512, 1 + (i + i / 512 * 7) % FAN);
    result = sum;
    return hp_thread_cpu_ns() - before;
}

static int64_t round_new(void *argument) {
    (void)argument;
    hp_tree tree;
    if (hp_tree_init(&tree, 0, 0) != HP_OK)
        give_up("tree");
    int64_t before = hp_thread_cpu_ns();
    for (uint32_t i = 0; i < NODES; i++)
        hp_tree_child(&tree, i / 4, 1 + i % 4);
    int64_t took = hp_thread_cpu_ns() - before;
    hp_tree_fini(&tree);
    return took;
}

static void measure_tree(void) {
    hp_tree tree;
    if (hp_tree_init(&tree, 0, 0) != HP_OK)
        give_up("tree");
    for (uint32_t i = 0; i < 512; i++)
        hp_tree_child(&tree, i / 4, 1 + i % 4);
    for (uint32_t i = 0; i < HITS; i++)
        hp_tree_child(&tree, 1 + i % 512, 1 + (i + i / 512 * 7) % FAN);
    show("tree, the child asked for last", least(round_recent, &tree, HITS), "ns");
    show("tree, another known child of 32,768 nodes", least(round_known, &tree, HITS), "ns");
    show("tree, a new child, up to 1,000,000 nodes", least(round_new, NULL, NODES), "ns");
    hp_tree_fini(&tree);
}

static uint32_t add_function(hp_profile *profile, uint32_t i) {
    char module[64], name[64], file[128];
    snprintf(module, sizeof module, "package.sub.module%u", i / 20);
    snprintf(name, sizeof name, "Class%u.method%u", i / 5, i % 5);
    snprintf(file, sizeof file, "/usr/lib/python3/package/sub/module%u.py", i / 20);
    hp_function function = {HP_CODE_PYTHON, module, name, name, file, 1 + i % 20 * 17};
    return hp_profile_function(profile, &function);
}

/* Each function in each thread, as the sampler tells them. */
static void add_estimates(hp_profile *profile, uint32_t first) {
    for (uint32_t t = 0; t < profile->thread_count; t++) {
        profile->threads[t].samples = profile->tree.count;
        profile->threads[t].sampled_ns = profile->tree.count * UINT64_C(10000000);
        for (uint32_t f = 0; f < FUNCTIONS; f++)
            if (hp_profile_add_estimate(profile, &(hp_estimate){t, first + f, 10, 5, 20, 5, 0, 0}) != HP_OK)
                give_up("estimates");
    }
}

static hp_profile *make_profile(uint32_t nodes) {
    uint64_t random = 88172645463325252u;
    hp_profile *profile = NULL;
    if (hp_profile_new(&profile) != HP_OK)
        give_up("profile");
    for (uint32_t t = 0; t < 4; t++)
        hp_profile_add_thread(profile, "worker", t);
    uint32_t first = add_function(profile, 0);
    for (uint32_t i = 1; i < FUNCTIONS; i++)
        add_function(profile, i);
    hp_tree *tree = &profile->tree;
    while (tree->count < nodes) {
        uint32_t node = profile->threads[next_random(&random) % 4].root;
        for (uint32_t depth = 0; depth < 40 && tree->count < nodes; depth++) /* branches like a program: few callees each */
            node = hp_tree_child(tree, node,
                                 first + (uint32_t)((tree->nodes[node].function * 31 + next_random(&random) % 6 * 101) % FUNCTIONS));
        tree->nodes[node].samples++;
        tree->nodes[node].sampled += 10000000;
    }
    add_estimates(profile, first);
    return profile;
}

static int64_t round_summary(void *profile) {
    int64_t before = hp_thread_cpu_ns();
    if (hp_profile_summarize(profile) != HP_OK)
        give_up("summary");
    return hp_thread_cpu_ns() - before;
}

static int64_t round_labels(void *profile) {
    const char **labels = NULL;
    int64_t before = hp_thread_cpu_ns();
    if (hp_labels_new(profile, &labels) != HP_OK)
        give_up("labels");
    int64_t took = hp_thread_cpu_ns() - before;
    hp_labels_free(labels);
    return took;
}

/* What a report waits for: sums, callers and error bars. */
static void measure_summary(void) {
    hp_profile *profile = make_profile(NODES / 10);
    show("summary of 100,000 nodes, 80,000 error bars", least(round_summary, profile, 1e6), "ms");
    hp_profile_free(profile);
}

static void measure_profile(void) {
    hp_profile *profile = make_profile(NODES);
    show("summary of 1,000,000 nodes, 20,000 functions", least(round_summary, profile, 1e6), "ms");
    printf("%-48s %10u\n", "    edges of it", profile->edge_count);
    show("labels of 20,000 functions", least(round_labels, profile, 1e6), "ms");
    hp_profile_free(profile);
}

int main(void) {
    hp_clock_init();
    measure_code_table();
    measure_tree();
    measure_summary();
    measure_profile();
    return 0;
}
