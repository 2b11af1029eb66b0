/* SPDX-License-Identifier: MIT */
/* Events whose caller is not on top of the shadow stack, or whose thread's gate is closed. */
#include "tracer/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "tracer/thread_exit.h"

_Thread_local hp_gate hp_gate_here;

/* --- gate closed ------------------------------------------------------------------------------------------------------------------ */

/* Whether the suspended call of a target goes on traced. */
static bool may_go_on(const hp_tracer *tracer, const hp_code_state *state, const hp_python_frame *frame, const PyCodeObject *code) {
    if (hp_target_is_whole(tracer, state) && !hp_budget_has_limit(&tracer->budget))
        return true;
    const hp_choice *choice = hp_choices_find(&tracer->choices, frame, code);
    return choice != NULL ? choice->events != HP_LIMIT_REACHED : hp_target_is_whole(tracer, state);
}

static bool goes_on(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_python_frame *frame, PyCodeObject *code) {
    if (may_go_on(tracer, state, frame, code))
        return true;
    /* One that came to its limit stays known: throw() may reach further in, in this stretch. */
    hp_recorder_skip(recorder, frame, code, hp_choices_find(&tracer->choices, frame, code) != NULL);
    return false;
}

/* Whether this outermost activation of a target is traced. */
static bool is_chosen(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_python_frame *frame, PyCodeObject *code,
                      hp_start_kind kind) {
    bool whole = hp_target_is_whole(tracer, state);
    if (kind != HP_START_CALL)
        return goes_on(tracer, recorder, state, frame, code);
    if (!whole || hp_budget_has_limit(&tracer->budget))
        hp_suspended_forget(tracer, frame);
    hp_python_frame *host = hp_frame_previous(frame);
    /* Where all are traced, a call that came to its limit is skipped all the same. */
    if (hp_left_out_holds(recorder, host, code) || hp_recorder_skips(recorder, host, code)) {
        hp_recorder_skip(recorder, frame, code, false);
        return false;
    }
    while (recorder->skip_count > 0 && hp_recorder_skipped(recorder, frame, code))
        (void)hp_recorder_unskip(recorder, frame, code); /* its end was missed: this is another activation at its address */
    if (whole || recorder->drawn == code || hp_target_draw(tracer, state)) {
        recorder->drawn = NULL;
        return true;
    }
    tracer->counts.skipped++;
    hp_recorder_skip(recorder, frame, code, false);
    return false;
}

static void begin_target(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_python_frame *frame, PyCodeObject *code,
                         hp_start_kind kind) {
    hp_code_state copy = *state;
    if (kind == HP_START_CALL)
        tracer->hook->learn(tracer);
    uint64_t had = hp_choices_take(&tracer->choices, frame, code);
    hp_extent_begin(tracer, recorder, hp_frame_previous(frame), hp_target_is_whole(tracer, &copy) ? 0 : HP_NODE_PARTIAL, &copy,
                    (hp_entry){.frame = frame, .code = code, .kind = HP_ENTRY_CALL}, kind == HP_START_CALL);
    hp_budget_extent_goes_on(tracer, recorder, had);
    if (copy.flags & HP_CODE_HOLDS_BLOCK)
        hp_blocks_resume(tracer, recorder, frame, code);
}

/* A throw() reaches the innermost frame only; the frames that delegate to it are linked but get no event. Begins the extent of the
 * outermost one that has an extent to go on with. */
