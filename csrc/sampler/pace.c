/* SPDX-License-Identifier: MIT */
#include "sampler/pace.h"

#include "base/clock.h"

enum { TICKS = 128 };

hp_pace hp_pace_begin(double slower) {
    return (hp_pace){.slower = slower, .window_began = hp_now_ns(), .cpu_then = hp_thread_cpu_ns()};
}

/* By CPU time: a tick in whose midst the system ran somebody else for some ms has not cost more. Who spins has given us the CPU. Where the
 * system refuses the clock the ticks' wall time has to do, which may be too much: we go slower then, and nobody is harmed. */
static double share_of_core(const hp_pace *pace) {
    int64_t cpu = hp_thread_cpu_ns();
    int64_t spent = cpu < 0 || pace->cpu_then < 0 ? pace->inside : cpu - pace->cpu_then - pace->waited;
    return (double)spent / (double)(hp_now_ns() - pace->window_began + 1);
}

void hp_pace_ticked(hp_pace *pace, int64_t ns) {
    pace->inside += ns;
    if (++pace->ticks < TICKS)
        return;
    double share = share_of_core(pace);
    if (share > (pace->waited > 0 ? 0.9 : 0.5))
        pace->slower *= 2;
    else if (share < 0.15 && pace->slower > 1)
        pace->slower /= 2;
    *pace = hp_pace_begin(pace->slower);
}
