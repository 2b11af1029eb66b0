/* SPDX-License-Identifier: MIT */
#include "tree/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "tree/error_bars.h"
#include "tree/merge_private.h"

hp_status hp_merge_new(hp_merge **out) {
    hp_merge *merge = calloc(1, sizeof *merge);
    if (merge == NULL)
        return HP_NO_MEMORY;
    merge->ids = hp_strings_new();
    merge->threads = hp_strings_new();
    if (merge->ids == NULL || merge->threads == NULL || hp_profile_new(&merge->sum) != HP_OK) {
        hp_merge_free(merge);
        return HP_NO_MEMORY;
    }
    *out = merge;
    return HP_OK;
}

void hp_merge_free(hp_merge *merge) {
    if (merge == NULL)
        return;
    hp_profile_free(merge->sum);
    hp_strings_free(merge->ids);
    hp_strings_free(merge->threads);
    free(merge->functions);
    free(merge->nodes);
    free(merge->thread_map);
    free(merge);
}

/* --- what can be added ---------------------------------------------------------------------------------------------------------------- */

static bool is_known(const hp_merge *merge, const hp_meta *source) {
    return hp_strings_find(merge->ids, (const char *)source->id, sizeof source->id) != HP_NO_STRING;
}

static hp_status check_sources(const hp_merge *merge, const hp_profile *profile, bool *new, hp_error *error) {
    uint32_t count, known = 0;
    const hp_meta *sources = hp_profile_sources(profile, &count);
    for (uint32_t i = 0; i < count; i++)
        known += is_known(merge, &sources[i]);
    *new = known == 0;
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(sources[i].id, (const uint8_t[sizeof sources[i].id]){0}, sizeof sources[i].id) == 0)
            return hp_fail(error, HP_BAD_VALUE, 0,
                           "it has no id, so that nobody could tell whether it counts twice: what hybridprof writes has one");
    if (known == 0 || known == count)
        return HP_OK;
    return hp_fail(error, HP_BAD_VALUE, 0,
                   "%u of the %u profiles that were merged into it are in other inputs too and would count twice: merge the single ones",
                   known, count);
}

static hp_status check_kind(const hp_merge *merge, const hp_profile *profile, hp_error *error) {
    static const char *const clocks[] = HP_CLOCK_PHRASES;
    if (profile->tree.count <= 1 && profile->row_count > 0)
        return hp_fail(error, HP_BAD_VALUE, 0,
                       "it holds no calling contexts (a pstats file has none), and profiles are merged by them: merge .hyprof files");
    if (merge->sum->source_count > 0 && profile->meta.clock != merge->sum->meta.clock)
        return hp_fail(error, HP_BAD_VALUE, 0,
                       "it was measured %s and the profiles before it %s, and such times are not added: "
                       "merge those of one clock",
                       clocks[profile->meta.clock], clocks[merge->sum->meta.clock]);
    return HP_OK;
}

/* --- adding --------------------------------------------------------------------------------------------------------------------------- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* `Thread-12 (work)` to `Thread-* (work)`; what is folded stays as it is. malloc'ed. */
static char *folded_name(const char *name) {
    char *folded = malloc(strlen(name) + 1), *to = folded;
    if (folded == NULL)
        return NULL;
    for (const char *from = name; *from != '\0'; from++) {
        *to++ = is_digit(*from) ? '*' : *from;
        while (is_digit(*from) && is_digit(from[1]))
            from++;
    }
    *to = '\0';
    return folded;
}

/* The thread of `sum` that takes this one; HP_NO_NODE when memory is short. */
static uint32_t thread_for(hp_merge *merge, const char *name) {
    char *folded = folded_name(name);
    if (folded == NULL)
        return HP_NO_NODE;
    const char *wanted = merge->last_thread != NULL && strcmp(folded, merge->last_thread) > 0 ? HP_MERGE_OTHER_THREADS : folded;
    uint32_t known = hp_strings_find(merge->threads, wanted, strlen(wanted));
    if (known == HP_NO_STRING && hp_strings_id(merge->threads, wanted, strlen(wanted)) != HP_NO_STRING)
        known = hp_profile_add_thread(merge->sum, wanted, 0);
    free(folded);
    return known;
}

