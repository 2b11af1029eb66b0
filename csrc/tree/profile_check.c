/* SPDX-License-Identifier: MIT */
/* The audit of a whole profile (hp_profile_check). What a file says is judged here too, so nothing is taken for granted. */
#include <stdlib.h>
#include <string.h>

#include "base/pairs.h"
#include "tree/profile.h"
#include "tree/totals.h"

static hp_status broken(hp_error *error, const char *what, uint32_t at) {
    return hp_fail(error, HP_BAD_FORMAT, 0, "profile: %s (number %u)", what, at);
}

/* The i-th to say something of a pair must be the first. */
static hp_status once(hp_pairs *seen, uint32_t a, uint32_t b, uint32_t i, const char *otherwise, hp_error *error) {
    uint32_t place = hp_pairs_put(seen, a, b, i);
    if (place == HP_NO_PAIR)
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to check a profile");
    return place == i ? HP_OK : broken(error, otherwise, i);
}

/* Before all else: what wrapped looks like anything, and only this sentence says why. */
static hp_status check_totals(const hp_profile *p, hp_error *error) {
    hp_totals totals = {0};
    const char *over = hp_totals_add(&totals, p);
    if (over == NULL)
        return HP_OK;
    return hp_fail(error, HP_BAD_FORMAT, 0, "its %s add up to 2^64 or more, and sums here have 64 bits: no report of it could be right",
                   over);
}

static hp_status check_functions(const hp_profile *p, hp_error *error) {
    for (uint32_t i = 0; i < p->function_count; i++) {
        const hp_function *f = &p->functions[i];
        if (f->module == NULL || f->qualname == NULL || f->name == NULL || f->file == NULL)
            return broken(error, "a function lacks a string", i);
        if ((unsigned)f->kind > HP_CODE_SYNTHETIC)
            return broken(error, "a function is of no known kind", i);
    }
    return HP_OK;
}

static hp_status check_tree(const hp_profile *p, hp_error *error) {
    if (hp_tree_check(&p->tree) != HP_OK)
        return broken(error, "the tree is not sound", 0);
    for (uint32_t i = 1; i < p->tree.count; i++) {
        if (p->tree.nodes[i].function >= p->function_count)
            return broken(error, "a node has no such function", i);
    }
    return HP_OK;
}

static hp_status check_threads(const hp_profile *p, hp_error *error) {
    for (uint32_t i = 0; i < p->thread_count; i++) {
        uint32_t root = p->threads[i].root;
        if (p->threads[i].name == NULL)
            return broken(error, "a thread lacks a name", i);
        if (root != HP_NO_NODE && (root >= p->tree.count || p->tree.nodes[root].parent != 0))
            return broken(error, "a thread's root is no child of the root", i);
    }
    return HP_OK;
}

/* Each line is told once, and the lines of a node hold no more than the node. */
static hp_status check_lines(const hp_profile *p, hp_error *error) {
    hp_status status = HP_OK;
    hp_pairs seen = {0};
    uint64_t *left = calloc((size_t)p->tree.count * 2, sizeof *left);
    if (left == NULL)
        return hp_fail(error, HP_NO_MEMORY, 0, "memory is short");
    for (uint32_t i = 0; i < p->tree.count; i++) {
        left[2 * i] = p->tree.nodes[i].samples;
        left[2 * i + 1] = p->tree.nodes[i].sampled;
    }
    for (uint32_t i = 0; status == HP_OK && i < p->line_count; i++) {
        const hp_line *line = &p->lines[i];
        if (line->node >= p->tree.count)
            status = broken(error, "a line has no such node", i);
        else if (line->line >= HP_LINE_LIMIT || (unsigned)line->state >= HP_STATES)
            status = broken(error, "a line or its state is out of range", i);
        else if ((status = once(&seen, line->node, hp_line_key(line), i, "a line is told twice", error)) != HP_OK)
            break;
        else if (line->samples > left[2 * line->node] || line->sampled > left[2 * line->node + 1])
            status = broken(error, "lines hold more than their node", i);
        else {
            left[2 * line->node] -= line->samples;
            left[2 * line->node + 1] -= line->sampled;
        }
    }
    hp_pairs_fini(&seen);
    free(left);
    return status;
}

static bool estimate_is_sound(const hp_profile *p, const hp_estimate *e) {
    if (e->thread >= p->thread_count || e->function >= p->function_count)
        return false;
    return e->self_runs <= e->self_samples && e->total_runs <= e->total_samples && e->self_samples <= e->total_samples &&
           e->total_samples <= p->threads[e->thread].samples;
}

