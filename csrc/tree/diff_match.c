/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "tree/diff.h"

typedef struct candidate {
    const hp_function *function;
    uint32_t row;
    bool is_new;
} candidate;

static const char *base_name(const char *file) {
    const char *slash = strrchr(file, '/');
    return slash != NULL ? slash + 1 : file;
}

/* Every script is `__main__`. */
static const char *told_by_file(const hp_function *function) {
    bool vague = function->module[0] == '\0' || strcmp(function->module, "__main__") == 0;
    return vague ? base_name(function->file) : "";
}

static int key_order(const hp_function *f, const hp_function *g) {
    if (f->kind != g->kind)
        return f->kind < g->kind ? -1 : 1;
    int order = strcmp(f->module, g->module);
    if (order == 0)
        order = strcmp(f->qualname, g->qualname);
    if (order == 0)
        order = strcmp(f->name, g->name);
    return order != 0 ? order : strcmp(told_by_file(f), told_by_file(g));
}

static int place_order(const candidate *x, const candidate *y) {
    int order = strcmp(x->function->file, y->function->file);
    if (order != 0)
        return order;
    return x->function->first_line < y->function->first_line ? -1 : x->function->first_line > y->function->first_line;
}

/* Beside a pstats file, which knows no modules, what is left is matched without. */
static int vague_order(const candidate *x, const candidate *y) {
    int order = strcmp(x->function->qualname, y->function->qualname);
    return order != 0 ? order : strcmp(base_name(x->function->file), base_name(y->function->file));
}

static int without_module(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    int order = vague_order(x, y);
    if (order == 0)
        order = x->is_new - y->is_new;
    return order != 0 ? order : place_order(x, y);
}

static int candidate_order(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    int order = key_order(x->function, y->function);
    if (order != 0)
        return order;
    if (x->is_new != y->is_new)
        return x->is_new ? 1 : -1;
    return place_order(x, y);
}

typedef struct matching {
    uint32_t *to_new, *to_base;
} matching;

static void pair_up(const matching *m, const candidate *old, const candidate *new) {
    m->to_new[old->row] = new->row;
    m->to_base[new->row] = old->row;
}

/* Both lists are in the order of their places. */
static void pair_same_places(const matching *m, const candidate *old, const candidate *olds_end, const candidate *new,
                             const candidate *news_end) {
    while (old < olds_end && new < news_end) {
        int order = place_order(old, new);
        if (order == 0)
            pair_up(m, old, new);
        old += order <= 0;
        new += order >= 0;
    }
}

static uint32_t count_unpaired(const candidate *from, const candidate *end, const uint32_t *map) {
    uint32_t count = 0;
    for (; from < end; from++)
        count += map[from->row] == HP_NO_FUNCTION;
    return count;
}

static void match_group(const matching *m, const candidate *group, const candidate *end) {
    const candidate *middle = group;
    while (middle < end && !middle->is_new)
        middle++;
    pair_same_places(m, group, middle, middle, end);
    if (count_unpaired(group, middle, m->to_new) != count_unpaired(middle, end, m->to_base))
        return;
    for (const candidate *new = middle; group < middle; group++) {
        if (m->to_new[group->row] != HP_NO_FUNCTION)
            continue;
        while (m->to_base[new->row] != HP_NO_FUNCTION)
            new++;
        pair_up(m, group, new);
    }
}

static void add_candidates(const hp_profile *profile, bool is_new, uint32_t *map, candidate *to) {
    for (uint32_t i = 0; i < profile->row_count; i++) {
        map[i] = HP_NO_FUNCTION;
        to[i] = (candidate){&profile->functions[profile->rows[i].function], i, is_new};
    }
}

static void match_all(const matching *m, candidate *all, size_t count, bool by_key) {
    qsort(all, count, sizeof *all, by_key ? candidate_order : without_module);
    for (size_t from = 0, to = 0; from < count; from = to) {
        while (to < count && (by_key ? key_order(all[from].function, all[to].function) : vague_order(&all[from], &all[to])) == 0)
            to++;
        match_group(m, all + from, all + to);
    }
}

/* Keeps those without a partner. */
static size_t unpaired(const matching *m, candidate *all, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if ((all[i].is_new ? m->to_base : m->to_new)[all[i].row] == HP_NO_FUNCTION)
            all[kept++] = all[i];
    return kept;
}

static bool is_flat(const hp_profile *profile) {
    return profile->tree.count <= 1 && profile->row_count > 0;
}

hp_status hp_diff_match(const hp_profile *base, const hp_profile *new, uint32_t *to_new, uint32_t *to_base) {
    size_t count = (size_t)base->row_count + new->row_count;
    const matching m = {to_new, to_base};
    candidate *all = malloc((count + 1) * sizeof *all);
    if (all == NULL)
        return HP_NO_MEMORY;
    add_candidates(base, false, to_new, all);
    add_candidates(new, true, to_base, all + base->row_count);
    match_all(&m, all, count, true);
    if (is_flat(base) != is_flat(new))
        match_all(&m, all, unpaired(&m, all, count), false);
    free(all);
    return HP_OK;
}
