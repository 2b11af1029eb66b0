/* SPDX-License-Identifier: MIT */
/* The functions that control the session, as Python sees them: arguments checked, states told. */
#include "module/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frame/frame.h"
#include "frame/tasks.h"
#include "module/snapshot.h"
#include "module/stream.h"
#include "module/wording.h"

/* The place of `name` in `names` (NULL-terminated), -1 with a sentence. */
static int choose(const char *what, const char *name, const char *const *names) {
    char known[128] = "";
    for (int i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
        if (i > 0)
            strncat(known, ", ", sizeof known - strlen(known) - 1);
        strncat(known, names[i], sizeof known - strlen(known) - 1);
    }
    PyErr_Format(PyExc_ValueError, "%s must be one of %s, not '%s'", what, known, name);
    return -1;
}

static bool check_rate(double rate) {
    if (rate == 0 || (rate > 0 && rate <= 1e6))
        return true;
    PyObject *shown = PyFloat_FromDouble(rate);
    PyErr_Format(PyExc_ValueError, "rate must be above 0 and at most 1000000 Hz, or 0 for no sampler, not %R", shown);
    Py_XDECREF(shown);
    return false;
}

static bool check_budget(double percent) {
    if (percent >= 0 && percent <= 100)
        return true;
    PyObject *shown = PyFloat_FromDouble(percent);
    PyErr_Format(PyExc_ValueError, "budget must be above 0 and at most 100 percent of one core, or 0 for no limit, not %R", shown);
    Py_XDECREF(shown);
    return false;
}

static bool check_natural(const char *name, PyObject *number, uint64_t *value) {
    *value = number ? PyLong_AsUnsignedLongLong(number) : 0;
    if (!PyErr_Occurred())
        return true;
    if (PyErr_ExceptionMatches(PyExc_OverflowError))
        PyErr_Format(PyExc_ValueError, "%s must be from 0 to 2**64 - 1, not %R", name, number);
    return false;
}

bool hp_monitoring_is_there(void) {
    return PySys_GetObject("monitoring") != NULL;
}

static bool read_options(hp_session_options *options, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"rate", "clock", "method", "hook", "c_calls", "seed", "budget", "tasks", "event_limit", "timeline", NULL};
    static const char *const clocks[] = {"wall", "cpu", NULL};
    static const char *const methods[] = {"auto", "same-cpu", "signal", "remote", NULL};
    static const char *const hooks[] = {"auto", "monitoring", "setprofile", NULL};
    static const char *const old_hooks[] = {"auto", "setprofile", NULL};
    double rate = 100, budget = 0;
    const char *clock = "wall", *method = "auto", *hook = "auto";
    int c_calls = 0, tasks = 0, timeline = 0;
    PyObject *seed_argument = NULL, *limit_argument = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$dssspOdpOp:start", names, &rate, &clock, &method, &hook, &c_calls,
                                     &seed_argument, &budget, &tasks, &limit_argument, &timeline))
        return false;
    int clock_index, method_index;
    uint64_t seed, event_limit;
    if (!check_rate(rate) || !check_budget(budget) || (clock_index = choose("clock", clock, clocks)) < 0 ||
        (method_index = choose("method", method, methods)) < 0 || choose("hook", hook, hp_monitoring_is_there() ? hooks : old_hooks) < 0 ||
        !check_natural("seed", seed_argument, &seed) || !check_natural("event_limit", limit_argument, &event_limit))
        return false;
    options->sampler = (hp_sampler_options){.rate_hz = rate,
                                            .clock = (hp_clock_kind)clock_index,
                                            .method = (hp_sampler_method)method_index,
                                            .seed = seed,
                                            .timeline = timeline != 0,
                                            .tasks = tasks != 0};
    options->tracer = (hp_tracer_options){.hook = (hp_hook_kind)choose("hook", hook, hooks),
                                          .c_calls = c_calls != 0,
                                          .seed = seed,
                                          .budget = budget / 100,
                                          .event_limit = event_limit};
    return true;
}

static PyObject *start(PyObject *module, PyObject *arguments, PyObject *keywords) {
    hp_session_options options;
    if (!read_options(&options, arguments, keywords) || (options.sampler.tasks && !hp_tasks_learn()))
        return NULL;
    int started = hp_session_start(hp_module_state_of(module), &options);
    return started < 0 ? NULL : PyBool_FromLong(started);
}

static PyObject *stop(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    hp_session_look(state, true);
    return PyBool_FromLong(hp_session_stop(state));
}

