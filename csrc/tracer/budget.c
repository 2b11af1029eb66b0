/* SPDX-License-Identifier: MIT */
#include "tracer/budget.h"

#include <stdlib.h>

#include "tracer/recorder.h"

static const int64_t WINDOW_NS = 250000000;
static const double LEAST_CHOSEN = 1.0 / 1048576;
static const double LEAST_TRACED_NS = 30; /* where calibration was disturbed and found nothing */
/* Calibration calls one small function again and again. In programs, whose code and data the hook drives out of the caches, a call that is
 * traced cost 1.06 to 1.36 times as much (four of benchmarks/workloads, all traced, by their CPU time). The budget is a promise. */
static const double IN_PROGRAMS = 1.35;
static const int64_t BETWEEN_SHEDS_NS = 25000000; /* shedding looks at every function */
static const int64_t OUTERMOST_NS = 1000000000;   /* so long a function that an extent began with is not spared */
enum { HP_CLEAN_WINDOWS = 10, MOST_GRACE_WINDOWS = 4 };

static const char left_out[] = "tracing went over its budget: only a share of the targets' calls was traced, or the beginning of a call; "
                               "their counts are lower bounds";
static const char left_to_the_sampler[] =
    "tracing went over its budget: the functions with the most calls were left to the sampler: their counts are lower bounds, and "
    "their time since then is divided from their callers' by samples";

static const char left_out_target[] = "tracing went over its budget: a target is called so often that choosing among its calls cost too "
                                      "much: it was left to the sampler for some time, and its counts are lower bounds";
static const char paused[] =
    "tracing went over its budget by functions that it cannot spare: for some time nothing was traced, and counts are "
    "lower bounds";
static const char switched_off[] = "tracing went over its budget: before Python 3.12 coroutines and generators are traced by a profile "
                                   "function that slows all code; it was "
                                   "off for some time, and counts are lower bounds";
static const char cut_short[] =
    "a call of a target had more events than the limit allows: the rest of it was left to the sampler, and counts are lower bounds";

static void look_next(hp_budget *budget) {
    budget->look_at = budget->spent_at < budget->limit_look_at ? budget->spent_at : budget->limit_look_at;
}

static void look_when_spent(hp_budget *budget, uint64_t units) {
    budget->spent_at = units;
    look_next(budget);
}

void hp_budget_init(hp_budget *budget, double share, uint64_t event_limit) {
    *budget = (hp_budget){.share = share, .chosen = HP_BUDGET_ALL, .spent_at = UINT64_MAX, .limit_look_at = UINT64_MAX};
    budget->window_ends_ticks = UINT64_MAX;
    budget->event_limit = event_limit > 0 ? event_limit : UINT64_MAX;
    look_next(budget);
    budget->began = hp_timebase_now();
    budget->window_began_ns = budget->began.ns;
}

void hp_budget_restart(hp_budget *budget) {
    budget->began = hp_timebase_now();
    budget->window_began_ns = budget->began.ns;
    budget->window_began_units = budget->units;
    budget->grace_ns = MOST_GRACE_WINDOWS * budget->share * (double)WINDOW_NS;
    /* The first look comes soon: until then nobody knows how fast events come. */
    look_when_spent(budget, budget->share > 0 ? budget->units + 1000 : UINT64_MAX);
    budget->window_ends_ticks = UINT64_MAX;
}

bool hp_tracer_set_budget(hp_tracer *tracer, double share) {
    hp_budget *budget = &tracer->budget;
    if (share == budget->share)
        return true;
    bool first = budget->share <= 0;
    if (share <= 0 || (first && tracer->everything)) /* without a budget nobody gives back what it took */
        return false;
    budget->share = share;
    hp_budget_restart(budget);
    return true;
}

double hp_budget_unit_ns(const hp_tracer *tracer) {
    hp_timebase now = hp_timebase_now();
    double ticks = tracer->inside_ticks_per_call + tracer->outside_ticks_per_call;
    double traced = ticks * hp_ns_per_tick(&tracer->budget.began, &now);
    return (traced > LEAST_TRACED_NS ? traced : LEAST_TRACED_NS) * IN_PROGRAMS / HP_UNITS_TRACED;
}

/* A thread that was interrupted meanwhile did not cost all that time: hence the bound. */
uint64_t hp_budget_slow_units(const hp_tracer *tracer, uint64_t ticks) {
    double traced = tracer->inside_ticks_per_call + tracer->outside_ticks_per_call;
    double finding = traced > 0 ? (double)ticks * HP_UNITS_TRACED / traced : HP_UNITS_TRACED;
    return HP_UNITS_TRACED + (finding < HP_UNITS_FOUND ? (uint64_t)(finding + 0.5) : HP_UNITS_FOUND);
}