static void thread_add(hp_profile_thread *to, const hp_profile_thread *from) {
    to->samples += from->samples;
    to->traced_samples += from->traced_samples;
    to->measured_ns += from->measured_ns;
    to->sampled_ns += from->sampled_ns;
    to->exact_ns += from->exact_ns;
    to->overhead_ns += from->overhead_ns;
    to->unresolved_ns += from->unresolved_ns;
}

static hp_status add_threads(hp_merge *merge, const hp_profile *profile) {
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        const hp_profile_thread *thread = &profile->threads[i];
        uint32_t to = thread_for(merge, thread->name);
        if (to == HP_NO_NODE)
            return HP_NO_MEMORY;
        merge->thread_map[i] = to;
        thread_add(&merge->sum->threads[to], thread);
        if (thread->root != HP_NO_NODE)
            merge->nodes[thread->root] = merge->sum->threads[to].root;
    }
    return HP_OK;
}

/* Functions get their ids as they are met: those that only name a thread's root are not taken. */
static uint32_t function_for(hp_merge *merge, const hp_profile *profile, uint32_t function) {
    if (merge->functions[function] == HP_NO_FUNCTION)
        merge->functions[function] = hp_profile_function(merge->sum, &profile->functions[function]);
    return merge->functions[function];
}

/* A child of the root that is no thread's, which hybridprof does not write, becomes a thread. */
static uint32_t root_for(hp_merge *merge, const hp_profile *profile, uint32_t node) {
    uint32_t thread = thread_for(merge, profile->functions[profile->tree.nodes[node].function].qualname);
    return thread == HP_NO_NODE ? HP_NO_NODE : merge->sum->threads[thread].root;
}

static uint32_t node_for(hp_merge *merge, const hp_profile *profile, uint32_t i) {
    const hp_node *node = &profile->tree.nodes[i];
    hp_tree *tree = &merge->sum->tree;
    if (node->parent == 0)
        return merge->nodes[i] != HP_NO_NODE ? merge->nodes[i] : root_for(merge, profile, i);
    uint32_t parent = merge->nodes[node->parent], function = function_for(merge, profile, node->function);
    if (function == HP_NO_FUNCTION)
        return HP_NO_NODE;
    uint32_t found = hp_tree_child(tree, parent, function);
    /* Short of memory a tree gives an overflow node instead. */
    return tree->nodes[found].parent == parent && tree->nodes[found].function == function ? found : HP_NO_NODE;
}

static hp_status add_nodes(hp_merge *merge, const hp_profile *profile) {
    merge->nodes[0] = 0;
    for (uint32_t i = 0; i < profile->tree.count; i++) {
        const hp_node *from = &profile->tree.nodes[i];
        if (i > 0)
            merge->nodes[i] = node_for(merge, profile, i);
        if (merge->nodes[i] == HP_NO_NODE)
            return HP_NO_MEMORY;
        hp_node *to = &merge->sum->tree.nodes[merge->nodes[i]];
        to->samples += from->samples;
        to->sampled += from->sampled;
        to->calls += from->calls;
        to->exact += from->exact;
        to->overhead += from->overhead;
        to->flags |= from->flags;
    }
    merge->sum->tree.overflowed += profile->tree.overflowed;
    return HP_OK;
}

static hp_status add_lines(hp_merge *merge, const hp_profile *profile) {
    hp_status status = HP_OK;
    for (uint32_t i = 0; i < profile->line_count && status == HP_OK; i++) {
        hp_line line = profile->lines[i];
        line.node = merge->nodes[line.node];
        status = hp_profile_add_line(merge->sum, &line);
    }
    return status;
}

static uint64_t whole_us2(uint64_t seen, uint64_t runs, const hp_profile_thread *thread) {
    return seen == 0 ? 0 : hp_error_whole_us2(hp_error_variance(seen, runs, thread->samples, thread->sampled_ns));
}

