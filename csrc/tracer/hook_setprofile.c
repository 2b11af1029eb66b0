/* SPDX-License-Identifier: MIT */
/* PyEval_SetProfile: the hook of 3.11, selectable everywhere.
 *
 * Two ways to have it on. *For one call* (3.11, plain functions): hp_tracer_call switches the calling thread's profile function on around
 * the call, so that all else runs at full speed. The interpreter has one function a thread, and greenlets share it, so it goes off when the
 * last of the thread's calls that had it on has ended. *For good*, in every thread: for everything, while generators and coroutines are
 * targets or hosts of open blocks (which run in pieces), and on 3.12+ always, where switching costs 10 us and slows each hot function once
 * more. A profile function that somebody else has set is left alone: nothing is traced there, and a warning says so. */
#include <opcode.h>

#include "tracer/hook_setprofile.h"
#include "tracer/hook_tool_ids.h"

#if PY_VERSION_HEX >= 0x030C0000
enum { HP_SWITCHING_IS_CHEAP = false };
#else
enum { HP_SWITCHING_IS_CHEAP = true };
#endif

/* --- events ------------------------------------------------------------------------------------------------------------------------- */

static unsigned char operation(const PyCodeObject *code, uint32_t unit) {
    return ((const unsigned char *)code->co_code_adaptive)[unit * sizeof(_Py_CODEUNIT)];
}

static bool is_yield(unsigned char operation) {
#ifdef INSTRUMENTED_YIELD_VALUE
    if (operation == INSTRUMENTED_YIELD_VALUE)
        return true;
#endif
    return operation == YIELD_VALUE;
}

/* At the end of a stretch: 3.13 has gone on to the next instruction before it reports a yield. A return is never preceded by a yield: what
 * follows that is a RESUME. */
static bool stands_at_yield(hp_python_frame *frame, const PyCodeObject *code) {
    uint32_t unit = hp_frame_unit(frame);
    return is_yield(operation(code, unit)) || (unit > 0 && is_yield(operation(code, unit - 1)));
}

/* From 3.13 on a frame stands at the same instruction for a throw() as for a resume. Then it passes for a throw: the real chain is looked
 * at, which finds no more than a resume would. */
static bool is_surely_resumed(hp_python_frame *frame, const PyCodeObject *code) {
#if PY_VERSION_HEX >= 0x030D0000
    return ((void)frame, (void)code, false);
#elif PY_VERSION_HEX >= 0x030C0000
    return operation(code, hp_frame_unit(frame)) == RESUME || operation(code, hp_frame_unit(frame)) == INSTRUMENTED_RESUME;
#else
    return operation(code, hp_frame_unit(frame)) == RESUME || operation(code, hp_frame_unit(frame)) == RESUME_QUICK;
#endif
}

/* Calls, resumes and throws come as the same event. Where the frame stands tells them apart. */
static hp_start_kind start_kind(hp_python_frame *frame, const PyCodeObject *code) {
    if ((int)hp_frame_unit(frame) == code->_co_firsttraceable)
        return HP_START_CALL;
    return is_surely_resumed(frame, code) ? HP_START_RESUME : HP_START_THROW;
}

/* A thread that has just been made has run no Python code yet, so it is covered from its first call on (threading.setprofile begins later).
 */
static void cover_new_thread(hp_tracer *tracer, PyObject *function) {
    const hp_setprofile *s = hp_setprofile_of(tracer);
    const PyMethodDef *definition = PyCFunction_Check(function) ? ((PyCFunctionObject *)function)->m_ml : NULL;
    if (s->for_good && definition != NULL && (definition == s->starters[0] || definition == s->starters[1]))
        hp_setprofile_all(tracer, true);
}

static int cover(hp_tracer *tracer, bool host);
static bool resume_when_due(hp_tracer *tracer);

static void pause_now(hp_tracer *tracer) {
    PyObject *type, *value, *traceback;
    hp_setprofile_of(tracer)->pausing = false;
    PyErr_Fetch(&type, &value, &traceback);
    if (cover(tracer, false) < 0)
        PyErr_Clear();
    PyErr_Restore(type, value, traceback);
}