static hp_status check_estimates(const hp_profile *p, hp_error *error) {
    hp_status status = HP_OK;
    hp_pairs seen = {0};
    for (uint32_t i = 0; status == HP_OK && i < p->estimate_count; i++) {
        if (!estimate_is_sound(p, &p->estimates[i]))
            status = broken(error, "an estimate counts more than its thread, or is of nothing", i);
        else
            status = once(&seen, p->estimates[i].thread, p->estimates[i].function, i, "an estimate is given twice", error);
    }
    hp_pairs_fini(&seen);
    return status;
}

/* Rows that were read from a file without a tree may be strange (clocks of others ran backwards); computed ones may not. */
static hp_status check_rows(const hp_profile *p, hp_error *error) {
    uint64_t samples = 0, calls = 0, sampled = 0, exact = 0;
    bool computed = p->tree.count > 1;
    for (uint32_t i = 0; i < p->row_count; i++) {
        const hp_row *row = &p->rows[i];
        if (row->function >= p->function_count || (i > 0 && row->function <= p->rows[i - 1].function))
            return broken(error, "rows are not sorted by function", i);
        if ((unsigned)row->measured > HP_MIXED || row->primitive_calls > row->calls)
            return broken(error, "a row has more primitive calls than calls", i);
        if (computed && (row->total_sampled < row->self_sampled || row->total_exact < row->self_exact))
            return broken(error, "a row's total is below its self time", i);
        samples += row->samples;
        calls += row->calls;
        sampled += row->self_sampled;
        exact += row->self_exact;
    }
    for (uint32_t i = 1; i < p->tree.count; i++) {
        samples -= p->tree.nodes[i].samples;
        calls -= p->tree.nodes[i].calls;
        sampled -= p->tree.nodes[i].sampled;
        exact -= p->tree.nodes[i].exact;
    }
    if (computed && p->row_count > 0 && (samples | calls | sampled | exact) != 0)
        return broken(error, "rows do not add up to the tree", p->row_count);
    return HP_OK;
}

static hp_status check_edges(const hp_profile *p, hp_error *error) {
    bool computed = p->tree.count > 1;
    for (uint32_t i = 0; i < p->edge_count; i++) {
        const hp_edge *edge = &p->edges[i];
        const hp_edge *last = i == 0 ? NULL : edge - 1;
        if (edge->callee >= p->function_count || (edge->caller >= p->function_count && edge->caller != HP_NO_FUNCTION))
            return broken(error, "an edge has no such function", i);
        if (last != NULL && (edge->caller < last->caller || (edge->caller == last->caller && edge->callee <= last->callee)))
            return broken(error, "edges are not sorted", i);
        if ((unsigned)edge->measured > HP_MIXED || edge->primitive_calls > edge->calls)
            return broken(error, "an edge has more primitive calls than calls", i);
        if (computed && (edge->total_sampled < edge->self_sampled || edge->total_exact < edge->self_exact))
            return broken(error, "an edge's total is below its self time", i);
    }
    return HP_OK;
}

static hp_status check_sources(const hp_profile *p, hp_error *error) {
    for (uint32_t i = 1; i < p->source_count; i++)
        if (memcmp(p->sources[i - 1].id, p->sources[i].id, sizeof p->sources[i].id) >= 0)
            return broken(error, "the merged profiles are not in the order of their ids", i);
    return HP_OK;
}

static hp_status check_timeline(const hp_profile *p, hp_error *error) {
    const hp_moment *moments = p->timeline.moments;
    for (uint32_t i = 0; i < p->timeline.count; i++) {
        if (moments[i].node == 0 || moments[i].node >= p->tree.count)
            return broken(error, "a sample of the timeline has no such node", i);
        if (i > 0 && moments[i].time < moments[i - 1].time)
            return broken(error, "the timeline is not in the order of time", i);
    }
    return HP_OK;
}

hp_status hp_profile_check_parts(const hp_profile *profile, hp_error *error) {
    static hp_status (*const checks[])(const hp_profile *, hp_error *) = {check_totals, check_threads, check_lines, check_estimates,
                                                                          check_sources};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        hp_status status = checks[i](profile, error);
        if (status != HP_OK)
            return status;
    }
    return HP_OK;
}

hp_status hp_profile_check(const hp_profile *profile, hp_error *error) {
    static hp_status (*const checks[])(const hp_profile *, hp_error *) = {check_totals,  check_functions, check_tree, check_threads,
                                                                          check_lines,   check_estimates, check_rows, check_edges,
                                                                          check_sources, check_timeline};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        hp_status status = checks[i](profile, error);
        if (status != HP_OK)
            return status;
    }
    return HP_OK;
}