/* It counts from the next tick on, which at a low rate may be minutes away: then the thread begins anew. */
static void change_rate(hp_session *session, double rate) {
    hp_error error = {0};
    (void)hp_sampler_set_rate(session->sampler, rate, &error); /* was checked */
    if (session->options.sampler.rate_hz >= 2 || session->options.sampler.rate_hz == rate)
        return;
    int64_t now;
    (void)hp_session_see_threads(session, false, &now); /* short of memory: what has passed since their last sample is in nobody's time */
    hp_sampler_stop(session->sampler);
    if (hp_sampler_start(session->sampler, &error) != HP_OK)
        hp_session_warn(session, error.text);
}

/* In a transition. What a running session can change without being made anew. False: it would have to be (no sampler where one is wanted,
 * or the reverse; see hp_tracer_set_budget). */
static bool adjust_session(hp_session *session, double rate, double share) {
    hp_tracer_options *tracer = &session->options.tracer;
    bool same_kind = (rate > 0) == (session->sampler != NULL);
    if (!same_kind || (session->tracer && !hp_tracer_set_budget(session->tracer, share)))
        return false;
    tracer->budget = share;
    if (session->sampler)
        change_rate(session, rate);
    session->options.sampler.rate_hz = rate;
    return true;
}

static PyObject *adjust(PyObject *module, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"rate", "budget", NULL};
    double rate, budget;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "$dd:adjust", names, &rate, &budget) || !check_rate(rate) ||
        !check_budget(budget))
        return NULL;
    hp_module_state *state = hp_module_state_of(module);
    if (!hp_session_begin_transition(state))
        Py_RETURN_FALSE;
    bool done = hp_session_is_running(state) && adjust_session(state->session, rate, budget / 100);
    hp_session_end_transition(state);
    return PyBool_FromLong(done);
}

static PyObject *running(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    hp_fork_check(state);
    return PyBool_FromLong(hp_session_is_running(state));
}

/* The session as it is when nobody is in the middle of changing it; NULL with RuntimeError set. */
static hp_session *settled_session(hp_module_state *state) {
    if (!hp_session_settle(state))
        PyErr_SetString(PyExc_RuntimeError, "the profiler is just starting or stopping in this thread: ask again when it has");
    else if (!state->session)
        PyErr_SetString(PyExc_RuntimeError, "nothing was measured yet: call start() first");
    else
        return state->session;
    return NULL;
}

/* NULL with an exception set. `words` are moved where they are needed. */
static PyObject *take(hp_module_state *state, hp_gathered *words) {
    hp_session_look(state, false);
    hp_session *session = settled_session(state);
    if (!session)
        return NULL;
    hp_gathered gathered;
    hp_status status = hp_gather(state, session, 0, &gathered);
    if (status != HP_OK)
        return hp_raise_status(state, status);
    hp_wording_move(words, &gathered);
    hp_profile *profile = NULL;
    Py_BEGIN_ALLOW_THREADS status = hp_assemble(&gathered, &profile);
    hp_gathered_fini(&gathered);
    Py_END_ALLOW_THREADS return status == HP_OK ? hp_profile_wrap(state, profile) : hp_raise_status(state, status);
}

static PyObject *snapshot(PyObject *module, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"roots", "program", NULL};
    PyObject *roots = Py_None, *program = Py_None, *taken = NULL;
    hp_gathered words = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OO:snapshot", names, &roots, &program))
        return NULL;
    if (hp_wording_read(roots, program, &words) == 0)
        taken = take(hp_module_state_of(module), &words);
    hp_gathered_fini(&words);
    return taken;
}

/* A token carries the number of its session above the tracer's own: one that outlived its session is known and ignored. */
enum { TOKEN_BITS = 40 };

