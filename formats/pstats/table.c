/* SPDX-License-Identifier: MIT */
/* Where no two functions share a key, rows and edges are taken as they are. Where some do, their calls and self times add up, but their
 * totals do not: one may call the other, even through a third. So the tree is rebuilt with one function for each key and summed up again,
 * by the same rule as ever (once per stack, at the outermost activation). Without a tree only direct calls within the group can be taken
 * out. */
#include "formats/pstats/table.h"

#include <stdlib.h>
#include <string.h>

static void value_add(hp_pstats_value *into, const hp_pstats_value *value) {
    into->calls += value->calls;
    into->primitive_calls += value->primitive_calls;
    into->self_ns += value->self_ns;
    into->total_ns += value->total_ns;
}

static hp_pstats_value row_value(const hp_row *row) {
    bool counted = row->measured != HP_SAMPLED;
    return (hp_pstats_value){counted ? row->calls : 0, counted ? row->primitive_calls : 0, row->self_sampled + row->self_exact,
                             row->total_sampled + row->total_exact};
}

static hp_pstats_value edge_value(const hp_edge *edge) {
    bool counted = edge->measured != HP_SAMPLED;
    return (hp_pstats_value){counted ? edge->calls : 0, counted ? edge->primitive_calls : 0, edge->self_sampled + edge->self_exact,
                             edge->total_sampled + edge->total_exact};
}

static uint32_t key_of(const hp_pstats_keys *keys, const hp_profile *profile, uint32_t function) {
    return function < profile->function_count ? keys->of_function[function] : HP_PSTATS_NO_KEY;
}

static int caller_order(const void *left, const void *right) {
    const hp_pstats_caller *a = left, *b = right;
    return a->caller < b->caller ? -1 : a->caller > b->caller;
}

/* Each callee's callers in order, those of one key summed; closes the gaps that leaves. */
static void callers_sum(hp_pstats_table *table) {
    uint32_t used = 0;
    hp_pstats_caller *callers = table->callers;
    for (uint32_t key = 0; key < table->keys.count; key++) {
        uint32_t from = table->caller_start[key], to = table->caller_start[key + 1], first = used;
        if (to - from > 1)
            qsort(callers + from, to - from, sizeof *callers, caller_order);
        table->caller_start[key] = used;
        for (uint32_t i = from; i < to; i++) {
            /* NOLINTNEXTLINE(clang-analyzer-security.ArrayBound): caller_start counts what was placed, i stays below its last */
            if (used > first && callers[used - 1].caller == callers[i].caller)
                value_add(&callers[used - 1].value, &callers[i].value);
            else
                callers[used++] = callers[i];
        }
    }
    table->caller_start[table->keys.count] = used;
}

/* An edge whose caller has no row (the root of a thread has no caller; a damaged profile may lack one) is left out: a caller without a
 * row breaks gprof2dot and snakeviz. */
static void callers_place(hp_pstats_table *table, const hp_profile *profile) {
    uint32_t *start = table->caller_start, count = table->keys.count;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < profile->edge_count; i++) {
            uint32_t callee = key_of(&table->keys, profile, profile->edges[i].callee);
            uint32_t caller = key_of(&table->keys, profile, profile->edges[i].caller);
            if (callee == HP_PSTATS_NO_KEY || caller == HP_PSTATS_NO_KEY)
                continue;
            if (pass == 0)
                start[callee + 1]++;
            else
                table->callers[start[callee]++] = (hp_pstats_caller){callee, caller, edge_value(&profile->edges[i])};
        }
        for (uint32_t key = 0; pass == 0 && key < count; key++)
            start[key + 1] += start[key];
    }
    /* Placing moved each start to its end, which is where the next one starts. */
    memmove(start + 1, start, count * sizeof *start);
    start[0] = 0;
    callers_sum(table);
}