static hp_status add_estimates(hp_merge *merge, const hp_profile *profile) {
    hp_status status = HP_OK;
    for (uint32_t i = 0; i < profile->estimate_count && status == HP_OK; i++) {
        hp_estimate one = profile->estimates[i];
        const hp_profile_thread *thread = &profile->threads[one.thread];
        bool is_root = thread->root != HP_NO_NODE && profile->tree.nodes[thread->root].function == one.function;
        if (one.self_variance_us2 == 0)
            one.self_variance_us2 = whole_us2(one.self_samples, one.self_runs, thread);
        if (one.total_variance_us2 == 0)
            one.total_variance_us2 = whole_us2(one.total_samples, one.total_runs, thread);
        one.thread = merge->thread_map[one.thread];
        one.function =
            is_root ? merge->sum->tree.nodes[merge->sum->threads[one.thread].root].function : function_for(merge, profile, one.function);
        status = one.function == HP_NO_FUNCTION ? HP_NO_MEMORY : hp_profile_add_estimate(merge->sum, &one);
    }
    return status;
}

/* The first HP_MERGE_WARNINGS in the order of bytes: which they are does not depend on the order of adding. */
static hp_status add_warning(hp_merge *merge, const char *sentence) {
    uint32_t at = 0;
    if (strcmp(sentence, HP_MERGE_WARNINGS_LOST) == 0) {
        merge->warnings_lost = true;
        return HP_OK;
    }
    while (at < merge->warning_count && strcmp(merge->warnings[at], sentence) < 0)
        at++;
    if (at < merge->warning_count && strcmp(merge->warnings[at], sentence) == 0)
        return HP_OK;
    bool full = merge->warning_count == HP_MERGE_WARNINGS;
    merge->warnings_lost |= full;
    if (at == HP_MERGE_WARNINGS)
        return HP_OK;
    const char *own = hp_strings_intern(merge->sum->strings, sentence);
    if (own == NULL)
        return HP_NO_MEMORY;
    merge->warning_count += !full;
    memmove(&merge->warnings[at + 1], &merge->warnings[at], (merge->warning_count - at - 1) * sizeof *merge->warnings);
    merge->warnings[at] = own;
    return HP_OK;
}

/* Moments of different processes have no order that means anything where their threads are folded. */
static const char no_timeline[] = "samples in the order of time were left out: a merged profile has no timeline";

static hp_status add_sources(hp_merge *merge, const hp_profile *profile) {
    uint32_t count;
    const hp_meta *sources = hp_profile_sources(profile, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (hp_strings_id(merge->ids, (const char *)sources[i].id, sizeof sources[i].id) == HP_NO_STRING)
            return HP_NO_MEMORY;
        if (hp_profile_add_source(merge->sum, &sources[i]) != HP_OK)
            return HP_NO_MEMORY;
    }
    merge->sum->meta.clock = profile->meta.clock;
    merge->sum->left_out += profile->left_out;
    if (profile->timeline.kept && add_warning(merge, no_timeline) != HP_OK)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < profile->meta.warning_count; i++)
        if (add_warning(merge, profile->meta.warnings[i]) != HP_OK)
            return HP_NO_MEMORY;
    return HP_OK;
}

static bool maps_reserve(hp_merge *merge, const hp_profile *profile) {
    uint32_t *functions = hp_array_grow(merge->functions, &merge->function_capacity, profile->function_count, sizeof *functions);
    merge->functions = functions != NULL ? functions : merge->functions;
    uint32_t *nodes = hp_array_grow(merge->nodes, &merge->node_capacity, profile->tree.count, sizeof *nodes);
    merge->nodes = nodes != NULL ? nodes : merge->nodes;
    uint32_t *threads = hp_array_grow(merge->thread_map, &merge->thread_capacity, profile->thread_count, sizeof *threads);
    merge->thread_map = threads != NULL ? threads : merge->thread_map;
    if (functions == NULL || nodes == NULL || threads == NULL)
        return false;
    memset(functions, 0xff, profile->function_count * sizeof *functions); /* HP_NO_FUNCTION */
    memset(nodes, 0xff, profile->tree.count * sizeof *nodes);             /* HP_NO_NODE */
    return true;
}

static hp_status add_all(hp_merge *merge, const hp_profile *profile) {
    static hp_status (*const parts[])(hp_merge *, const hp_profile *) = {add_threads, add_nodes, add_lines, add_estimates, add_sources};
    hp_status status = maps_reserve(merge, profile) ? HP_OK : HP_NO_MEMORY;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == HP_OK; i++)
        status = parts[i](merge, profile);
    merge->spoiled |= status != HP_OK;
    return status;
}

