/* SPDX-License-Identifier: MIT */
#include "tracer/budget.h"

#include "tracer/recorder.h"

static const int64_t WINDOW_NS = 250000000;
static const double LEAST_CHOSEN = 1.0 / 1048576;

void hp_budget_init(hp_budget *budget, double share) {
    *budget = (hp_budget){.share = share, .chosen = HP_BUDGET_ALL};
    budget->began = hp_timebase_now();
    budget->window_began_ns = budget->began.ns;
}

/* Recording an activation is two events. Events that met a closed gate are not in it: nobody calibrates those. */
static double cost_ns(const hp_tracer *tracer, uint64_t events) {
    hp_timebase now = hp_timebase_now();
    double ticks = (double)events / 2 * (tracer->inside_ticks_per_call + tracer->outside_ticks_per_call);
    return ticks * hp_ns_per_tick(&tracer->budget.began, &now);
}

/* Down in proportion, so that one window is enough; up by doubling, so that a program whose calls grew cheaper is traced in full again
 * soon. */
static double next_share(double chosen, double used, double allowed) {
    if (used > allowed)
        return chosen * allowed / used < LEAST_CHOSEN ? LEAST_CHOSEN : chosen * allowed / used;
    if (used < allowed / 2)
        return chosen * 2 > 1.0 ? 1.0 : chosen * 2;
    return chosen;
}

void hp_budget_look(hp_tracer *tracer) {
    hp_budget *budget = &tracer->budget;
    int64_t now = hp_now_ns();
    if (now - budget->window_began_ns < WINDOW_NS)
        return;
    double used = cost_ns(tracer, tracer->counts.events - budget->window_began_events) / (double)(now - budget->window_began_ns);
    /* Events are recorded with the GIL held: more than one core is a calibration that a busy machine made too dear. */
    used = used > 1.0 ? 1.0 : used;
    double chosen = next_share((double)budget->chosen / (double)HP_BUDGET_ALL, used, budget->share);
    budget->chosen = (uint64_t)(chosen * (double)HP_BUDGET_ALL);
    if (budget->chosen < HP_BUDGET_ALL && !budget->was_cut) {
        budget->was_cut = true;
        hp_tracer_warn(tracer,
                       "tracing went over its budget: only a share of the targets' calls was traced, their counts are lower bounds");
    }
    budget->window_began_ns = now;
    budget->window_began_events = tracer->counts.events;
}