static bool begin_thrown(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame) {
    hp_python_frame *found = NULL;
    hp_code_state state = {0};
    for (hp_python_frame *f = hp_frame_previous(frame); f != NULL; f = hp_frame_previous(f)) {
        PyCodeObject *code = hp_frame_code(f);
        const hp_code_state *s = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
        if (s == NULL || !hp_frame_of_generator(f))
            continue;
        bool target = (s->flags & HP_CODE_TARGET) && may_go_on(tracer, s, f, code) && !hp_recorder_skipped(recorder, f, code);
        if (target || ((s->flags & HP_CODE_HOLDS_BLOCK) && hp_suspended_holds_block(tracer, f, code))) {
            found = f;
            state = *s;
        }
    }
    if (found == NULL)
        return false;
    PyCodeObject *code = hp_frame_code(found);
    uint64_t had = hp_choices_take(&tracer->choices, found, code);
    hp_extent_begin(tracer, recorder, hp_frame_previous(found), 0, &state,
                    (hp_entry){.frame = found, .code = code, .kind = HP_ENTRY_THROWN}, false);
    hp_budget_extent_goes_on(tracer, recorder, had);
    if (state.flags & HP_CODE_HOLDS_BLOCK)
        hp_blocks_resume(tracer, recorder, found, code);
    return true;
}

static bool throws_matter(const hp_tracer *tracer) {
    return tracer->generator_targets > 0 || tracer->suspended_count > 0;
}

/* The stack is empty, or aside. True if `frame` is beneath something now, its caller on top. */
static bool open_gate(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame, hp_start_kind kind) {
    hp_python_frame *caller = hp_frame_previous(frame);
    if (recorder->parked_count > 0 && hp_shadow_resolve(tracer, recorder, caller, HP_ENTRY_CONTEXT))
        return true;
    if (tracer->everything && caller != NULL) {
        hp_extent_begin_everything(tracer, recorder, caller);
        return recorder->stack.depth > 0;
    }
    return kind == HP_START_THROW && throws_matter(tracer) && begin_thrown(tracer, recorder, frame) &&
           hp_shadow_resolve(tracer, recorder, caller, HP_ENTRY_THROWN);
}

/* A host's frame goes on that has open blocks, and nothing else is traced here. */
static void begin_blocks(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_python_frame *frame, PyCodeObject *code) {
    hp_code_state copy = *state;
    hp_extent_begin(tracer, recorder, hp_frame_previous(frame), 0, &copy,
                    (hp_entry){.frame = frame, .code = code, .kind = HP_ENTRY_CONTEXT}, false);
    hp_blocks_resume(tracer, recorder, frame, code);
}

/* --- starts ----------------------------------------------------------------------------------------------------------------------- */

/* The frame's own entry is there already: it was resumed by throw(), or an end was missed and this is another activation at its address. */
static bool take_up_again(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame, PyCodeObject *code, hp_start_kind kind) {
    hp_shadow *stack = &recorder->stack;
    uint32_t at = hp_shadow_find(stack, frame, code);
    if (at == stack->depth)
        return false;
    hp_shadow_close_to(tracer, recorder, kind == HP_START_CALL ? at : at + 1, hp_ticks());
    if (kind != HP_START_CALL) {
        stack->entries[at].kind = HP_ENTRY_CALL;
        tracer->tree.nodes[stack->entries[at].node].overhead++;
    } else if (stack->depth == 0)
        hp_extent_end(recorder);
    return kind != HP_START_CALL;
}

/* Makes the frame's caller the top of the stack. False when the frame is beneath nothing, so far. */
static bool reach_caller(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame, hp_start_kind kind) {
    hp_entry_kind context = kind == HP_START_THROW ? HP_ENTRY_THROWN : HP_ENTRY_CONTEXT;
    if (recorder->stack.depth > 0 && hp_shadow_resolve(tracer, recorder, hp_frame_previous(frame), context))
        return true;
    hp_extent_park(tracer, recorder); /* another greenlet runs */
    return open_gate(tracer, recorder, frame, kind);
}

static void start_beneath(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_entry entry, hp_start_kind kind) {
    uint32_t flags = state->flags;
    hp_shadow_enter(tracer, recorder, state, entry, kind == HP_START_CALL);
    if (flags & HP_CODE_HOLDS_BLOCK)
        hp_blocks_resume(tracer, recorder, entry.frame, entry.code);
    if ((!tracer->everything || tracer->by_function) && !(flags & HP_CODE_ARMED))
        hp_tracer_found(tracer, entry.code, entry.frame);
}

