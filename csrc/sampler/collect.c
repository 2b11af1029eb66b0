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
    *sampled = (hp_sampled){0};
}

static hp_status copy_lines(const hp_sampler *s, hp_sampled *out) {
    out->lines = malloc((s->lines.count + 1u) * sizeof *out->lines);
    if (out->lines == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; s->lines.mask != 0 && i <= s->lines.mask; i++)
        if (s->lines.entries[i].samples != 0)
            out->lines[out->line_count++] = s->lines.entries[i];
    return HP_OK;
}

static hp_status copy_estimates(const hp_sampler *s, hp_sampled *out) {
    out->estimates = malloc((s->tally_count + 1u) * sizeof *out->estimates);
    if (out->estimates == NULL)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < s->tally_count; i++) {
        const hp_tally *t = &s->tallies[i];
        out->estimates[i] = (hp_estimate){t->thread, t->slot, t->self_samples, t->self_runs, t->total_samples, t->total_runs};
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
        out->threads[i].pending_ns = w->pending_ns > 0 ? (uint64_t)w->pending_ns : 0;
    }
    out->thread_count = s->watched_count;
    return HP_OK;
}

/* Node numbers stay, so lines and roots need no map. */
static hp_status copy_tree(const hp_sampler *s, hp_sampled *out) {
    hp_tree *to = &out->tree;
    const hp_tree *from = &s->tree;
    *to = *from;
    to->nodes = malloc(from->capacity * sizeof *to->nodes);
    to->index = NULL;
    to->index_mask = 0;
    to->capacity = from->capacity;
    if (to->nodes == NULL)
        return HP_NO_MEMORY;
    memcpy(to->nodes, from->nodes, from->count * sizeof *to->nodes);
    if (from->index != NULL) {
        size_t size = ((size_t)from->index_mask + 1) * sizeof *to->index;
        to->index = malloc(size);
        if (to->index == NULL)
            return HP_NO_MEMORY;
        memcpy(to->index, from->index, size);
        to->index_mask = from->index_mask;
    }
    return HP_OK;
}

static void fill_counts(const hp_sampler *s, hp_sampled *out) {
    uint64_t native_id = atomic_load_explicit(&s->native_id, memory_order_relaxed);
    int64_t cpu = native_id == 0 ? 0 : hp_other_thread_cpu_ns(native_id);
    out->counts = s->counts;
    out->counts.cpu_ns = s->earlier_cpu_ns + (cpu > 0 ? (uint64_t)cpu : 0);
    out->method = s->follow.possible ? HP_METHOD_SAME_CPU : HP_METHOD_REMOTE;
    out->method_reason = s->follow.reason;
}

hp_status hp_sampler_collect(hp_sampler *sampler, hp_sampled *out) {
    *out = (hp_sampled){0};
    pthread_mutex_lock(&sampler->mutex);
    for (uint32_t i = 0; i < sampler->watched_count; i++)
        hp_record_flush(sampler, sampler->watched[i]);
    hp_status status = copy_tree(sampler, out);
    if (status == HP_OK)
        status = copy_lines(sampler, out);
    if (status == HP_OK)
        status = copy_estimates(sampler, out);
    if (status == HP_OK)
        status = copy_threads(sampler, out);
    fill_counts(sampler, out);
    pthread_mutex_unlock(&sampler->mutex);
    if (status != HP_OK)
        hp_sampled_fini(out);
    return status;
}
