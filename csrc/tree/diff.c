/* SPDX-License-Identifier: MIT */
#include "tree/diff.h"

#include <stdlib.h>
#include <string.h>

static uint64_t self_ns(const hp_row *row) {
    return row->self_sampled + row->self_exact;
}

static void fill_base(hp_diff_row *to, const hp_profile *profile, uint32_t row) {
    const hp_row *r = &profile->rows[row];
    to->base = row;
    to->self.base_ns = self_ns(r);
    to->total.base_ns = r->total_sampled + r->total_exact;
}

static void fill_new(hp_diff_row *to, const hp_profile *profile, uint32_t row) {
    const hp_row *r = &profile->rows[row];
    to->new = row;
    to->self.new_ns = self_ns(r);
    to->total.new_ns = r->total_sampled + r->total_exact;
}

/* Threads and other stand-ins say nothing of which program it was. */
static bool is_real(const hp_profile *profile, uint32_t row) {
    return profile->functions[profile->rows[row].function].kind != HP_CODE_SYNTHETIC;
}

/* The share of the real time that is in rows with a counterpart. */
static double common_share(const hp_profile *profile, const uint32_t *map, uint64_t *whole) {
    double real = 0.0, common = 0.0;
    for (uint32_t i = 0; i < profile->row_count; i++) {
        double ns = (double)self_ns(&profile->rows[i]);
        *whole += self_ns(&profile->rows[i]);
        real += is_real(profile, i) ? ns : 0.0;
        common += is_real(profile, i) && map[i] != HP_NO_FUNCTION ? ns : 0.0;
    }
    return real > 0.0 ? common / real : 1.0; /* of nothing, all */
}

static hp_status fill_rows(hp_diff *diff, const hp_profile *base, const hp_profile *new) {
    hp_status status = HP_NO_MEMORY;
    uint32_t *to_new = malloc(((size_t)base->row_count + 1) * sizeof *to_new);
    uint32_t *to_base = malloc(((size_t)new->row_count + 1) * sizeof *to_base);
    diff->rows = calloc((size_t)base->row_count + new->row_count + 1, sizeof *diff->rows);
    if (to_new != NULL && to_base != NULL && diff->rows != NULL)
        status = hp_diff_match(base, new, to_new, to_base);
    for (uint32_t i = 0; i < base->row_count && status == HP_OK; i++) {
        hp_diff_row *row = &diff->rows[diff->row_count++];
        row->new = HP_NO_FUNCTION;
        fill_base(row, base, i);
        if (to_new[i] != HP_NO_FUNCTION)
            fill_new(row, new, to_new[i]);
    }
    for (uint32_t i = 0; i < new->row_count && status == HP_OK; i++) {
        if (to_base[i] != HP_NO_FUNCTION)
            continue;
        hp_diff_row *row = &diff->rows[diff->row_count++];
        row->base = HP_NO_FUNCTION;
        fill_new(row, new, i);
    }
    if (status == HP_OK) {
        diff->common_base = common_share(base, to_new, &diff->whole_base_ns);
        diff->common_new = common_share(new, to_base, &diff->whole_new_ns);
        diff->unrelated = diff->common_base < HP_DIFF_UNRELATED || diff->common_new < HP_DIFF_UNRELATED;
    }
    free(to_new);
    free(to_base);
    return status;
}

hp_status hp_diff_new(const hp_profile *base, const hp_profile *new, hp_compare compare, hp_diff **out, hp_error *error) {
    static const char *const clocks[] = HP_CLOCK_PHRASES;
    *out = NULL;
    if (base->meta.clock != new->meta.clock)
        return hp_fail(error, HP_BAD_VALUE, 0, "one was measured %s and the other %s, and such times are not compared",
                       clocks[base->meta.clock], clocks[new->meta.clock]);
    hp_diff *diff = calloc(1, sizeof *diff);
    hp_status status = diff == NULL ? HP_NO_MEMORY : fill_rows(diff, base, new);
    if (status == HP_OK)
        status = hp_diff_judge(diff, base, new, compare);
    if (status == HP_OK) {
        *out = diff;
        return HP_OK;
    }
    hp_diff_free(diff);
    return hp_fail(error, status, 0, "not enough memory to compare two profiles");
}

void hp_diff_free(hp_diff *diff) {
    if (diff == NULL)
        return;
    free(diff->rows);
    free(diff);
}

/* --- stacks --------------------------------------------------------------------------------------------------------------------------- */

/* The functions of `from` in `out`; those with a counterpart have its name, so that their stacks meet, and not their own as well, which
 * would make labels tell the two apart. */
static hp_status map_functions(hp_profile *out, const hp_profile *from, const hp_profile *names, const uint32_t *to_names, uint32_t *map) {
    for (uint32_t i = 0; i < from->function_count; i++)
        map[i] = i == 0 ? 0 : HP_NO_FUNCTION;
    for (uint32_t i = 0; to_names != NULL && i < from->row_count; i++)
        if (to_names[i] != HP_NO_FUNCTION)
            map[from->rows[i].function] = hp_profile_function(out, &names->functions[names->rows[to_names[i]].function]);
    for (uint32_t i = 0; i < from->function_count; i++) {
        if (map[i] == HP_NO_FUNCTION)
            map[i] = hp_profile_function(out, &from->functions[i]);
        if (map[i] == HP_NO_FUNCTION)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

static hp_status add_times(hp_profile *out, const hp_profile *from, const uint32_t *map, double divisor, bool is_new) {
    hp_tree times;
    hp_status status = hp_tree_copy(&times, &from->tree);
    if (status != HP_OK)
        return status;
    for (uint32_t i = 0; i < times.count; i++) {
        hp_node *node = &times.nodes[i];
        uint64_t ns = node->sampled + node->exact;
        node->sampled = is_new ? 0 : ns;
        node->exact = is_new ? (divisor == 1.0 ? ns : (uint64_t)((double)ns / divisor + 0.5)) : 0;
    }
    status = hp_tree_add(&out->tree, &times, map, 1.0, NULL);
    hp_tree_fini(&times);
    return status;
}

hp_status hp_diff_stacks(const hp_profile *base, const hp_profile *new, double scale, hp_profile **out) {
    hp_status status = HP_NO_MEMORY;
    uint32_t most = base->function_count > new->function_count ? base->function_count : new->function_count;
    uint32_t *to_new = malloc(((size_t)base->row_count + 1) * sizeof *to_new);
    uint32_t *to_base = malloc(((size_t)new->row_count + 1) * sizeof *to_base);
    uint32_t *map = malloc((size_t)most * sizeof *map);
    hp_profile *both = NULL;
    if (to_new != NULL && to_base != NULL && map != NULL)
        status = hp_profile_new(&both);
    if (status == HP_OK)
        status = hp_diff_match(base, new, to_new, to_base);
    if (status == HP_OK)
        status = map_functions(both, new, new, NULL, map);
    if (status == HP_OK)
        status = add_times(both, new, map, scale, true);
    if (status == HP_OK)
        status = map_functions(both, base, new, to_new, map);
    if (status == HP_OK)
        status = add_times(both, base, map, 1.0, false);
    free(to_new);
    free(to_base);
    free(map);
    if (status == HP_OK)
        *out = both;
    else
        hp_profile_free(both);
    return status;
}