/* --- the bound on threads ------------------------------------------------------------------------------------------------------------- */

static int name_order(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The last name that stays; NULL where all do, or memory is short (then the next step finds out). Whichever profiles are added later, a
 * name behind it cannot come before it: so folding early is folding at the end. */
static const char *last_name(const hp_profile *sum) {
    const char *last = NULL;
    const char **names = malloc(sum->thread_count * sizeof *names);
    uint32_t count = 0;
    for (uint32_t i = 0; names != NULL && i < sum->thread_count; i++)
        if (strcmp(sum->threads[i].name, HP_MERGE_OTHER_THREADS) != 0)
            names[count++] = sum->threads[i].name;
    if (count > HP_MERGE_THREADS) {
        qsort(names, count, sizeof *names, name_order);
        last = names[HP_MERGE_THREADS - 1];
    }
    free(names);
    return last;
}

/* What was added is a profile like any other: adding it to an empty merge, with a last name, folds it. */
static hp_status fold_threads(hp_merge *merge) {
    const char *last = merge->sum->thread_count > HP_MERGE_THREADS ? last_name(merge->sum) : NULL;
    hp_merge *folded = NULL;
    if (last == NULL)
        return HP_OK;
    hp_status status = hp_merge_new(&folded);
    if (status != HP_OK)
        return status;
    folded->last_thread = last;
    status = add_all(folded, merge->sum);
    folded->last_thread = NULL;
    for (uint32_t i = 0; i < merge->warning_count && status == HP_OK; i++)
        status = add_warning(folded, merge->warnings[i]);
    folded->warnings_lost = merge->warnings_lost;
    folded->totals = merge->totals;
    if (status == HP_OK) {
        hp_merge swap = *merge;
        *merge = *folded;
        *folded = swap;
    }
    hp_merge_free(folded);
    return status;
}

/* --- from outside --------------------------------------------------------------------------------------------------------------------- */

static hp_status no_memory(hp_error *error) {
    return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory for the merged profile");
}

hp_status hp_merge_add(hp_merge *merge, const hp_profile *profile, bool *added, hp_error *error) {
    hp_totals totals = merge->totals;
    *added = false;
    if (merge->spoiled)
        return no_memory(error);
    hp_status status = check_kind(merge, profile, error);
    if (status == HP_OK)
        status = check_sources(merge, profile, added, error);
    if (status != HP_OK || !*added)
        return status;
    const char *over = hp_totals_add(&totals, profile);
    if (over != NULL) {
        *added = false;
        return hp_fail(error, HP_BAD_VALUE, 0, "its %s and those before it add up to 2^64 or more, and sums here have 64 bits", over);
    }
    merge->totals = totals;
    status = add_all(merge, profile);
    if (status == HP_OK && merge->sum->thread_count > 4 * HP_MERGE_THREADS)
        status = fold_threads(merge);
    return status == HP_OK ? HP_OK : no_memory(error);
}

hp_status hp_merge_leave_out(hp_merge *merge, const char *sentence) {
    merge->sum->left_out++;
    return add_warning(merge, sentence);
}

static hp_status finish(hp_merge *merge, hp_profile **out, hp_error *error) {
    hp_status status = fold_threads(merge);
    if (status == HP_OK)
        status = hp_profile_new(out);
    if (status == HP_OK)
        status = hp_merge_order(merge->sum, *out);
    for (uint32_t i = 0; i < merge->warning_count && status == HP_OK; i++)
        status = hp_profile_add_warning(*out, merge->warnings[i]);
    if (status == HP_OK && merge->warnings_lost)
        status = hp_profile_add_warning(*out, HP_MERGE_WARNINGS_LOST);
    if (status == HP_OK)
        status = hp_profile_summarize(*out);
    return status == HP_OK ? hp_profile_check(*out, error) : status;
}

hp_status hp_merge_finish(hp_merge *merge, hp_profile **out, hp_error *error) {
    *out = NULL;
    hp_status status = merge->spoiled ? HP_NO_MEMORY : finish(merge, out, error);
    if (status == HP_OK)
        return HP_OK;
    hp_profile_free(*out);
    *out = NULL;
    return status == HP_NO_MEMORY ? no_memory(error) : status;
}
