/* SPDX-License-Identifier: MIT */
/* From a verified stack to the tree.
 *
 * A thread's time since its last sample, less what it spent beneath targets, waits in `pending_ns` until a sample outside targets takes it.
 * So the tree's time and the exact time never overlap, and together they are the thread's time. */
#include <stdlib.h>
#include <string.h>

#include "sampler/private.h"

static bool reserve_units(hp_sampler *s, uint32_t slot) {
    if (slot < s->units_capacity)
        return true;
    uint32_t capacity = slot + slot / 2 + 1024;
    uint32_t *units = realloc(s->units_of_slot, capacity * sizeof *units);
    if (units == NULL)
        return false;
    memset(units + s->units_capacity, 0, (capacity - s->units_capacity) * sizeof *units);
    s->units_of_slot = units;
    s->units_capacity = capacity;
    return true;
}

/* Is there a code object, long enough for the instruction? Looked at once for each slot, while the epoch proves that nothing died. */
static bool frame_possible(hp_sampler *s, uint64_t epoch, const hp_frame *frame, uint32_t slot) {
    if (slot == 0 || !reserve_units(s, slot))
        return true; /* `<overflow>`, or no memory to remember the answer */
    if (s->units_of_slot[slot] == 0)
        s->units_of_slot[slot] = hp_code_units_at(frame->code);
    if (s->units_of_slot[slot] == 0) {
        hp_code_table_refuse(s->code, epoch, frame->code); /* nobody may describe what is no code object */
        return false;
    }
    return hp_frame_unit_index(frame) < s->units_of_slot[slot];
}

static bool stack_possible(hp_sampler *s, const hp_watched *w) {
    for (uint32_t i = 0; i < w->last.count; i++)
        if (!hp_frame_is_task(&w->last.frames[i]) && !frame_possible(s, w->last_epoch, &w->last.frames[i], s->slots[i]))
            return false;
    return hp_code_table_epoch(s->code) == w->last_epoch;
}

/* `<overflow>` where memory is short. */
static uint32_t slot_of_task(hp_sampler *s, const hp_frame *frame) {
    uint32_t name = hp_frame_task_name(frame);
    if (s->tasks->slots[name] == HP_NO_SLOT)
        s->tasks->slots[name] = hp_code_table_named(s->code, HP_CODE_SYNTHETIC, s->tasks->reading.names.text[name]);
    return s->tasks->slots[name] == HP_NO_SLOT ? 0 : s->tasks->slots[name];
}

static bool slots_of_stack(hp_sampler *s, const hp_watched *w) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->last.count; i++)
        if (!hp_frame_is_task(&w->last.frames[i]))
            s->addresses[count++] = w->last.frames[i].code;
    hp_status status = hp_code_table_slots(s->code, w->last_epoch, s->addresses, count, s->slots);
    s->short_of_slots = status == HP_NO_MEMORY;
    for (uint32_t i = w->last.count; i-- > 0 && count < i + 1;) /* slots of functions move up to their frames, from the end */
        s->slots[i] = hp_frame_is_task(&w->last.frames[i]) ? slot_of_task(s, &w->last.frames[i]) : s->slots[--count];
    return status == HP_OK || status == HP_FULL;
}

static bool is_trampoline(const hp_sampler *s, uint32_t slot) {
    return slot < s->units_capacity && s->units_of_slot[slot] == HP_CODE_TRAMPOLINE;
}

/* Where memory was too short for a new thread's node its samples went below another root: those that wait still belong there. */
static uint32_t root_set(hp_sampler *s, hp_watched *w) {
    uint32_t root = hp_tree_child(&s->tree, 0, w->thread->index);
    if (root != w->totals.root)
        hp_record_flush(s, w);
    w->totals.root = root;
    return root;
}

static uint32_t leaf_of_path(hp_sampler *s, hp_watched *w) {
    uint32_t node = root_set(s, w);
    for (uint32_t i = w->last.count; i-- > 0;)
        if (!is_trampoline(s, s->slots[i]))
            node = hp_tree_child(&s->tree, node, s->slots[i]);
    return w->progress == HP_READ_PART ? hp_tree_child(&s->tree, node, s->unresolved_slot) : node;
}