/* Beneath nothing: does an extent begin here? */
static void start_outermost(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_entry entry, hp_start_kind kind) {
    if (tracer->everything)
        hp_extent_begin_outermost(tracer, recorder, state, entry, kind == HP_START_CALL);
    else if ((state->flags & HP_CODE_TARGET) && is_chosen(tracer, recorder, state, entry.frame, entry.code, kind))
        begin_target(tracer, recorder, state, entry.frame, entry.code, kind);
    else if ((state->flags & HP_CODE_HOLDS_BLOCK) && kind != HP_START_CALL && hp_suspended_holds_block(tracer, entry.frame, entry.code))
        begin_blocks(tracer, recorder, state, entry.frame, entry.code);
    else
        tracer->counts.gated++;
}

void hp_record_start_slow(hp_tracer *tracer, PyThreadState *thread, PyCodeObject *code, hp_start_kind kind) {
    hp_python_frame *frame = hp_frame_current(thread);
    hp_code_state *state = hp_tracer_state(tracer, code, frame);
    if (state == NULL || frame == NULL || hp_frame_code(frame) != code || (state->flags & HP_CODE_DROPPED))
        return;
    bool matters =
        tracer->everything || (kind == HP_START_THROW && throws_matter(tracer)) || (state->flags & (HP_CODE_TARGET | HP_CODE_HOLDS_BLOCK));
    if (!matters && !hp_gate_open(tracer, thread)) {
        tracer->counts.gated++;
        return;
    }
    hp_recorder *recorder = hp_recorder_here(tracer, thread);
    if (recorder == NULL || (recorder->stack.depth > 0 && take_up_again(tracer, recorder, frame, code, kind)))
        return;
    if (HP_UNLIKELY((state->flags & HP_CODE_PROBE) && recorder->stack.depth == 0)) { /* beneath nothing: whoever calibrates is not asked */
        hp_extent_begin(tracer, recorder, NULL, 0, state, (hp_entry){.frame = frame, .code = code, .kind = HP_ENTRY_CALL}, true);
        return;
    }
    uint64_t begun = hp_ticks();
    bool beneath = reach_caller(tracer, recorder, frame, kind);
    uint64_t units = hp_budget_slow_units(tracer, hp_ticks() - begun);
    tracer->budget.units += units;
    state = hp_tracer_state(tracer, code, frame); /* what was met on the way may have moved it */
    if (state != NULL)
        state->units += units;
    if (!beneath && kind == HP_START_CALL && tracer->budget.share > 0) {
        hp_budget_look(tracer);
        state = hp_tracer_state(tracer, code, frame); /* and it may have lost its events */
    }
    if (state == NULL || (state->flags & HP_CODE_DROPPED) || !hp_shadow_reserve(&recorder->stack))
        return;
    hp_entry entry = {.frame = frame, .code = code, .kind = HP_ENTRY_CALL};
    if (beneath) {
        start_beneath(tracer, recorder, state, entry, kind);
        if (hp_budget_spend(&tracer->budget, 0))
            hp_budget_look(tracer); /* last: it may end the extent */
    } else
        start_outermost(tracer, recorder, state, entry, kind);
}

/* --- ends ------------------------------------------------------------------------------------------------------------------------- */

static void remember_suspended(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame, PyCodeObject *code, uint32_t at) {
    hp_shadow *stack = &recorder->stack;
    hp_blocks_suspend(tracer, stack, frame, at);
    const hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    bool is_target = state != NULL && (state->flags & HP_CODE_TARGET) != 0;
    bool wanted = is_target && (!hp_target_is_whole(tracer, state) || hp_budget_has_limit(&tracer->budget));
    if (at == 0 && stack->entries[0].kind < HP_ENTRY_C && wanted)
        hp_choices_put(&tracer->choices, frame, code, recorder->events - recorder->events_began);
}