/* Outside of events: what the budget wants of this thread is done already, as its function is not on. */
static void settle(hp_tracer *tracer) {
    hp_setprofile_of(tracer)->quitting = false;
    if (hp_setprofile_of(tracer)->pausing)
        pause_now(tracer);
}

/* Other greenlets that are in calls of targets go on; where there are none, calls that had it on have no use for it any more. */
static void quit_here(hp_tracer *tracer, PyThreadState *thread) {
    hp_recorder *recorder = hp_recorder_here(tracer, thread);
    hp_setprofile_of(tracer)->quitting = false;
    if (recorder != NULL && recorder->parked_count > 0)
        return;
    if (recorder != NULL) {
        recorder->entered = 0;
        hp_setprofile_tax_end(tracer, recorder);
        hp_setprofile_of(tracer)->quitting = false;
    }
    hp_setprofile_here(tracer, false);
}

int hp_setprofile_event(PyObject *self, PyFrameObject *Py_UNUSED(object), int what, PyObject *argument) {
    hp_tracer *tracer = hp_handle_tracer(self);
    PyThreadState *thread = PyThreadState_Get();
    hp_python_frame *frame = hp_frame_current(thread);
    if (tracer == NULL || frame == NULL || HP_UNLIKELY(hp_setprofile_of(tracer)->deaf == thread))
        return 0;
    PyCodeObject *code = hp_frame_code(frame);
    switch (what) {
    case PyTrace_CALL:
        hp_record_start(tracer, code, hp_code_runs_in_pieces(code) ? start_kind(frame, code) : HP_START_CALL);
        break;
    case PyTrace_RETURN:
        hp_record_end(tracer, code, argument != NULL && hp_code_runs_in_pieces(code) && stands_at_yield(frame, code));
        break;
    case PyTrace_C_CALL:
        if (tracer->c_calls)
            hp_record_c_call(tracer, thread, argument);
        else if (hp_budget_spend(&tracer->budget, tracer->budget.gated_units))
            hp_budget_look(tracer);
        break;
    case PyTrace_C_RETURN:
        cover_new_thread(tracer, argument);
        /* fallthrough */
    case PyTrace_C_EXCEPTION:
        if (tracer->c_calls)
            hp_record_c_return(tracer, thread, argument);
        break;
    default:
        break;
    }
    if (HP_UNLIKELY(hp_setprofile_of(tracer)->quitting))
        quit_here(tracer, thread); /* last: the tracer may be gone then */
    else if (HP_UNLIKELY(hp_setprofile_of(tracer)->pausing))
        pause_now(tracer);
    return 0;
}

/* --- switching ---------------------------------------------------------------------------------------------------------------------- */

static void note_edge(const hp_recorder *recorder, const PyCodeObject *target) {
    atomic_store_explicit(&recorder->thread->edge_code, (uintptr_t)target, memory_order_release);
}

static bool is_on(const hp_tracer *tracer, const PyThreadState *thread) {
    return thread->c_profilefunc == hp_setprofile_event && thread->c_profileobj == (PyObject *)hp_setprofile_of(tracer)->handle;
}

static uint64_t leave_out(hp_tracer *tracer, hp_recorder *recorder, PyThreadState *thread, PyCodeObject *target) {
    uint64_t left_out = hp_left_out_begin(tracer, recorder, hp_frame_current(thread), target);
    settle(tracer);
    return left_out;
}

static void switch_on(hp_tracer *tracer, hp_recorder *recorder, PyThreadState *thread, const PyCodeObject *target) {
    if (is_on(tracer, thread))
        return;
    PyObject *handle = (PyObject *)hp_setprofile_of(tracer)->handle;
    hp_setprofile_tax_begin(tracer, recorder);
    hp_setprofile_here(tracer, true);
    if (hp_handle_tracer(handle) == tracer) /* switching runs audit hooks, which may have ended it */
        note_edge(recorder, target);
}