/* Where the hook cannot spare functions a gated event, of which a call has two, is no unit of the budget, and costs the program all the
 * same. */
uint64_t hp_budget_units(const hp_tracer *tracer) {
    return tracer->budget.units + (tracer->budget.gated_units == 0 ? tracer->counts.gated / 2 * HP_UNITS_GATED : 0);
}

static void begin_window(hp_tracer *tracer, int64_t now, double allowed_units) {
    hp_budget *budget = &tracer->budget;
    hp_timebase here = hp_timebase_now();
    budget->window_ends_ticks = here.ticks + (uint64_t)((double)WINDOW_NS / hp_ns_per_tick(&budget->began, &here));
    budget->window_began_ns = now;
    budget->window_began_units = budget->units;
    budget->once = budget->meeting = 0;
    look_when_spent(budget, budget->units + (allowed_units < 1 ? 1 : (uint64_t)allowed_units));
}

/* --- functions lose their events ---------------------------------------------------------------------------------------------------- */

/* A function that could lose its events. `price`: exact self time that is known of it for each unit that its events cost. */
typedef struct candidate {
    uintptr_t address;
    uint64_t units;
    double price;
    uint32_t slot;
} candidate;

/* What tells least of the program's time for what it costs goes first: not the function with the most events, if most of the time is in it.
 */
static int by_price(const void *left, const void *right) {
    const candidate *a = left, *b = right;
    if (a->price != b->price)
        return a->price < b->price ? -1 : 1;
    return a->units < b->units ? 1 : a->units > b->units ? -1 : a->slot < b->slot ? -1 : a->slot > b->slot;
}

static bool is_alive(const hp_tracer *tracer, const hp_code_state *state) {
    return state->address != 0 && hp_code_table_address(tracer->code, state->slot) == state->address;
}

/* Where a call of a target has a hook of its own, leaving that off spares it; no other function can be spared then. */
static bool can_be_spared(const hp_tracer *tracer, const hp_code_state *state) {
    return tracer->hook->drop != NULL ||
           ((state->flags & HP_CODE_TARGET) && tracer->hook->needs_wrapper(tracer, (PyCodeObject *)state->address));
}

/* An extent that began with it ends with it; one that begins with it gives it its events back. So it is spared only where that was a while
 * ago: a thread's first function, or a greenlet's, may be one that is called all the time. */
static bool begins_extents(const hp_tracer *tracer, const hp_code_state *state) {
    if (!(state->flags & HP_CODE_OUTERMOST))
        return false;
    hp_timebase now = hp_timebase_now();
    double age_ns = (double)(now.ticks - state->outermost_ticks) * hp_ns_per_tick(&tracer->budget.began, &now);
    return age_ns < (double)OUTERMOST_NS || hp_extents_begin_with(tracer, state->address);
}

/* Where everything is traced by function a target is a function like all others. */
static bool may_drop(const hp_tracer *tracer, const hp_code_state *state, bool targets) {
    bool is_target = (state->flags & HP_CODE_TARGET) != 0 && !tracer->by_function;
    bool fixed = (state->flags & (HP_CODE_HOLDS_BLOCK | HP_CODE_DROPPED | HP_CODE_PROBE)) != 0 || is_target != targets;
    return !fixed && (state->flags & HP_CODE_ARMED) && state->units > 0 && is_alive(tracer, state) && can_be_spared(tracer, state) &&
           !begins_extents(tracer, state);
}

/* By slot, in ticks, of all of the session so far. NULL where memory is short. */
static uint64_t *exact_self(const hp_tracer *tracer) {
    const hp_tree *tree = &tracer->tree;
    uint32_t slots = hp_code_table_count(tracer->code);
    uint64_t *self = calloc(slots + 1u, sizeof *self);
    for (uint32_t i = 1; self != NULL && i < tree->count; i++)
        if (tree->nodes[i].parent != 0 && tree->nodes[i].function < slots) /* children of the root are threads */
            self[tree->nodes[i].function] += tree->nodes[i].exact;
    return self;
}