void hp_record_end_slow(hp_tracer *tracer, PyThreadState *thread, PyCodeObject *code, bool suspended) {
    if (hp_gate_here.tracer_id != tracer->id || hp_gate_here.state_id != thread->id)
        return; /* another thread state of this OS thread */
    hp_recorder *recorder = hp_gate_here.recorder;
    hp_shadow *stack = &recorder->stack;
    hp_python_frame *frame = hp_frame_current(thread);
    uint64_t now = hp_ticks();
    recorder->events++;
    tracer->budget.units += HP_UNITS_TRACED;
    if (recorder->skip_count > 0 && hp_recorder_unskip(recorder, frame, code)) {
        if (suspended)
            hp_choices_put(&tracer->choices, frame, code, HP_LIMIT_REACHED);
        else
            hp_choices_forget(&tracer->choices, frame); /* another call may get this frame */
    }
    uint32_t at = hp_shadow_find_lowest(stack, frame, code);
    if (at == stack->depth && recorder->parked_count > 0) {
        hp_extent_switch_to(tracer, recorder, frame, code);
        at = hp_shadow_find_lowest(stack, frame, code);
    }
    if (at == stack->depth)
        return;
    now = recorder->last > now ? recorder->last : now; /* the clock of what was taken up has just begun */
    if (suspended)
        remember_suspended(tracer, recorder, frame, code, at);
    if (stack->entries[at].kind < HP_ENTRY_C) {
        hp_shadow_close_to(tracer, recorder, at + 1, now);
        stack->entries[at].kind = HP_ENTRY_CONTEXT; /* its end was seen: not truncated */
    }
    while (suspended && at > 0 && stack->entries[at - 1].kind == HP_ENTRY_THROWN)
        at--;
    hp_shadow_close_to(tracer, recorder, at, now);
    if (stack->depth == 0) {
        hp_extent_end(recorder);
        hp_block_hook_leave(tracer, recorder);
    }
}

/* --- threads ---------------------------------------------------------------------------------------------------------------------- */

void hp_gate_update(hp_recorder *recorder) {
    bool open = recorder->stack.depth > 0 || recorder->parked_count > 0;
    recorder->gate = open ? HP_GATE_OPEN : recorder->skip_count > 0 ? HP_GATE_WATCHING : HP_GATE_CLOSED;
}

static bool state_lives(uint64_t state_id) {
    for (PyThreadState *at = PyInterpreterState_ThreadHead(PyInterpreterState_Get()); at != NULL; at = PyThreadState_Next(at))
        if (PyThreadState_GetID(at) == state_id)
            return true;
    return false;
}

/* C code that enters Python again and again gives its native thread a new state each time, and only the end of that thread would end the
 * recorders of all of them (40,000 made each further one cost 0.7 ms). So the one before goes on as the new state's. */
static hp_recorder *go_on_as(hp_tracer *tracer, hp_thread *thread) {
    hp_recorder *recorder = hp_gate_here.tracer_id == tracer->id ? hp_gate_here.recorder : NULL;
    if (recorder == NULL || recorder->stack.depth > 0 || recorder->parked_count > 0 || recorder->block_hook.handle != NULL)
        return NULL;
    if (recorder->thread->state_id != hp_gate_here.state_id || state_lives(hp_gate_here.state_id))
        return NULL;
    recorder->thread->recorder = NULL;
    recorder->thread = thread;
    recorder->skip_count = recorder->left_out_count = recorder->context.count = recorder->entered = recorder->wrapped = 0;
    recorder->drawn = NULL;
    recorder->context_node = HP_NO_NODE;
    recorder->inside = 0;
    recorder->root = hp_tree_child(&tracer->tree, 0, thread->index);
    thread->recorder = recorder;
    hp_gate_update(recorder);
    return recorder;
}