static PyObject *enter_block(PyObject *module, PyObject *argument) {
    hp_module_state *state = hp_module_state_of(module);
    if (!PyUnicode_Check(argument)) {
        PyErr_Format(PyExc_TypeError, "a block is named by a str, not by %.100s", Py_TYPE(argument)->tp_name);
        return NULL;
    }
    if (!state->tracer)
        return PyLong_FromLong(0);
    char *name = hp_code_text(argument); /* of any characters: the program is not to meet an error of ours */
    if (!name)
        return hp_raise_no_memory("not enough memory for the name of a block");
    unsigned long long number = state->session->number; /* of this session: another may have begun when the block is open */
    long token = hp_tracer_enter_block(state->tracer, name);
    free(name);
    if (token < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(number << TOKEN_BITS | (unsigned long long)token);
}

static PyObject *leave_block(PyObject *module, PyObject *argument) {
    hp_module_state *state = hp_module_state_of(module);
    unsigned long long token = PyLong_AsUnsignedLongLong(argument);
    if (token == (unsigned long long)-1 && PyErr_Occurred())
        return NULL;
    if (!state->tracer || token >> TOKEN_BITS != state->session->number)
        Py_RETURN_NONE;
    if (hp_tracer_leave_block(state->tracer, (long)(token & ((1ull << TOKEN_BITS) - 1))) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Where monitoring is there a wrapper could only be needed for a session that chose the other hook. */
static PyObject *needs_wrapper(PyObject *module, PyObject *code) {
    if (!PyCode_Check(code)) {
        PyErr_Format(PyExc_TypeError, "needs_wrapper takes a code object, not %.100s", Py_TYPE(code)->tp_name);
        return NULL;
    }
    const hp_module_state *state = hp_module_state_of(module);
    bool needed = state->tracer ? hp_tracer_needs_wrapper(state->tracer, (PyCodeObject *)code) : !hp_monitoring_is_there();
    return PyBool_FromLong(needed);
}

static PyObject *stream(PyObject *module, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"path", "interval", "compact_above", "rewritten", NULL};
    PyObject *path;
    double interval = 1.0;
    unsigned long long compact_above = 1ull << 20;
    int rewritten = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|dK$p:stream", names, &path, &interval, &compact_above, &rewritten))
        return NULL;
    if (!(interval >= 0.01 && interval <= 86400)) {
        PyObject *shown = PyFloat_FromDouble(interval);
        PyErr_Format(PyExc_ValueError, "interval must be from 0.01 to 86400 seconds, not %R", shown);
        Py_XDECREF(shown);
        return NULL;
    }
    return hp_stream_set(hp_module_state_of(module), path, interval, compact_above, rewritten != 0) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *distort_calibration(PyObject *Py_UNUSED(module), PyObject *argument) {
    double factor = PyFloat_AsDouble(argument);
    if (factor == -1.0 && PyErr_Occurred())
        return NULL;
    hp_calibration_distort(factor);
    Py_RETURN_NONE;
}

PyMethodDef hp_session_methods[] = {
    {"start", (PyCFunction)(void (*)(void))start, METH_VARARGS | METH_KEYWORDS,
     "start($module, /, *, rate=100.0, clock='wall', method='auto', hook='auto', c_calls=False, seed=0, budget=0.0, "
     "tasks=False, event_limit=0, timeline=False)\n--\n\nStarts the "
     "session. False "
     "(and "
     "nothing changed) if one runs. rate in Hz; 0: no sampler, tracing only."},
    {"stop", stop, METH_NOARGS,
     "stop($module, /)\n--\n\nEnds sampling and tracing; the data stays until the next start(). False if none ran."},
    {"adjust", (PyCFunction)(void (*)(void))adjust, METH_VARARGS | METH_KEYWORDS,
     "adjust($module, /, *, rate, budget)\n--\n\nThe running session goes on with these. False, and nothing changed, where none runs or it "
     "would have to begin anew."},
    {"running", running, METH_NOARGS, "running($module, /)\n--\n\nWhether a session runs."},
    {"snapshot", (PyCFunction)(void (*)(void))snapshot, METH_VARARGS | METH_KEYWORDS,
     "snapshot($module, /, *, roots=None, program=None)\n--\n\nWhat was measured so far in the running or last session. RuntimeError if "
     "there never was one."},
    {"status", hp_core_status, METH_NOARGS,
     "status($module, /)\n--\n\nrunning, rate_hz, rate_had_hz, clock, targets, sampler_method, tracer_hook, samples, sampler_cpu_ns, "
     "tracing."},
    {"costs", hp_core_costs, METH_NOARGS,
     "costs($module, /)\n--\n\nWhat profiling has cost in the running session: session, sampler_cpu_ns, writer_cpu_ns, events, gated, "
     "units, unit_ns, own_bytes."},
    {"enter_block", enter_block, METH_O, "enter_block($module, name, /)\n--\n\nTraces what the current frame calls. 0 if no session runs."},
    {"leave_block", leave_block, METH_O, "leave_block($module, token, /)\n--\n\nEnds a block; one of an earlier session is ignored."},
    {"needs_wrapper", needs_wrapper, METH_O,
     "needs_wrapper($module, code, /)\n--\n\nWhether a function must be wrapped in deep_function to be traced as a target."},
    {"_distort_calibration", distort_calibration, METH_O, NULL},
    {"stream", (PyCFunction)(void (*)(void))stream, METH_VARARGS | METH_KEYWORDS,
     "stream($module, /, path, interval=1.0, compact_above=1048576, *, rewritten=False)\n--\n\nWrites the session to a .hyprof file while "
     "it runs, every "
     "`interval` seconds and at "
     "its end."},
    {NULL, NULL, 0, NULL},
};