/* In the order in which they go; the list is the caller's. Arming and disarming may move the states: hence addresses. */
static candidate *candidates(hp_tracer *tracer, bool targets, uint32_t *count) {
    const hp_code_states *states = &tracer->states;
    uint64_t *self = exact_self(tracer);
    candidate *list = calloc(states->used + 1u, sizeof *list);
    *count = 0;
    for (uint32_t i = 0; list != NULL && self != NULL && i <= states->mask; i++) {
        const hp_code_state *state = &states->states[i];
        if (may_drop(tracer, state, targets))
            list[(*count)++] = (candidate){state->address, state->units, (double)self[state->slot] / (double)state->units, state->slot};
    }
    if (list != NULL)
        qsort(list, *count, sizeof *list, by_price);
    free(self);
    return list;
}

/* So many of the first ones save `too_much`, or all do. Those among them that are not needed for it, because a later one saves more than
 * was left, have no units afterwards: the dearest to lose first. */
static uint32_t choose_candidates(candidate *list, uint32_t count, uint64_t too_much) {
    uint64_t saved = 0;
    uint32_t chosen = 0;
    while (chosen < count && saved < too_much)
        saved += list[chosen++].units;
    for (uint32_t i = chosen; i-- > 0 && saved > too_much;)
        if (saved - list[i].units >= too_much) {
            saved -= list[i].units;
            list[i].units = 0;
        }
    return chosen;
}

/* One that costs too much again as soon as it has its events back is left alone for longer and longer: each trial costs an allowance. */
static void note_spared(hp_code_state *state, double share, int64_t now) {
    enum { MOST_DOUBLINGS = 6 };
    static const int64_t least = HP_CLEAN_WINDOWS * WINDOW_NS;
    int64_t last = least << (state->spared_times > 0 ? state->spared_times - 1 : 0);
    if (state->spared_until_ns != 0 && now > state->spared_until_ns + 4 * last)
        state->spared_times = 0;
    state->spared_until_ns = now + (least << state->spared_times);
    state->spared_times += state->spared_times < MOST_DOUBLINGS;
    state->spared = (float)share;
}

/* `share`: of a core, what its events cost. */
static bool drop_one(hp_tracer *tracer, uintptr_t address, double share) {
    if (tracer->hook->drop != NULL && tracer->hook->drop(tracer, (PyCodeObject *)address) < 0)
        return false;
    hp_shadows_leave_to_caller(tracer, (PyCodeObject *)address);
    tracer->budget.was_cut |= hp_extents_end_of(tracer, (PyCodeObject *)address);
    hp_code_state *state = hp_code_states_get(&tracer->states, address, HP_CODE_PYTHON);
    if (state == NULL)
        return false;
    state->flags = (state->flags & ~(uint32_t)(HP_CODE_ARMED | HP_CODE_WHOLE)) | HP_CODE_DROPPED | HP_CODE_LATE;
    note_spared(state, share, hp_now_ns());
    tracer->budget.dropped++;
    return true;
}

/* Returns how many units of the last window would not have been spent. */
static uint64_t drop_cheapest(hp_tracer *tracer, bool targets, uint64_t too_much, double share_of_unit) {
    uint32_t count;
    uint64_t saved = 0;
    candidate *list = candidates(tracer, targets, &count);
    uint32_t chosen = choose_candidates(list, count, too_much);
    for (uint32_t i = 0; i < chosen; i++)
        if (list[i].units > 0 && drop_one(tracer, list[i].address, share_of_unit * (double)list[i].units))
            saved += list[i].units;
    free(list);
    if (saved > 0)
        hp_tracer_warn(tracer, targets ? left_out_target : left_to_the_sampler);
    return saved;
}

static void forget_units(hp_tracer *tracer) {
    for (uint32_t i = 0; i <= tracer->states.mask; i++)
        tracer->states.states[i].units = 0;
}

/* Those that may be called beneath a target and had their time out get their events back. */
static void take_back(hp_tracer *tracer) {
    hp_code_states *states = &tracer->states;
    int64_t now = hp_now_ns();
    tracer->budget.dropped = 0;
    for (uint32_t i = 0; i <= states->mask; i++) {
        hp_code_state *state = &states->states[i];
        if (state->address == 0 || !(state->flags & HP_CODE_DROPPED))
            continue;
        if (now < state->spared_until_ns) {
            tracer->budget.dropped++;
            continue;
        }
        state->flags &= ~(uint32_t)HP_CODE_DROPPED;
        /* Arming finds the state and adds none, so it does not move. */
        if (is_alive(tracer, state) && tracer->hook->arm(tracer, (PyCodeObject *)state->address) < 0)
            PyErr_Clear();
    }
}

