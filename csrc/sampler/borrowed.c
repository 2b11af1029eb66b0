/* SPDX-License-Identifier: MIT */
/* Whose thread runs in a state, where the state itself does not say.
 *
 * On CPython 3.11 `run_string` and its like run in the state that the interpreter was made with, whichever thread calls them, and that
 * state keeps the ids of the thread which made it. By those the sampler would follow a thread that sleeps, take the copy for one of a
 * thread that stands still, and ask the wrong clock. But what runs has a C frame, and that lies on the stack of the thread that runs it. */
#include "sampler/private.h"

/* The thread whose C stack holds the address. One in a borrowed state has that stack too: it is no owner. */
static const hp_watched *owner_of(const hp_sampler *s, uintptr_t address) {
    for (uint32_t i = 0; i < s->state_count; i++) {
        const hp_watched *w = s->present[i];
        bool own = w != NULL && s->states[i].interpreter_id == 0 && w->pthread == s->states[i].pthread;
        if (own && address >= w->bounds.low && address < w->bounds.high)
            return w;
    }
    return NULL;
}

/* It has the time of its thread from the last tick on: until then the thread's own state had it. */
static void borrow(hp_watched *w, const hp_watched *owner) {
    hp_thread_state_forget(w);
    w->native_id = owner->native_id;
    w->cpu_prev = owner->cpu_prev;
    w->pthread = 0; /* its C stack is another one */
    w->borrowed = true;
}

void hp_states_find_threads(hp_sampler *sampler) {
    for (uint32_t i = 0; i < sampler->state_count; i++) {
        hp_state *state = &sampler->states[i];
        hp_watched *w = sampler->present[i];
        uintptr_t address = w == NULL || state->interpreter_id == 0 ? 0 : hp_state_on_stack(state);
        const hp_watched *owner = address == 0 ? NULL : owner_of(sampler, address);
        if (owner != NULL && owner->native_id != w->native_id)
            borrow(w, owner);
        if (w == NULL || !w->borrowed)
            continue;
        state->native_id = w->native_id; /* of the last one that ran in it, if nobody does */
        state->pthread = owner != NULL ? owner->pthread : w->pthread;
    }
}