static void total_without_inner_calls(hp_pstats_table *table, const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->edge_count; i++) {
        const hp_edge *edge = &profile->edges[i];
        uint32_t key = key_of(&table->keys, profile, edge->callee);
        if (edge->caller == edge->callee || key == HP_PSTATS_NO_KEY || key != key_of(&table->keys, profile, edge->caller))
            continue;
        hp_pstats_value inner = edge_value(edge), *value = &table->values[key];
        uint64_t spare = value->total_ns - (value->self_ns < value->total_ns ? value->self_ns : value->total_ns);
        value->total_ns -= inner.total_ns < spare ? inner.total_ns : spare;
        value->primitive_calls -= inner.calls < value->primitive_calls ? inner.calls : value->primitive_calls;
    }
}

static void values_sum(hp_pstats_table *table, const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->row_count; i++) {
        uint32_t function = profile->rows[i].function, key = table->keys.of_function[function];
        hp_pstats_value value = row_value(&profile->rows[i]);
        value_add(&table->values[key], &value);
        if (hp_pstats_is_thread(&profile->functions[function])) {
            table->is_thread[key] = true;
            table->thread_count++;
            table->threads_total_ns += value.total_ns;
        }
    }
    if (table->keys.count < table->keys.function_count)
        total_without_inner_calls(table, profile);
    table->longest = HP_PSTATS_NO_KEY;
    for (uint32_t key = 0; key < table->keys.count; key++) {
        if (table->longest == HP_PSTATS_NO_KEY || table->values[key].total_ns > table->values[table->longest].total_ns)
            table->longest = key;
    }
}

/* The same tree with the first function of each key in place of all of them. */
static hp_status merge_by_key(const hp_profile *profile, const hp_pstats_keys *keys, hp_profile **out) {
    hp_profile *merged = NULL;
    uint32_t *map = calloc((size_t)profile->function_count + 1, sizeof *map);
    hp_status status = map != NULL ? hp_profile_new(&merged) : HP_NO_MEMORY;
    if (status != HP_OK)
        goto done;
    for (uint32_t i = 0; i < profile->function_count; i++) {
        uint32_t first = keys->of_function[i] != HP_PSTATS_NO_KEY ? keys->first[keys->of_function[i]] : i;
        map[i] = hp_profile_function(merged, &profile->functions[first]);
        if (map[i] == HP_NO_FUNCTION) {
            status = HP_NO_MEMORY;
            goto done;
        }
    }
    status = hp_tree_add(&merged->tree, &profile->tree, map, 1.0, NULL);
    if (status == HP_OK)
        status = hp_profile_summarize(merged);
    if (status == HP_OK) {
        *out = merged;
        merged = NULL;
    }
done:
    hp_profile_free(merged);
    free(map);
    return status;
}

static hp_status fill(hp_pstats_table *table, const hp_profile *profile) {
    table->values = calloc((size_t)table->keys.count + 1, sizeof *table->values);
    table->callers = malloc(((size_t)profile->edge_count + 1) * sizeof *table->callers);
    table->caller_start = calloc((size_t)table->keys.count + 2, sizeof *table->caller_start);
    table->is_thread = calloc((size_t)table->keys.count + 1, sizeof *table->is_thread);
    if (table->values == NULL || table->callers == NULL || table->caller_start == NULL || table->is_thread == NULL)
        return HP_NO_MEMORY;
    values_sum(table, profile);
    callers_place(table, profile);
    return HP_OK;
}

hp_status hp_pstats_table_init(hp_pstats_table *table, const hp_profile *profile) {
    hp_profile *merged = NULL;
    *table = (hp_pstats_table){0};
    hp_status status = hp_pstats_keys_init(&table->keys, profile);
    if (status == HP_OK && table->keys.count < table->keys.function_count && profile->tree.count > 1) {
        status = merge_by_key(profile, &table->keys, &merged);
        hp_pstats_keys_fini(&table->keys);
        if (status == HP_OK)
            status = hp_pstats_keys_init(&table->keys, merged);
    }
    if (status == HP_OK)
        status = fill(table, merged != NULL ? merged : profile);
    if (status != HP_OK)
        hp_pstats_table_fini(table);
    hp_profile_free(merged);
    return status;
}

void hp_pstats_table_fini(hp_pstats_table *table) {
    hp_pstats_keys_fini(&table->keys);
    free(table->values);
    free(table->callers);
    free(table->caller_start);
    free(table->is_thread);
    *table = (hp_pstats_table){0};
}