/* --- windows ------------------------------------------------------------------------------------------------------------------------ */

static double clamped(double chosen) {
    return chosen > 1.0 ? 1.0 : chosen < LEAST_CHOSEN ? LEAST_CHOSEN : chosen;
}

static void choose(hp_tracer *tracer, double factor) {
    hp_budget *budget = &tracer->budget;
    budget->chosen = (uint64_t)(clamped((double)budget->chosen / (double)HP_BUDGET_ALL * factor) * (double)HP_BUDGET_ALL);
}

/* A call that is left out costs too: where hardly any is traced any more, it is that which costs. */
static bool leaving_out_is_dear(const hp_budget *budget) {
    enum { HARDLY_ANY = 64 };
    return budget->chosen <= HP_BUDGET_ALL / HARDLY_ANY;
}

static void pause_everything(hp_tracer *tracer) {
    hp_tracer_warn(tracer, paused);
    hp_extents_end(tracer);
    tracer->everything = false;
    tracer->budget.paused = tracer->budget.was_cut = true;
}

/* Whether functions that lose their events would save that much. */
static bool can_save(const hp_tracer *tracer, uint64_t units) {
    uint64_t saved = 0;
    for (uint32_t i = 0; i <= tracer->states.mask; i++)
        saved += may_drop(tracer, &tracer->states.states[i], false) ? tracer->states.states[i].units : 0;
    return saved >= units;
}

/* The units of this window that count. Of what meeting functions costs only as much is forgiven as a program's beginning takes: one that
 * makes functions all the time (exec, lambdas in a loop) costs that all the time. */
static uint64_t counted_units(hp_budget *budget, double unit_ns) {
    double meeting_ns = unit_ns * (double)budget->meeting;
    double forgiven_ns = meeting_ns < budget->grace_ns ? meeting_ns : budget->grace_ns;
    uint64_t spent = budget->units - budget->window_began_units;
    budget->grace_ns -= forgiven_ns;
    budget->once += (uint64_t)(forgiven_ns / unit_ns);
    budget->meeting = 0;
    return budget->once < spent ? spent - budget->once : 0;
}

/* A quarter of the allowance, until there is enough for four windows. */
static void give_grace(hp_budget *budget, double ns) {
    double most = MOST_GRACE_WINDOWS * budget->share * (double)WINDOW_NS;
    budget->grace_ns += budget->share * ns / 4;
    budget->grace_ns = budget->grace_ns < most ? budget->grace_ns : most;
}

/* Down in proportion, so that one window is enough. Where that cannot help no function is spared in vain: their events tell how time goes
 * by, and so when the pause is over. */
static void shed_functions_and_calls(hp_tracer *tracer, uint64_t spent, double allowed, double share_of_unit) {
    uint64_t too_much = (double)spent > 0.8 * allowed ? (uint64_t)((double)spent - 0.8 * allowed) : 0;
    bool in_vain = tracer->everything && tracer->by_function && (double)spent > allowed && !can_save(tracer, spent - (uint64_t)allowed);
    uint64_t saved = in_vain ? 0 : drop_cheapest(tracer, false, too_much, share_of_unit);
    if ((double)spent - (double)saved > allowed && leaving_out_is_dear(&tracer->budget))
        saved += drop_cheapest(tracer, true, too_much - saved, share_of_unit);
    double left = (double)spent - (double)saved;
    if (left > allowed && tracer->by_function) {
        pause_everything(tracer);
    } else if (left > allowed) {
        hp_tracer_warn(tracer, left_out);
        choose(tracer, allowed / left);
        hp_extents_truncate(tracer);
        tracer->budget.was_cut = true;
    }
}

static void shed(hp_tracer *tracer, uint64_t spent, double allowed, double share_of_unit) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    /* A hook that is on for all code costs whatever is traced: no share of the calls would do. */
    if (tracer->hook->pause != NULL && tracer->hook->pause(tracer)) {
        hp_tracer_warn(tracer, switched_off);
        tracer->budget.was_cut = true;
    } else
        shed_functions_and_calls(tracer, spent, allowed, share_of_unit);
    PyErr_Restore(type, value, traceback);
    tracer->budget.clean_windows = 0;
    tracer->budget.shed_ns = hp_now_ns();
}