static hp_recorder *make_recorder(hp_tracer *tracer, hp_thread *thread) {
    hp_recorder *recorder = go_on_as(tracer, thread);
    if (recorder != NULL)
        return recorder;
    recorder = calloc(1, sizeof *recorder);
    if (recorder == NULL)
        return NULL;
    recorder->exit_note = hp_exit_note_new();
    if (recorder->exit_note == NULL) {
        free(recorder);
        return NULL;
    }
    recorder->thread = thread;
    recorder->context_node = HP_NO_NODE;
    recorder->root = hp_tree_child(&tracer->tree, 0, thread->index);
    hp_recorders_reap(tracer);
    recorder->next = tracer->recorders;
    tracer->recorders = recorder;
    thread->recorder = recorder;
    return recorder;
}

static hp_thread *thread_record(hp_tracer *tracer, const PyThreadState *thread) {
    bool created = false;
    hp_thread *record = hp_threads_get(tracer->threads, (uint64_t)tracer->interpreter_id, thread->id, &created);
    if (record != NULL && created) {
        record->native_id = thread->native_thread_id;
        record->pthread = thread->thread_id;
    }
    return record;
}

hp_recorder *hp_recorder_here(hp_tracer *tracer, PyThreadState *thread) {
    if (hp_gate_here.tracer_id == tracer->id && hp_gate_here.state_id == thread->id)
        return hp_gate_here.recorder;
    if (PyInterpreterState_GetID(PyThreadState_GetInterpreter(thread)) != tracer->interpreter_id)
        return NULL;
    hp_thread *record = thread_record(tracer, thread);
    if (record == NULL)
        return NULL;
    hp_recorder *recorder = record->recorder != NULL ? record->recorder : make_recorder(tracer, record);
    if (recorder != NULL)
        hp_gate_here = (hp_gate){.tracer_id = tracer->id, .state_id = thread->id, .recorder = recorder};
    return recorder;
}

static void free_recorder(hp_tracer *tracer, hp_recorder *recorder) {
    tracer->counts.events += recorder->events;
    for (uint32_t i = 0; i < recorder->parked_count; i++)
        free(recorder->parked[i].entries);
    hp_exit_note_drop(recorder->exit_note);
    Py_XDECREF(recorder->block_hook.handle);
    recorder->thread->recorder = NULL;
    hp_thread_forget_edge(recorder->thread);
    free(recorder->parked);
    free(recorder->stack.entries);
    free(recorder->skips);
    free(recorder->left_out);
    free(recorder->scratch.links);
    free(recorder->context.links);
    free(recorder);
}

static void count_open(hp_tracer *tracer, const hp_shadow *stack) {
    for (uint32_t i = 0; i < stack->depth; i++)
        tracer->counts.truncated += stack->entries[i].kind == HP_ENTRY_CALL;
}

/* The nodes stay in the tree. A thread may die beneath a target: by pthread_exit at interpreter shutdown, or where others had its events at
 * its end. Its traced clock must stop, or whoever takes over its record would be beneath a target for ever. */
void hp_recorders_reap(hp_tracer *tracer) {
    for (hp_recorder **at = &tracer->recorders; *at != NULL;) {
        hp_recorder *recorder = *at;
        if (!hp_exit_note_ended(recorder->exit_note)) {
            at = &recorder->next;
            continue;
        }
        *at = recorder->next;
        count_open(tracer, &recorder->stack);
        hp_extent_abandon(tracer, recorder);
        free_recorder(tracer, recorder);
    }
}

void hp_recorders_forget(hp_tracer *tracer) {
    while (tracer->recorders != NULL) {
        hp_recorder *recorder = tracer->recorders;
        tracer->recorders = recorder->next;
        free_recorder(tracer, recorder);
    }
    tracer->suspended_count = 0;
    hp_choices_clear(&tracer->choices);
}