/* Left to the sampler. It has no events, so its calls tell that a window is over, after which it may be given back. */
static bool is_dropped(hp_tracer *tracer, PyCodeObject *target) {
    if (target == NULL || tracer->budget.dropped == 0)
        return false;
    const hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)target, HP_CODE_PYTHON);
    if (state == NULL || !(state->flags & HP_CODE_DROPPED))
        return false;
    if (hp_ticks() >= tracer->budget.window_ends_ticks) {
        hp_budget_look(tracer);
        settle(tracer);
    }
    return true;
}

/* Where it is on already, events decide what becomes of the call. */
static void enter_here(hp_tracer *tracer, PyThreadState *thread, PyCodeObject *target, hp_entered *entered) {
    hp_recorder *recorder = hp_recorder_here(tracer, thread);
    if (recorder == NULL || is_dropped(tracer, target) || tracer->ended)
        return;
    if (thread->c_profilefunc != NULL && thread->c_profilefunc != hp_setprofile_event) {
        hp_tracer_warn(tracer, hp_setprofile_others);
        return;
    }
    entered->handle = Py_NewRef((PyObject *)hp_setprofile_of(tracer)->handle);
    if (target != NULL && !is_on(tracer, thread))
        entered->left_out = leave_out(tracer, recorder, thread, target);
    if (tracer->ended)
        return;
    recorder->wrapped++;
    if (entered->left_out != 0)
        return;
    if (recorder->entered++ == 0)
        recorder->round = ++tracer->rounds;
    entered->round = recorder->round;
    switch_on(tracer, recorder, thread, target);
}

static hp_entered enter(hp_tracer *tracer, PyCodeObject *target) {
    hp_entered entered = {0};
    hp_tracer_hold(tracer);
    if (resume_when_due(tracer))
        enter_here(tracer, PyThreadState_Get(), target, &entered);
    (void)hp_tracer_release(tracer); /* who leaves asks the handle */
    return entered;
}

static void quit(hp_tracer *tracer) {
    hp_setprofile_of(tracer)->quitting = HP_SWITCHING_IS_CHEAP && !hp_setprofile_of(tracer)->for_good;
}

/* The call is over and our function is not there. The event limit may have switched it off; or another tool put its own in the place while
 * the call ran, and perhaps took that away again: then nobody saw the call end, and its clock must not run on. */
static void end_unseen(hp_tracer *tracer, PyThreadState *thread) {
    hp_recorder *recorder = hp_recorder_here(tracer, thread);
    bool open = recorder != NULL && recorder->stack.depth > 0;
    if (thread->c_profilefunc == NULL && !open)
        return;
    hp_tracer_warn(tracer, hp_setprofile_others);
    tracer->budget.was_cut = true;
    hp_python_frame *caller = hp_frame_current(thread);
    if (open && (caller == NULL || !hp_chain_read(&recorder->scratch, caller, &recorder->stack.entries[0])))
        hp_extent_abandon(tracer, recorder);
}

/* It may be of an earlier round: then the event limit has switched it off meanwhile, or this is a forked child. */
static void leave_here(hp_tracer *tracer, hp_entered entered) {
    PyThreadState *thread = PyThreadState_Get();
    hp_recorder *recorder = hp_recorder_here(tracer, thread);
    if (recorder == NULL)
        return;
    recorder->drawn = NULL; /* a call that failed before it had a frame */
    if (recorder->wrapped > 0 && --recorder->wrapped == 0 && recorder->skip_count > 0 && !hp_setprofile_of(tracer)->for_good)
        hp_recorder_forget_skips(recorder); /* of those that came to their limit no end is seen */
    if (entered.left_out != 0) {
        hp_left_out_end(recorder, entered.left_out);
        return;
    }
    if (recorder->round == entered.round && recorder->entered > 0)
        recorder->entered--;
    if (recorder->entered == 0)
        note_edge(recorder, NULL);
    if (!is_on(tracer, thread))
        end_unseen(tracer, thread);
    else if (recorder->entered == 0 && !hp_setprofile_of(tracer)->for_good) {
        hp_setprofile_tax_end(tracer, recorder);
        PyObject *handle = Py_NewRef((PyObject *)hp_setprofile_of(tracer)->handle);
        hp_setprofile_here(tracer, false);
        if (hp_handle_tracer(handle) == tracer)
            settle(tracer);
        Py_DECREF(handle);
    }
}

