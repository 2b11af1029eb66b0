/* SPDX-License-Identifier: MIT */
/* The lists of interpreters and threads, and who holds a GIL. Everything read here lives in objects that the head lock keeps. */
#include "frame/frame.h"

#include "frame/description.h"
#include "frame/load.h"

const char *hp_frame_unsupported(void) {
    return hp_description_here.unsupported;
}

bool hp_runtime_finalizing(void) {
    return hp_load_word(hp_description_here.finalizing) != 0;
}

static void state_fill(hp_state *out, uintptr_t state, uintptr_t interpreter, uintptr_t gil, uint64_t interpreter_id) {
    const hp_description *d = &hp_description_here;
    out->address = state;
    out->interpreter = interpreter;
    out->gil = gil;
    out->interpreter_id = interpreter_id;
    out->id = hp_load_word(state + d->state_id);
    out->pthread = hp_load_word(state + d->state_pthread);
    out->native_id = hp_load_word(state + d->state_native_id);
}

void hp_states_prefetch(const hp_state *states, uint32_t count) {
    const hp_description *d = &hp_description_here;
    for (uint32_t i = 0; i < count; i++) {
        const char *state = (const char *)states[i].address; // NOLINT(performance-no-int-to-ptr)
        __builtin_prefetch(state + d->state_next);
        __builtin_prefetch(state + d->state_id);
        __builtin_prefetch(state + d->state_pthread);
    }
}

uint32_t hp_states_list(hp_state *states, uint32_t capacity) {
    const hp_description *d = &hp_description_here;
    uint32_t count = 0;
    uintptr_t interpreter = hp_load_word(d->first_interpreter);
    for (; interpreter != 0; interpreter = hp_load_word(interpreter + d->interpreter_next)) {
        uintptr_t gil = d->gil != 0 ? d->gil : hp_load_word(interpreter + d->interpreter_gil);
        uint64_t id = hp_load_word(interpreter + d->interpreter_id);
        uintptr_t state = gil == 0 ? 0 : hp_load_word(interpreter + d->interpreter_threads);
        for (; state != 0; state = hp_load_word(state + d->state_next)) {
            if (hp_load_word(state + d->state_native_id) == 0)
                continue; /* no thread has it yet, and what was found out about one would be nobody's */
            if (count < capacity)
                state_fill(&states[count], state, interpreter, gil, id);
            count++;
        }
    }
    return count;
}

/* Code that runs has its C frame on the stack; the one inside the state itself is there for when nothing does. */
uintptr_t hp_state_on_stack(const hp_state *state) {
    const hp_description *d = &hp_description_here;
    if (!d->state_top_in_cframe)
        return 0;
    uintptr_t at = hp_load_word(state->address + d->state_top);
    return at - state->address < d->state_size ? 0 : at;
}

/* Who runs, where the GIL itself does not tell (3.11): a thread that enters another interpreter changes states and keeps the GIL, whose
 * last holder may even be a state that is gone. While the GIL is taken or dropped nobody is current; then its own word is right. */
static void current_read(hp_gil *now) {
    const hp_description *d = &hp_description_here;
    uintptr_t current = hp_load_word(d->current_state), first = hp_load_word(d->first_interpreter);
    if (current != 0)
        now->last_holder = current;
    now->handed_on = first != 0 && hp_load_word(first + d->interpreter_next) != 0;
}

hp_gil hp_gil_read(uintptr_t gil) {
    const hp_description *d = &hp_description_here;
    hp_gil now = {0};
    /* The fences order these loads against the stack's on both sides; CPython writes holder and number before the thread runs. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    now.last_holder = hp_load_word(gil + d->gil_last_holder);
    now.switches = hp_load_word(gil + d->gil_switches);
    now.locked = hp_load_int(gil + d->gil_locked) > 0;
    if (d->current_state != 0)
        current_read(&now);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return now;
}

bool hp_gil_holds(uintptr_t gil, uintptr_t address) {
    return address >= gil && address - gil < hp_description_here.gil_size;
}

bool hp_is_collecting(uintptr_t interpreter) {
    return hp_load_int(interpreter + hp_description_here.interpreter_collecting) != 0;
}
