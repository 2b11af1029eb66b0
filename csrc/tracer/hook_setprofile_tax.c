/* SPDX-License-Identifier: MIT */
/* Before 3.12 each instruction takes longer while its thread has a profile function, also where there is no event: a loop without calls by
 * 1.6 to 1.8 times. That is charged to the budget when the function goes off, as far as events have not paid for the time that it was on.
 *
 * CPU time counts, as a call may wait. Its clock costs more than a short call, so short rounds are taken for busy, together, and it is read
 * where one was long not long ago; the first long one is free. */
#include "tracer/hook_setprofile.h"

static const double TAX = 0.35; /* of the time that it is on */
enum { LONG_TICKS = 200000, EXPECTED = 64 };

void hp_setprofile_tax_begin(const hp_tracer *tracer, hp_recorder *recorder) {
    hp_tax *tax = &recorder->tax;
    if (tracer->budget.share <= 0)
        return;
    tax->began_units = tracer->budget.units;
    tax->began_cpu_ns = tax->expected > 0 ? hp_thread_cpu_ns() : 0;
    tax->expected -= tax->expected > 0;
    tax->began_ticks = hp_ticks();
}

static void charge(hp_tracer *tracer, double on_ns, uint64_t paid) {
    double units = TAX * on_ns / hp_budget_unit_ns(tracer) - (double)paid;
    if (units >= 1 && hp_budget_spend(&tracer->budget, (uint64_t)units))
        hp_budget_look(tracer);
}

static void charge_short_ones(hp_tracer *tracer, hp_tax *tax) {
    hp_timebase now = hp_timebase_now();
    double on_ns = (double)tax->short_ticks * hp_ns_per_tick(&tracer->budget.began, &now);
    uint64_t paid = tax->short_units;
    tax->short_ticks = tax->short_units = 0;
    charge(tracer, on_ns, paid);
}

void hp_setprofile_tax_end(hp_tracer *tracer, hp_recorder *recorder) {
    hp_tax *tax = &recorder->tax;
    if (tax->began_ticks == 0 || tracer->budget.share <= 0 || tracer->calibrating || tracer->budget.held)
        return;
    uint64_t ticks = hp_ticks() - tax->began_ticks, paid = tracer->budget.units - tax->began_units;
    int64_t began_cpu_ns = tax->began_cpu_ns;
    tax->began_ticks = 0;
    if (ticks >= LONG_TICKS) {
        tax->expected = EXPECTED;
        if (began_cpu_ns > 0)
            charge(tracer, (double)(hp_thread_cpu_ns() - began_cpu_ns), paid);
        return;
    }
    tax->short_ticks += ticks;
    tax->short_units += paid;
    if (tax->short_ticks >= LONG_TICKS)
        charge_short_ones(tracer, tax);
}