/* The call may have ended the tracer, which then has switched all threads off. */
static void leave(hp_entered entered) {
    hp_tracer *tracer = hp_handle_tracer(entered.handle);
    if (tracer != NULL)
        leave_here(tracer, entered);
    Py_DECREF(entered.handle);
}

/* --- the hook ------------------------------------------------------------------------------------------------------------------------- */

/* Events of a thread that has not our function go to nobody, or to another tool: what is open there has stood still since. */
static void abandon_unheard(hp_tracer *tracer, const char *why) {
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    if (PyInterpreterState_GetID(interpreter) != tracer->interpreter_id)
        return;
    for (PyThreadState *t = PyInterpreterState_ThreadHead(interpreter); t != NULL; t = PyThreadState_Next(t))
        for (hp_recorder *recorder = t->c_profilefunc != hp_setprofile_event ? tracer->recorders : NULL; recorder != NULL;
             recorder = recorder->next)
            if (recorder->thread->state_id == PyThreadState_GetID(t) && recorder->stack.depth > 0) {
                if (why != NULL)
                    hp_tracer_warn(tracer, why);
                hp_extent_abandon(tracer, recorder);
            }
}

/* Calls that went round the wrapper have had their events only because it was on for all: they end here. */
static int set_for_good(hp_tracer *tracer, bool on) {
    hp_setprofile *s = hp_setprofile_of(tracer);
    int status = 0;
    if (s->for_good == on)
        return 0;
    hp_tracer_hold(tracer); /* each step may run Python, and the next one is nothing to a session that has ended in it */
    s->for_good = on;
    if (on)
        status = hp_setprofile_set_threading(s);
    if (status == 0 && !tracer->ended)
        hp_setprofile_all(tracer, s->for_good);
    if (!on && !tracer->ended) {
        if (!tracer->everything) /* there the caller ends them all */
            abandon_unheard(tracer, NULL);
        hp_setprofile_unset_threading(s); /* last: what it calls is none of the program's calls */
    }
    return hp_tracer_release(tracer) ? status : 0;
}

static int arm(hp_tracer *tracer, PyCodeObject *code) {
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL)
        return hp_tracer_no_memory();
    state->flags |= HP_CODE_ARMED | (hp_code_runs_in_pieces(code) ? HP_CODE_IN_PIECES : 0u); /* all ends are reported where starts are */
    return HP_SWITCHING_IS_CHEAP ? 0 : set_for_good(tracer, true);
}

static bool is_wanted_for_good(hp_tracer *tracer) {
    if (!HP_SWITCHING_IS_CHEAP)
        return tracer->counts.targets > 0 || tracer->last_token > 0;
    return tracer->generator_targets > 0 || hp_blocks_in_pieces(tracer);
}

/* While it is paused nobody has it but calls that switch it on for themselves. */
static int cover(hp_tracer *tracer, bool host) {
    hp_setprofile *s = hp_setprofile_of(tracer);
    s->paused = s->paused && !tracer->everything && hp_now_ns() < s->paused_until_ns;
    return set_for_good(tracer, !s->paused && (host || tracer->everything || is_wanted_for_good(tracer)));
}

#if PY_VERSION_HEX < 0x030C0000
/* Where all code costs too much it is on for an allowance, or two, and off for a second. */
static bool pause_it(hp_tracer *tracer) {
    static const int64_t PAUSE_NS = 1000000000;
    hp_setprofile *s = hp_setprofile_of(tracer);
    if (!s->for_good || tracer->everything)
        return false;
    s->paused_until_ns = hp_now_ns() + PAUSE_NS;
    s->pausing = s->paused = true;
    return true;
}
#endif