/* What was gathered for the leaf stays with it. */
static void leaf_set(hp_sampler *s, hp_watched *w, uint32_t leaf) {
    uint32_t unit = w->progress == HP_READ_FRESH && w->last.count > w->top ? hp_frame_unit_index(&w->last.frames[w->top]) : 0;
    if (leaf == w->leaf && unit == w->leaf_unit)
        return;
    hp_record_flush(s, w);
    w->leaf = leaf;
    w->leaf_unit = unit;
}

static void state_set(hp_sampler *s, hp_watched *w, const hp_state *known) {
    hp_thread_state_find(s, w, known);
    if (w->state == w->leaf_state)
        return;
    hp_record_flush(s, w);
    w->leaf_state = w->state;
}

bool hp_record_resolve(hp_sampler *sampler, hp_watched *watched) {
    if (watched->progress == HP_READ_SAME)
        return true;
    if (watched->progress == HP_READ_FRESH && watched->same_codes && watched->leaf != HP_NO_NODE) {
        leaf_set(sampler, watched, watched->leaf);
        return true;
    }
    if (!slots_of_stack(sampler, watched) || !stack_possible(sampler, watched)) {
        watched->last_valid = false;
        return false;
    }
    watched->top = 0;
    while (watched->top < watched->last.count && is_trampoline(sampler, sampler->slots[watched->top]))
        watched->top++;
    leaf_set(sampler, watched, leaf_of_path(sampler, watched));
    return true;
}

void hp_record_flush(hp_sampler *sampler, hp_watched *watched) {
    uint64_t count = watched->repeats, ns = watched->repeat_ns;
    if (count == 0)
        return;
    hp_node *node = &sampler->tree.nodes[watched->leaf];
    node->samples += count;
    node->sampled += ns;
    bool has_unit = watched->leaf != watched->totals.root && node->function != sampler->unresolved_slot;
    hp_sampled_line line = {watched->leaf, has_unit ? watched->leaf_unit & 0xfffffffu : HP_NO_UNIT, watched->leaf_state, count, ns};
    hp_line_table_add(&sampler->lines, &line);
    hp_tally_path(sampler, watched, watched->leaf, count);
    watched->repeats = watched->repeat_ns = 0;
}

/* Wall: the time since the last tick. Returns whether this sample may go to the tree. */
static bool earn_wall(hp_watched *w, int64_t now, uint64_t ticks, double ns_per_tick) {
    bool inside = (w->traced_word & 1u) != 0;
    uint64_t traced = inside ? (w->traced_word & ~(uint64_t)1) + ticks : w->traced_word;
    int64_t traced_ns = (int64_t)((double)(int64_t)(traced - w->traced_prev) * ns_per_tick);
    w->traced_prev = traced;
    w->pending_ns += now - w->t_prev - traced_ns;
    w->totals.measured_ns += (uint64_t)(now - w->t_prev);
    w->totals.traced_samples += inside;
    return !inside;
}

/* A state that may be gone at the next tick stands for the time since the last one if it is on a CPU now (see watched.c): its clock cannot
 * tell, it may be that of a thread which has done other things, and does not know how long this goes on. */
static bool earn_first_cpu(hp_watched *w, int64_t cpu, int64_t now) {
    bool on_cpu = cpu >= 0 && w->last.count > 0 && (w->running || hp_other_thread_cpu_ns(w->native_id) > cpu);
    int64_t earned = on_cpu ? now - w->t_prev : 0;
    w->cpu_prev = cpu;
    w->pending_ns += earned;
    w->totals.measured_ns += (uint64_t)earned;
    return on_cpu;
}

/* CPU: what the thread's clock advanced. It goes to the stack only if the thread is on a CPU now: the holder of the GIL whose clock
 * advanced since the last tick, or another thread whose clock advances while we look twice. There is no exact CPU time, so extents of
 * targets are sampled like everything else. */
static bool earn_cpu(hp_watched *w, uint64_t tick, int64_t now, uint64_t *refused) {
    /* A thread that has rested at one stack for a while is asked at every eighth tick: the question is a system call. Nothing is lost,
     * its clock goes on counting, and as soon as its stack changes it is asked again. */
    enum { REST = 8 };
    w->cpu_rest = w->progress == HP_READ_SAME && !w->running ? w->cpu_rest : 0;
    if (w->cpu_rest >= REST && (tick + w->thread->index) % REST != 0)
        return false;
    int64_t cpu = hp_other_thread_cpu_ns(w->native_id);
    *refused += cpu < 0 && hp_thread_cpu_ns() < 0; /* a thread that has ended has no clock either, but ours has not */
    if (w->is_new)
        return earn_first_cpu(w, cpu, now);
    int64_t earned = cpu < 0 || w->cpu_prev < 0 ? 0 : cpu - w->cpu_prev;
    w->cpu_rest = earned > 0 ? 0 : w->cpu_rest + 1;
    w->cpu_prev = cpu;
    w->pending_ns += earned;
    w->totals.measured_ns += (uint64_t)earned;
    return earned > 0 && (w->running || hp_other_thread_cpu_ns(w->native_id) > cpu);
}

