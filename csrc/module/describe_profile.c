/* SPDX-License-Identifier: MIT */
/* What a profile says about itself: where it comes from, what was counted, and what its reader should know before trusting a number. */
#include "module/assemble.h"

#include "frame/tasks.h"
#include "tracer/looks.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void warn(hp_profile *profile, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(hp_profile *profile, const char *format, ...) {
    char sentence[HP_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    hp_profile_add_warning(profile, sentence); /* short memory: the profile matters more than its warnings */
}

static void fill_meta(const hp_gathered *gathered, hp_profile *profile) {
    hp_meta *meta = &profile->meta;
    memcpy(meta->id, gathered->id, sizeof meta->id);
    meta->python = hp_profile_string(profile, gathered->python);
    meta->implementation = hp_profile_string(profile, "CPython");
    meta->platform = hp_profile_string(profile, gathered->platform);
    meta->program = hp_profile_string(profile, gathered->program);
    meta->pid = (uint64_t)getpid();
    meta->started_ns = gathered->started_wall_ns;
    meta->duration_ns = (uint64_t)(gathered->ended.ns - gathered->began.ns);
    meta->clock = gathered->clock;
    meta->rate_hz = gathered->rate_hz;
    static const char *const methods[] = HP_METHOD_NAMES;
    meta->sampler_method = hp_profile_string(profile, gathered->has_sampled ? methods[gathered->sampled.method] : "");
    meta->tracer_hook = hp_profile_string(profile, gathered->hook);
}

static void fill_counts(const hp_gathered *gathered, hp_profile *profile) {
    hp_meta *meta = &profile->meta;
    const hp_sampler_counts *sampled = &gathered->sampled.counts;
    const hp_tracer_counts *traced = &gathered->traced.counts;
    meta->samples_kept = sampled->kept;
    meta->samples_retried = sampled->retried;
    meta->samples_unresolved = sampled->unresolved;
    meta->ticks = sampled->ticks;
    meta->ticks_missed = sampled->missed;
    meta->ticks_lowered = sampled->lowered;
    meta->samples_remote = sampled->remote;
    memcpy(meta->unresolved_by, sampled->unresolved_by, sizeof meta->unresolved_by);
    meta->sampler_cpu_ns = sampled->cpu_ns;
    meta->tracing_targets = traced->targets;
    meta->tracing_calls = traced->calls;
    meta->tracing_events = traced->events;
    meta->tracing_gated = traced->gated;
    meta->tracing_truncated = traced->truncated;
    for (uint32_t i = 0; i < profile->thread_count; i++)
        meta->tracing_overhead_ns += profile->threads[i].overhead_ns;
    meta->tracing_overhead_error_ns = (uint64_t)((double)meta->tracing_overhead_ns * gathered->traced.overhead_spread);
}

static int by_share(const void *left, const void *right) {
    const struct hp_traced_spared *a = left, *b = right;
    return a->share < b->share ? 1 : a->share > b->share ? -1 : a->slot < b->slot ? -1 : a->slot > b->slot;
}

/* Why was this traced, why not that? All was that fits in the budget; these did not. */
static void tell_spared(const hp_gathered *gathered, hp_profile *profile) {
    enum { SHOWN = 5 };
    const hp_traced *traced = &gathered->traced;
    char list[HP_ERROR_TEXT] = "";
    size_t used = 0;
    if (traced->spared_count == 0)
        return;
    qsort(traced->spared, traced->spared_count, sizeof *traced->spared, by_share);
    uint32_t told = 0, hidden = 0;
    for (uint32_t i = 0; i < traced->spared_count && told < SHOWN && used < sizeof list; i++) {
        hp_code_info info = {0};
        bool known = hp_code_table_info(gathered->code, traced->spared[i].slot, &info) && info.qualname != NULL;
        if (hp_assemble_hides(gathered, &info)) {
            hidden++;
            continue;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.60s (%.1f %% of a core)", told++ > 0 ? ", " : "",
                                 known ? info.qualname : "<unknown>", 100.0 * (double)traced->spared[i].share);
    }
    bool more = traced->spared_count > told + hidden;
    if (told > 0)
        warn(profile, "left to the sampler for what their calls cost: %s%s", list, more ? ", and others" : "");
}

/* All of them, for `report --why`; the sentence above names the dearest. Sorted by then. */
static void keep_spared(const hp_gathered *gathered, hp_profile *profile) {
    const hp_traced *traced = &gathered->traced;
    char text[8192] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < traced->spared_count; i++) {
        hp_code_info info = {0};
        if (!hp_code_table_info(gathered->code, traced->spared[i].slot, &info) || !info.qualname || hp_assemble_hides(gathered, &info))
            continue;
        const char *module = info.module ? info.module : "";
        int size = snprintf(text + used, sizeof text - used, "%s%s%s%s (%.3g %%)", used > 0 ? ", " : "", module, *module ? "." : "",
                            info.qualname, 100.0 * (double)traced->spared[i].share);
        if (size < 0 || (size_t)size >= sizeof text - used) {
            text[used] = '\0'; /* those that cost least are not named, rather than half a name */
            break;
        }
        used += (size_t)size;
    }
    profile->meta.tracing_spared = hp_profile_string(profile, text);
}

/* Of which target is not known: the tracer counts them together. */
static void tell_chance(const hp_gathered *gathered, hp_profile *profile) {
    uint64_t skipped = gathered->traced.counts.skipped;
    bool named = gathered->rates && *gathered->rates;
    if (skipped > 0)
        warn(profile,
             "%" PRIu64 " calls of targets were left out by chance: counts of these targets and of what they call are of the traced calls "
             "alone, at least%s%s",
             skipped, named ? "; the chance to be traced: " : "", named ? gathered->rates : "");
}