/* False: switching ran an audit hook that has ended the tracer. */
static bool resume_when_due(hp_tracer *tracer) {
    const hp_setprofile *s = hp_setprofile_of(tracer);
    if (!s->paused || hp_now_ns() < s->paused_until_ns)
        return true;
    PyObject *handle = Py_NewRef((PyObject *)s->handle);
    if (cover(tracer, false) < 0)
        PyErr_Clear();
    bool lives = hp_handle_tracer(handle) == tracer;
    Py_DECREF(handle);
    return lives;
}

static int disarm(hp_tracer *tracer, PyCodeObject *Py_UNUSED(code)) {
    return cover(tracer, false);
}

static int everything(hp_tracer *tracer, bool on) {
    return set_for_good(tracer, on || is_wanted_for_good(tracer));
}

/* Nothing to learn: each call beneath a target is reported. */
static void learn(hp_tracer *Py_UNUSED(tracer)) {}

/* Threads that did not come through `threading`, and those that another tool had for itself. */
static void refresh(hp_tracer *tracer) {
    if (!hp_setprofile_of(tracer)->for_good)
        return;
    abandon_unheard(tracer, hp_setprofile_others);
    hp_setprofile_all(tracer, true);
}

static void close_hook(hp_tracer *tracer) {
    hp_setprofile *s = hp_setprofile_of(tracer);
    PyObject *type, *value, *traceback;
    if (s == NULL || s->closing)
        return;
    PyErr_Fetch(&type, &value, &traceback);
    s->closing = true; /* `s` goes with the tracer: others may stand in a step of switching */
    hp_setprofile_all(tracer, false);
    hp_setprofile_unset_threading(s);
    hp_handle_end(s->handle);
    Py_CLEAR(s->installer);
    PyErr_Restore(type, value, traceback);
}

static void find_starters(hp_setprofile *s) {
    static const char *const names[] = {"start_new_thread", "start_joinable_thread"};
    PyObject *module = PyImport_ImportModule("_thread");
    for (int i = 0; i < 2 && module != NULL; i++) {
        PyObject *starter = PyObject_GetAttrString(module, names[i]);
        s->starters[i] = starter != NULL && PyCFunction_Check(starter) ? ((PyCFunctionObject *)starter)->m_ml : NULL;
        Py_XDECREF(starter);
        PyErr_Clear(); /* start_joinable_thread came with 3.13 */
    }
    Py_XDECREF(module);
    PyErr_Clear();
}

static int open_hook(hp_tracer *tracer) {
    hp_setprofile *s = PyMem_RawCalloc(1, sizeof *s);
    if (s == NULL)
        return hp_tracer_no_memory();
    tracer->hook_data = s;
    find_starters(s);
    s->handle = hp_handle_new(tracer);
    s->installer = s->handle != NULL ? hp_setprofile_new_installer((PyObject *)s->handle) : NULL;
    if (s->installer != NULL)
        return 0;
    close_hook(tracer);
    return -1;
}

static bool is_alone(const hp_tracer *Py_UNUSED(tracer)) {
    Py_tracefunc function = PyThreadState_Get()->c_profilefunc;
#if PY_VERSION_HEX >= 0x030C0000
    if (hp_tool_ids_others_listen(NULL))
        return false;
#endif
    return function == NULL || function == hp_setprofile_event;
}

static bool needs_wrapper(const hp_tracer *Py_UNUSED(tracer), PyCodeObject *code) {
    return HP_SWITCHING_IS_CHEAP && !hp_code_runs_in_pieces(code);
}

const hp_hook hp_hook_setprofile = {
    .name = "setprofile",
    .kind = HP_HOOK_SETPROFILE,
    .open = open_hook,
    .close = close_hook,
    .arm = arm,
    .disarm = disarm,
    .quit = quit,
    .everything = everything,
    .learn = learn,
    .refresh = refresh,
    .is_alone = is_alone,
    .needs_wrapper = needs_wrapper,
    .cover = cover,
#if PY_VERSION_HEX < 0x030C0000
    .pause = pause_it,
#endif
    .enter = enter,
    .leave = leave,
};