static void recover(hp_tracer *tracer) {
    hp_budget *budget = &tracer->budget;
    if (budget->chosen < HP_BUDGET_ALL)
        choose(tracer, 2);
    else if ((budget->dropped > 0 || budget->paused) && ++budget->clean_windows >= HP_CLEAN_WINDOWS) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        budget->clean_windows = 0;
        take_back(tracer);
        if (budget->paused)
            tracer->hook->meet_again(tracer);
        tracer->everything |= budget->paused;
        budget->paused = false;
        PyErr_Restore(type, value, traceback);
    }
}

/* --- the limit of one call ------------------------------------------------------------------------------------------------------------ */

/* A start costs units and has one event, as its end has: so many units may pass before there are more events than `left`. */
static void look_at_limit(hp_budget *budget, uint64_t left) {
    uint64_t units = budget->units + 1 + (left < UINT64_MAX / 4 ? left * HP_UNITS_TRACED / 2 : UINT64_MAX / 2);
    if (units < budget->limit_look_at)
        budget->limit_look_at = units;
    look_next(budget);
}

void hp_budget_extent_began(hp_tracer *tracer, hp_recorder *recorder) {
    recorder->events_began = recorder->events;
    if (hp_budget_has_limit(&tracer->budget))
        look_at_limit(&tracer->budget, tracer->budget.event_limit);
}

void hp_budget_extent_goes_on(hp_tracer *tracer, hp_recorder *recorder, uint64_t had) {
    hp_budget *budget = &tracer->budget;
    if (!hp_budget_has_limit(budget) || had == 0 || recorder->stack.depth == 0)
        return;
    recorder->events_began -= had; /* below zero, where another recorder had them: only differences count */
    look_at_limit(budget, had < budget->event_limit ? budget->event_limit - had : 0);
}

/* Only the calling thread's extent is ended, by itself; others come here with their own events. */
static void hold_to_limit(hp_tracer *tracer) {
    enum { NOT_NOW = 1000 }; /* it comes here itself, with its next start */
    hp_budget *budget = &tracer->budget;
    budget->limit_look_at = UINT64_MAX;
    for (hp_recorder *recorder = tracer->recorders; recorder != NULL; recorder = recorder->next) {
        uint64_t had = recorder->events - recorder->events_began;
        bool here = hp_gate_here.tracer_id == tracer->id && hp_gate_here.recorder == recorder;
        if (recorder->stack.depth == 0)
            continue;
        if (had < budget->event_limit || !here) {
            look_at_limit(budget, had < budget->event_limit ? budget->event_limit - had : NOT_NOW);
            continue;
        }
        hp_extent_truncate(tracer, recorder, true);
        budget->was_cut = true;
        hp_tracer_warn(tracer, cut_short);
        if (tracer->hook->quit != NULL)
            tracer->hook->quit(tracer);
    }
    look_next(budget);
}

void hp_budget_look(hp_tracer *tracer) {
    hp_budget *budget = &tracer->budget;
    if (!tracer->calibrating && budget->units >= budget->limit_look_at)
        hold_to_limit(tracer);
    if (tracer->calibrating || budget->held || budget->share <= 0)
        return;
    if (budget->units < budget->spent_at && hp_ticks() < budget->window_ends_ticks)
        return;
    int64_t now = hp_now_ns(), elapsed = now - budget->window_began_ns + 1;
    uint64_t spent = budget->units - budget->window_began_units;
    double unit = hp_budget_unit_ns(tracer);
    /* Events are recorded with the GIL held: more than all of the time is a calibration that a busy machine made too dear. */
    if (unit * (double)spent > (double)elapsed)
        unit = (double)elapsed / (double)spent;
    double in_a_window = budget->share * (double)WINDOW_NS / unit;
    double allowed = budget->share * (double)elapsed / unit + 1;
    if ((double)spent > allowed)
        spent = counted_units(budget, unit);
    if (elapsed < WINDOW_NS && (double)spent < in_a_window) { /* so little is no reason for anything, however fast it came */
        look_when_spent(budget, budget->window_began_units + budget->once + (uint64_t)in_a_window + 1);
        return;
    }
    if ((double)spent > allowed && now - budget->shed_ns < BETWEEN_SHEDS_NS) {
        look_when_spent(budget, budget->units + 1000);
        return;
    }
    give_grace(budget, (double)elapsed); /* once a window, not with each look */
    if ((double)spent > allowed)
        shed(tracer, spent, allowed, unit / (double)elapsed);
    else if ((double)spent < allowed / 2)
        recover(tracer);
    else
        budget->clean_windows = 0;
    forget_units(tracer);
    begin_window(tracer, now, in_a_window);
}
