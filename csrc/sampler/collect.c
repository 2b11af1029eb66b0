/* SPDX-License-Identifier: MIT */
/* Copying what was gathered, between two ticks. */
#include <stdlib.h>
#include <string.h>

#include "sampler/private.h"

void hp_sampled_fini(hp_sampled *sampled) {
    hp_tree_fini(&sampled->tree);
    free(sampled->lines);
    free(sampled->estimates);
    free(sampled->threads);
    free(sampled->task_slots);
    free(sampled->beneath);
    free(sampled->beneath_lines);
    hp_timeline_fini(&sampled->timeline);
    *sampled = (hp_sampled){0};
}

static hp_status copy_lines(const hp_sampler *s, hp_sampled *out) {
    out->lines = malloc((s->lines.count + 1u) * sizeof *out->lines);
    if (out->lines == NULL)
        return HP_NO_MEMORY;
    if (s->lines.count > 0)
        memcpy(out->lines, s->lines.entries, s->lines.count * sizeof *out->lines);
    out->line_count = s->lines.count;
    out->left_out_of_lines = s->lines.left_out;
    return HP_OK;
}

static hp_status copy_estimates(const hp_sampler *s, hp_sampled *out) {
    out->estimates = malloc((s->tally_count + 1u) * sizeof *out->estimates);
    if (out->estimates == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < s->tally_count; i++) {
        const hp_tally *t = &s->tallies[i];
        out->estimates[i] = (hp_estimate){.thread = t->thread,
                                          .function = t->slot,
                                          .self_samples = t->self_samples,
                                          .self_runs = t->self_runs,
                                          .total_samples = t->total_samples,
                                          .total_runs = t->total_runs};
    }
    out->estimate_count = s->tally_count;
    return HP_OK;
}

static hp_status copy_threads(const hp_sampler *s, hp_sampled *out) {
    out->threads = malloc((s->watched_count + 1u) * sizeof *out->threads);
    if (out->threads == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < s->watched_count; i++) {
        const hp_watched *w = s->watched[i];
        out->threads[i] = w->totals;
        out->threads[i].until_ns = w->t_prev;
        bool may_be_sampled = s->started && w->tick == s->tick;
        out->threads[i].pending_ns = may_be_sampled && w->pending_ns > 0 ? (uint64_t)w->pending_ns : 0;
    }
    out->thread_count = s->watched_count;
    return HP_OK;
}

static hp_status copy_task_slots(const hp_sampler *s, hp_sampled *out) {
    uint32_t count = s->tasks == NULL ? 0 : s->tasks->reading.names.count;
    out->task_slots = malloc((count + 1u) * sizeof *out->task_slots);
    if (out->task_slots == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        if (s->tasks->slots[i] != HP_NO_SLOT && s->tasks->slots[i] != 0)
            out->task_slots[out->task_slot_count++] = s->tasks->slots[i];
    return HP_OK;
}

/* Of all its threads. */
static uint64_t cpu_so_far(const hp_sampler *s) {
    uint64_t native_id = atomic_load_explicit(&s->native_id, memory_order_relaxed);
    int64_t cpu = native_id == 0 ? 0 : hp_other_thread_cpu_ns(native_id);
    return s->earlier_cpu_ns + (cpu > 0 ? (uint64_t)cpu : 0);
}

static void fill_counts(const hp_sampler *s, hp_sampled *out) {
    out->counts = s->counts;
    out->counts.task_names_refused = s->tasks == NULL ? 0 : s->tasks->reading.names_refused;
    out->counts.cpu_ns = cpu_so_far(s);
    out->method = s->stops ? HP_METHOD_SIGNAL : s->follow.possible ? HP_METHOD_SAME_CPU : HP_METHOD_REMOTE;
    out->method_reason = s->options.method == HP_METHOD_SIGNAL ? s->stop_reason : s->follow.reason;
}

hp_status hp_sampler_collect(hp_sampler *sampler, uint64_t first_moment, hp_sampled *out) {
    *out = (hp_sampled){0};
    pthread_mutex_lock(&sampler->mutex);
    hp_open_gap_close(sampler, sampler->started);
    for (uint32_t i = 0; i < sampler->watched_count; i++)
        hp_record_flush(sampler, sampler->watched[i]);
    hp_status status = hp_tree_copy(&out->tree, &sampler->tree); /* node numbers stay, so lines and roots need no map */
    if (status == HP_OK)
        status = copy_lines(sampler, out);
    if (status == HP_OK)
        status = copy_estimates(sampler, out);
    if (status == HP_OK)
        status = copy_threads(sampler, out);
    if (status == HP_OK)
        status = copy_task_slots(sampler, out);
    if (status == HP_OK && !hp_beneath_copy(&sampler->beneath, out))
        status = HP_NO_MEMORY;
    if (status == HP_OK && sampler->moments != NULL && first_moment != HP_NO_MOMENTS)
        status = hp_moments_copy(sampler->moments, first_moment, &out->timeline);
    fill_counts(sampler, out);
    pthread_mutex_unlock(&sampler->mutex);
    if (status != HP_OK)
        hp_sampled_fini(out);
    return status;
}

/* An index slot is a uint32_t, and there are one more than its mask. */
static uint64_t table_bytes(uint64_t entries, size_t size, const uint32_t *index, uint32_t mask) {
    return entries * size + (index == NULL ? 0 : ((uint64_t)mask + 1) * sizeof *index);
}

hp_sampler_costs hp_sampler_costs_now(hp_sampler *sampler) {
    hp_sampler *s = sampler;
    pthread_mutex_lock(&s->mutex);
    hp_sampler_costs costs = {.cpu_ns = cpu_so_far(s)};
    costs.bytes =
        table_bytes(s->tree.capacity, sizeof *s->tree.nodes, s->tree.index, s->tree.index_mask) +
        table_bytes(s->lines.capacity, sizeof *s->lines.entries, s->lines.index, s->lines.mask) +
        table_bytes(s->tally_capacity, sizeof *s->tallies, s->tally_index, s->tally_mask) +
        (uint64_t)s->tally_of_node_capacity * sizeof *s->tally_of_node + (uint64_t)s->watched_count * sizeof **s->watched +
        (s->moments == NULL ? 0 : (s->moments->count < HP_MOMENTS_HELD ? s->moments->count : HP_MOMENTS_HELD) * sizeof(hp_moment));
    pthread_mutex_unlock(&s->mutex);
    return costs;
}