/* One native thread's CPU time belongs to one stack; and a state that is kept for later, without a stack, is no thread that waits. */
static bool stands_aside(hp_watched *w, bool cpu, int64_t now) {
    if (!w->behind || (!cpu && w->last.count > 0))
        return false;
    if (cpu)
        w->cpu_prev = hp_other_thread_cpu_ns(w->native_id);
    w->totals.aside_ns += (uint64_t)(now - w->t_prev);
    w->t_prev = now;
    return true;
}

/* The target's frame is there, its extent is not: every call with a hook of its own is counted, so this is no time of a call that was not.
 */
static bool is_at_edge(const hp_watched *w) {
    return w->edge_code != 0 && w->progress != HP_READ_PART && w->last.count > w->top && w->last.frames[w->top].code == w->edge_code;
}

static void give_to_hook(hp_watched *w) {
    uint64_t weight = w->pending_ns > 0 ? (uint64_t)w->pending_ns : 0;
    w->pending_ns -= (int64_t)weight;
    w->totals.hook_ns += weight;
    w->totals.traced_samples++;
}

static void note_beneath(hp_sampler *s, hp_watched *w, const hp_state *known) {
    state_set(s, w, known);
    hp_beneath_add(&s->beneath, w->leaf, w->traced_node, w->leaf == w->totals.root ? HP_NO_UNIT : w->leaf_unit, w->leaf_state);
}

/* What is asked for before the next sample goes where this one went. */
static void open_gap(hp_watched *w, uint64_t weight) {
    bool has_unit = w->leaf != w->totals.root && w->progress != HP_READ_PART;
    w->open_line = (hp_sampled_line){w->leaf, has_unit ? w->leaf_unit & 0xfffffffu : HP_NO_UNIT, w->leaf_state, 0, 0};
    w->gap_ns = weight;
    w->totals.open_leaf = w->leaf;
    w->totals.open_ns = 0;
}

void hp_record_sample(hp_sampler *sampler, hp_watched *watched, const hp_state *known, int64_t now, uint64_t ticks) {
    bool cpu = sampler->options.clock == HP_CLOCK_CPU;
    hp_thread_seen(watched->thread, now);
    if (stands_aside(watched, cpu, now))
        return;
    bool give =
        cpu ? earn_cpu(watched, sampler->tick, now, &sampler->counts.clocks_refused) : earn_wall(watched, now, ticks, sampler->ns_per_tick);
    watched->t_prev = now;
    watched->is_new = false;
    bool kept = give || !cpu, part = watched->progress == HP_READ_PART;
    sampler->counts.kept += kept;
    sampler->counts.remote += kept && watched->remote;
    sampler->counts.in_tasks += kept && watched->in_task;
    sampler->counts.unresolved += kept && part;
    sampler->counts.unresolved_by[watched->cause] += kept && part;
    if (!give) {
        if (!cpu && !part)
            note_beneath(sampler, watched, known);
        return;
    }
    if (!cpu && is_at_edge(watched))
        return give_to_hook(watched);
    state_set(sampler, watched, known);
    uint64_t weight = watched->pending_ns > 0 ? (uint64_t)watched->pending_ns : 0;
    watched->pending_ns -= (int64_t)weight;
    watched->repeats++;
    watched->repeat_ns += weight;
    watched->totals.samples++;
    watched->totals.sampled_ns += weight;
    watched->totals.squares += (double)weight * (double)weight;
    watched->totals.cubes += (double)weight * (double)weight * (double)weight;
    if (watched->progress == HP_READ_PART)
        watched->totals.unresolved_ns += weight;
    if (sampler->moments != NULL) /* in the order of time a sample covers all that has passed since the one before */
        hp_moments_add(sampler->moments, now, watched->leaf, weight + watched->totals.open_ns);
    open_gap(watched, weight);
}