/* In nanoseconds: whoever reads it compares it with the time of a call. Not where so little was traced that it is no percent of it. */
static void tell_spread(const hp_gathered *gathered, hp_profile *profile) {
    const hp_traced *traced = &gathered->traced;
    double low = traced->overhead_per_call_ticks * hp_ns_per_tick(&gathered->began, &gathered->ended);
    uint64_t recorded_ns = 0, error_ns = profile->meta.tracing_overhead_error_ns;
    for (uint32_t i = 0; i < profile->thread_count; i++)
        recorded_ns += profile->threads[i].exact_ns + profile->threads[i].overhead_ns;
    if (traced->overhead_spread < HP_LOOKS_AGREE || traced->counts.calls == 0 || error_ns < recorded_ns / 100)
        return;
    warn(profile,
         "what tracing a call costs was measured several times, and came to %.0f ns and to %.0f: by the lower one it was taken out of the "
         "times of traced functions, by the higher one they would be up to %.3g ms shorter together",
         low, low * (1 + traced->overhead_spread), (double)error_ns / 1e6);
}

/* Of the ticks that were asked for: the rate may have been changed meanwhile, and time in which the sampler stood still has none. */
static void tell_rate(const hp_gathered *gathered, hp_profile *profile) {
    const hp_sampler_counts *counts = &gathered->sampled.counts;
    uint64_t asked = counts->ticks + counts->missed;
    char lowered[64] = "";
    if (counts->missed * 100 <= counts->ticks)
        return;
    if (counts->lowered > 0)
        snprintf(lowered, sizeof lowered, ", %" PRIu64 " of them of its own accord", counts->lowered);
    warn(profile, "the sampler left out %" PRIu64 " of %" PRIu64 " ticks%s: %.4g Hz of %g asked for", counts->missed, asked, lowered,
         (double)counts->ticks * 1e9 / (double)(profile->meta.duration_ns + 1), gathered->rate_hz);
}

/* What is in no table, because memory or a bound was reached. */
static void tell_left_out(const hp_gathered *gathered, hp_profile *profile) {
    const hp_sampled *sampled = &gathered->sampled;
    const hp_sampler_counts *counts = &sampled->counts;
    if (sampled->left_out_of_lines > 0)
        warn(profile, "the table of lines reached its bound: lines and states leave out %" PRIu64 " of %" PRIu64 " samples",
             sampled->left_out_of_lines, counts->kept);
    if (sampled->left_out_beneath > 0)
        warn(profile,
             "the table of samples beneath targets reached its bound: the time of what was left to the sampler is divided without %" PRIu64
             " of them",
             sampled->left_out_beneath);
    if (counts->unwatched > 0)
        warn(profile, "too many threads at a time, or too little memory: %" PRIu64 " samples of some threads were not taken",
             counts->unwatched);
    if (counts->clocks_refused > 0)
        warn(profile, "the system has begun to refuse the clocks of threads, %" PRIu64 " times: what they did then is in no sample",
             counts->clocks_refused);
}

static void add_warnings(const hp_gathered *gathered, hp_profile *profile) {
    const hp_sampler_counts *counts = &gathered->sampled.counts;
    for (uint32_t i = 0; i < gathered->warning_count; i++)
        hp_profile_add_warning(profile, gathered->warnings[i]);
    tell_spared(gathered, profile);
    keep_spared(gathered, profile);
    tell_chance(gathered, profile);
    tell_spread(gathered, profile);
    if (counts->unresolved * 1000 > counts->kept)
        warn(profile, "%" PRIu64 " of %" PRIu64 " samples could not be resolved: their time stands under <unresolved>", counts->unresolved,
             counts->kept);
    tell_rate(gathered, profile);
    tell_left_out(gathered, profile);
    if (gathered->has_sampled && gathered->sampled.method == HP_METHOD_REMOTE)
        warn(profile, "sampled from another CPU (%s): self times of functions shorter than about 0.3 us are biased",
             gathered->sampled.method_reason && *gathered->sampled.method_reason ? gathered->sampled.method_reason : "as asked for");
    if (counts->task_names_refused > 0)
        warn(profile, "asyncio tasks had more than %d different names: those of %" PRIu64 " looks at a stack are <task ...>", HP_TASK_NAMES,
             counts->task_names_refused);
    if (gathered->unchained)
        warn(profile, "threads in which targets were traced are shown without their chains of awaiting tasks: exact calls are known by the "
                      "thread's own stack");
    if (gathered->tasks_impossible)
        warn(profile, "stacks were not continued through awaiting tasks: this asyncio's tasks do not look as expected");
    uint64_t overflowed = profile->tree.overflowed; /* of both trees, and of joining them: memory may have become short only then */
    if (overflowed > 0)
        warn(profile, "the call tree reached its bound: %" PRIu64 " stacks or calls were counted under <overflow>", overflowed);
    if (hp_code_table_is_full(gathered->code))
        warn(profile,
             "this process has met %" PRIu32 " code objects, as many as are kept apart: those that came later stand under <overflow>",
             hp_code_table_count(gathered->code));
    if (gathered->clock == HP_CLOCK_CPU && gathered->traced.counts.calls > 0)
        warn(profile, "CPU clock: exact call counts are kept, exact times are not, for they are wall time; times come from samples");
}

void hp_assemble_meta(const hp_gathered *gathered, hp_profile *profile) {
    fill_meta(gathered, profile);
    fill_counts(gathered, profile);
    add_warnings(gathered, profile);
}
