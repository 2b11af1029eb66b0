/* SPDX-License-Identifier: MIT */
/* What a merged profile says of itself: from its sources alone, so that it does not depend on how they came together. Durations and
 * counters are sums, targets the most of any, the start is the first; a text is that of all, or the different ones with commas; the process
 * is that of the only source, and 0 where there are more; the rate is the mean by duration. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/sink.h"
#include "tree/merge_private.h"

static uint64_t sum_of(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void counters_add(hp_meta *to, const hp_meta *from) {
    to->duration_ns = sum_of(to->duration_ns, from->duration_ns);
    to->samples_kept = sum_of(to->samples_kept, from->samples_kept);
    to->samples_retried = sum_of(to->samples_retried, from->samples_retried);
    to->samples_unresolved = sum_of(to->samples_unresolved, from->samples_unresolved);
    to->ticks_missed = sum_of(to->ticks_missed, from->ticks_missed);
    to->ticks = sum_of(to->ticks, from->ticks);
    to->ticks_lowered = sum_of(to->ticks_lowered, from->ticks_lowered);
    to->samples_remote = sum_of(to->samples_remote, from->samples_remote);
    for (int i = 0; i < HP_CAUSES; i++)
        to->unresolved_by[i] = sum_of(to->unresolved_by[i], from->unresolved_by[i]);
    to->sampler_cpu_ns = sum_of(to->sampler_cpu_ns, from->sampler_cpu_ns);
    to->tracing_calls = sum_of(to->tracing_calls, from->tracing_calls);
    to->tracing_events = sum_of(to->tracing_events, from->tracing_events);
    to->tracing_gated = sum_of(to->tracing_gated, from->tracing_gated);
    to->tracing_overhead_ns = sum_of(to->tracing_overhead_ns, from->tracing_overhead_ns);
    to->tracing_overhead_error_ns = sum_of(to->tracing_overhead_error_ns, from->tracing_overhead_error_ns);
    to->tracing_truncated = sum_of(to->tracing_truncated, from->tracing_truncated);
    if (from->tracing_targets > to->tracing_targets)
        to->tracing_targets = from->tracing_targets;
    if (from->started_ns < to->started_ns)
        to->started_ns = from->started_ns;
}

/* 0 where nothing was sampled. Exact where all rates are one. */
static double mean_rate(const hp_meta *sources, uint32_t count) {
    double weighted = 0.0, whole = 0.0;
    bool same = true;
    for (uint32_t i = 0; i < count; i++) {
        double weight = (double)sources[i].duration_ns;
        same &= sources[i].rate_hz == sources[0].rate_hz;
        weighted += sources[i].rate_hz * weight;
        whole += weight;
    }
    double mean = whole > 0.0 ? weighted / whole : 0.0;
    return same ? sources[0].rate_hz : isfinite(mean) ? mean : 0.0;
}

static int text_order(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The different ones in order, "" left out, the first HP_MERGE_TEXTS of them written out. `texts` is sorted here. */
static hp_status join(hp_profile *out, const char **texts, uint32_t count, const char **to) {
    hp_sink *sink = NULL;
    uint32_t different = 0;
    hp_status status = hp_sink_memory(&sink);
    if (status != HP_OK)
        return status;
    qsort(texts, count, sizeof *texts, text_order);
    for (uint32_t i = 0; i < count; i++) {
        if (texts[i][0] == '\0' || (i > 0 && strcmp(texts[i], texts[i - 1]) == 0) || ++different > HP_MERGE_TEXTS)
            continue;
        hp_sink_text(sink, different > 1 ? ", " : "");
        hp_sink_text(sink, texts[i]);
    }
    if (different > HP_MERGE_TEXTS)
        hp_sink_format(sink, ", and %u more", different - HP_MERGE_TEXTS);
    hp_sink_byte(sink, '\0');
    status = hp_sink_flush(sink, NULL);
    if (status == HP_OK) {
        size_t size;
        *to = hp_profile_string(out, (const char *)hp_sink_bytes(sink, &size));
    }
    hp_sink_free(sink);
    return status;
}

static hp_status join_texts(hp_profile *out) {
    hp_meta *meta = &out->meta;
    const char **const to[] = {&meta->python,         &meta->implementation, &meta->platform,      &meta->program,
                               &meta->sampler_method, &meta->tracer_hook,    &meta->tracing_spared};
    uint32_t count = out->source_count;
    const char **texts = malloc(count * sizeof *texts);
    hp_status status = texts == NULL ? HP_NO_MEMORY : HP_OK;
    for (size_t t = 0; t < sizeof to / sizeof *to && status == HP_OK; t++) {
        size_t offset = (size_t)((const char *)to[t] - (const char *)meta);
        for (uint32_t i = 0; i < count; i++)
            memcpy(&texts[i], (const char *)&out->sources[i] + offset, sizeof texts[i]);
        status = join(out, texts, count, to[t]);
    }
    free(texts);
    return status;
}

/* Of the set of ids: who merges the same profiles gets the same id. */
static void make_id(hp_meta *meta, const hp_meta *sources, uint32_t count) {
    uint64_t halves[2] = {UINT64_C(0x6879627269647072), count};
    for (uint32_t i = 0; i < count; i++) {
        halves[0] = hp_hash_bytes(halves[0], sources[i].id, sizeof sources[i].id);
        halves[1] = hp_hash_bytes(halves[1] ^ halves[0], sources[i].id, sizeof sources[i].id);
    }
    memcpy(meta->id, halves, sizeof halves);
}

hp_status hp_merge_meta(hp_profile *out) {
    const hp_meta *sources = out->sources;
    uint32_t count = out->source_count;
    if (count == 0)
        return HP_OK;
    if (count == 1)
        return hp_profile_copy_meta(out, &out->meta, sources);
    out->meta.clock = sources[0].clock;
    out->meta.started_ns = sources[0].started_ns;
    for (uint32_t i = 0; i < count; i++)
        counters_add(&out->meta, &sources[i]);
    out->meta.rate_hz = mean_rate(sources, count);
    make_id(&out->meta, sources, count);
    return join_texts(out);
}
