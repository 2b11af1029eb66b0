/* SPDX-License-Identifier: MIT */
/* The time since a thread's last sample, when somebody asks for numbers.
 *
 * The next sample would take it, but there may be none: the session ends, or the thread has. So it goes to the stack of the last sample,
 * for good: numbers that were told do not shrink, and the next sample takes what is new since. Either neighbour of a gap is as good as the
 * other. No sample is counted, as nobody looked; `open_ns` says how much of a thread's time rests on this alone. A
 * thread that has no sample yet keeps its time for the first one. */
#include "sampler/private.h"

static bool is_there(const hp_watched *w, int64_t until) {
    return until > w->t_prev;
}

/* Beneath targets until `ticks`, ns since the last look. */
static int64_t traced_since(hp_watched *w, uint64_t ticks, double ns_per_tick) {
    bool inside;
    uint64_t traced = hp_thread_traced_ticks(w->thread, ticks, &inside);
    int64_t ns = (int64_t)((double)(int64_t)(traced - w->traced_prev) * ns_per_tick);
    w->traced_prev = traced;
    return ns;
}

static void earn_wall(hp_watched *w, uint64_t ticks, double ns_per_tick) {
    int64_t until = atomic_load_explicit(&w->thread->last_seen_ns, memory_order_relaxed);
    int64_t traced = traced_since(w, ticks, ns_per_tick);
    if (!is_there(w, until)) /* it ended since, and lived at least for what was traced of it */
        until = w->t_prev + (traced > 0 ? traced : 0);
    hp_thread_seen(w->thread, until);
    w->pending_ns += until - w->t_prev - traced;
    w->totals.measured_ns += (uint64_t)(until - w->t_prev);
    w->t_prev = until;
}

/* Of one that has ended nobody can ask. One that was never looked at since it was met may show another's clock (see record.c). */
static void earn_cpu(hp_watched *w) {
    int64_t until = atomic_load_explicit(&w->thread->last_seen_ns, memory_order_relaxed);
    int64_t cpu = is_there(w, until) && !w->is_new ? hp_other_thread_cpu_ns(w->native_id) : -1;
    if (cpu < 0 || w->cpu_prev < 0 || cpu < w->cpu_prev)
        return;
    w->pending_ns += cpu - w->cpu_prev;
    w->totals.measured_ns += (uint64_t)(cpu - w->cpu_prev);
    w->cpu_prev = cpu;
    w->t_prev = until;
}

static double cube(double x) {
    return x * x * x;
}

/* By the CPU clock a thread that only runs in bursts may have been seen at each tick and on a CPU at none. Once no sample can take its time
 * any more, where it stood is the best that is known, and as it has no sample the error is all of it. */
static void take_last_seen(const hp_sampler *s, hp_watched *w) {
    bool over = !s->started || w->tick != s->tick;
    if (w->totals.open_leaf != HP_NO_NODE || w->leaf == HP_NO_NODE || !over || s->options.clock != HP_CLOCK_CPU)
        return;
    bool has_unit = w->leaf != w->totals.root && s->tree.nodes[w->leaf].function != s->unresolved_slot;
    w->open_line = (hp_sampled_line){w->leaf, has_unit ? w->leaf_unit & 0xfffffffu : HP_NO_UNIT, HP_STATE_UNKNOWN, 0, 0};
    w->totals.open_leaf = w->leaf;
}

void hp_open_gap_give(hp_sampler *sampler, hp_watched *watched) {
    hp_sampled_thread *totals = &watched->totals;
    take_last_seen(sampler, watched);
    if (totals->open_leaf == HP_NO_NODE || watched->pending_ns <= 0)
        return;
    uint64_t ns = (uint64_t)watched->pending_ns;
    double before = (double)watched->gap_ns, after = before + (double)ns;
    hp_sampled_line line = watched->open_line;
    line.sampled = ns;
    hp_line_table_add(&sampler->lines, &line);
    sampler->tree.nodes[totals->open_leaf].sampled += ns;
    if (sampler->tree.nodes[totals->open_leaf].function == sampler->unresolved_slot)
        totals->unresolved_ns += ns;
    totals->sampled_ns += ns;
    totals->open_ns += ns;
    totals->squares += after * after - before * before;
    totals->cubes += cube(after) - cube(before);
    watched->gap_ns += ns;
    watched->pending_ns = 0;
}

/* `measures`: the session runs, or ends in this moment. Afterwards a CPU clock shows time that is not the session's. */
void hp_open_gap_close(hp_sampler *sampler, bool measures) {
    int64_t now = hp_now_ns();
    uint64_t ticks = hp_ticks();
    if (ticks > sampler->begin.ticks) /* at a low rate there may have been no tick yet */
        sampler->ns_per_tick = (double)(now - sampler->begin.ns) / (double)(ticks - sampler->begin.ticks);
    for (uint32_t i = 0; i < sampler->watched_count; i++) {
        hp_watched *w = sampler->watched[i];
        if (!w->behind && sampler->options.clock != HP_CLOCK_CPU) /* else its time is another state's */
            earn_wall(w, ticks, sampler->ns_per_tick);
        else if (!w->behind && measures)
            earn_cpu(w);
        hp_open_gap_give(sampler, w);
    }
}
