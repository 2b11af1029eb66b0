/* SPDX-License-Identifier: MIT */
/* Who has not run since the last tick, proved without a look at the thread.
 *
 * Of hundreds of threads most sleep, and to read the stack of one that sleeps takes a microsecond: all it has is out of the caches. A GIL
 * counts its takes (two in a row are never by the same thread) and names its last holder, so
 *
 *   no take       nobody ran but the last holder
 *   one take      it was the last holder's: all others rested
 *   two takes     the second was the last holder's; if the stack of another thread has changed, the first was that one's
 *
 * CPython 3.11 to 3.15 write the holder a moment before the number (take_gil in Python/ceval_gil.c). So what was proved with the two counts
 * only if they are the same behind all reads. (A taker that the sampler itself stops between these two stores, and a third thread that took
 * before it and shows nothing else: that one's sample would be its last tick's stack.) */
#include "sampler/private.h"

#define NOT_KNOWN UINT64_MAX

void hp_rested_begin(hp_sampler *sampler) {
    hp_takes *takes = &sampler->takes;
    uintptr_t gil = sampler->state_count == 0 ? 0 : sampler->states[0].gil;
    if (gil != takes->gil)
        *takes = (hp_takes){.gil = gil, .two_from = NOT_KNOWN};
    if (gil != 0)
        takes->now = hp_gil_read(gil);
}

bool hp_rested_end(hp_sampler *sampler) {
    hp_takes then = sampler->takes;
    bool again = false;
    if (then.gil == 0)
        return true;
    sampler->takes.now = hp_gil_read(then.gil);
    if (sampler->takes.now.switches == then.now.switches && sampler->takes.now.last_holder == then.now.last_holder)
        return true;
    for (uint32_t i = 0; i < sampler->state_count; i++) {
        hp_watched *w = sampler->present[i];
        if (w == NULL || w->proved_tick != sampler->tick || w->progress != HP_READ_SAME)
            continue;
        w->progress = HP_TO_READ;
        w->proved_tick = 0;
        w->may_have_run = again = true;
    }
    return !again;
}

void hp_rested_note(hp_sampler *sampler, const hp_watched *watched, uintptr_t gil, uint64_t from) {
    if (!watched->may_have_run && watched->progress == HP_READ_FRESH && gil == sampler->takes.gil && watched->last_switches - from == 2)
        sampler->takes.two_from = from;
}

bool hp_rested(const hp_sampler *sampler, const hp_watched *watched, const hp_state *state, const hp_gil *now) {
    const hp_takes *takes = &sampler->takes;
    uint64_t count = now->switches - watched->last_switches;
    if (watched->may_have_run || now->handed_on || count == 0)
        return !watched->may_have_run && !now->handed_on;
    if (state->gil != takes->gil || now->switches != takes->now.switches || now->last_holder != takes->now.last_holder)
        return false;
    return count == 1 || (count == 2 && takes->two_from == watched->last_switches);
}
