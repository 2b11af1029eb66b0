/* SPDX-License-Identifier: MIT */
/* Starting and stopping. Both are transitions: they call what may allocate Python objects, so the garbage collector, and with it any
 * Python code and any other thread, may run in the middle. `transition_owner` makes the others wait. */
#include "module/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "frame/frame.h"
#include "module/stream.h"
#include "module/window.h"

bool hp_session_settle(hp_module_state *state) {
    hp_fork_check(state);
    while (state->transition_owner != 0) {
        if (state->transition_owner == PyThread_get_thread_ident())
            return false;
        /* A transition takes about a millisecond: waiting in steps is simpler than a condition that a fork could tear. */
        Py_BEGIN_ALLOW_THREADS usleep(200);
        Py_END_ALLOW_THREADS
    }
    return true;
}

bool hp_session_begin_transition(hp_module_state *state) {
    if (!hp_session_settle(state))
        return false;
    state->transition_owner = PyThread_get_thread_ident();
    return true;
}

void hp_session_end_transition(hp_module_state *state) {
    state->transition_owner = 0;
}

void hp_session_free(hp_session *session) {
    if (!session)
        return;
    if (session->tracer)
        hp_tracer_free(session->tracer);
    if (session->sampler)
        hp_sampler_free(session->sampler);
    if (session->has_traced)
        hp_traced_fini(&session->traced);
    if (session->threads)
        hp_threads_free(session->threads);
    for (uint32_t i = 0; i < session->warning_count; i++)
        free(session->warnings[i]);
    hp_window_free(session->window);
    free(session->own_threads);
    free(session);
}

void hp_session_warn(hp_session *session, const char *sentence) {
    for (uint32_t i = 0; i < session->warning_count; i++)
        if (strcmp(session->warnings[i], sentence) == 0)
            return;
    char *copy = session->warning_count < HP_SESSION_WARNINGS ? strdup(sentence) : NULL;
    if (copy)
        session->warnings[session->warning_count++] = copy;
}

/* What Python raised becomes a warning of the session: a tracer that cannot work is no reason not to sample. */
static void warn_of_exception(hp_session *session, const char *what) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *text = value ? PyObject_Str(value) : NULL;
    const char *reason = text ? PyUnicode_AsUTF8(text) : NULL;
    char sentence[HP_ERROR_TEXT];
    snprintf(sentence, sizeof sentence, "%s: %s", what, reason ? reason : "unknown reason");
    hp_session_warn(session, sentence);
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

/* What a walk over the thread states tells of one of them. */
static hp_status see_thread(hp_session *session, PyThreadState *state, uint64_t interpreter_id, int64_t now, bool at_start) {
    hp_thread *thread = hp_threads_get(session->threads, interpreter_id, PyThreadState_GetID(state), NULL);
    if (!thread)
        return HP_NO_MEMORY;
    if (at_start)
        thread->existed_at_start = true;
    if (thread->native_id == 0)
        thread->native_id = state->native_thread_id;
    if (thread->pthread == 0)
        thread->pthread = state->thread_id;
    hp_thread_seen(thread, now);
    return HP_OK;
}

hp_status hp_session_see_threads(hp_session *session, bool at_start, int64_t *now) {
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    uint64_t interpreter_id = (uint64_t)PyInterpreterState_GetID(interpreter);
    hp_status status = HP_OK;
    *now = hp_now_ns();
    for (PyThreadState *at = PyInterpreterState_ThreadHead(interpreter); at && status == HP_OK; at = PyThreadState_Next(at))
        status = see_thread(session, at, interpreter_id, *now, at_start);
    return status;
}

void hp_session_own_thread(hp_session *session) {
    uint64_t interpreter_id = (uint64_t)PyInterpreterState_GetID(PyInterpreterState_Get());
    hp_thread *thread = hp_threads_get(session->threads, interpreter_id, PyThreadState_GetID(PyThreadState_Get()), NULL);
    uint32_t *grown = realloc(session->own_threads, (session->own_thread_count + 1) * sizeof *grown);
    if (grown)
        session->own_threads = grown;
    /* Else memory is short, or the sampler met this thread first and gave it the record of the program's own that ended: then it shows. */
    if (grown && thread && thread->earlier == 0)
        grown[session->own_thread_count++] = thread->index;
    if (thread)
        hp_threads_keep(session->threads, thread);
}

static hp_status session_new(hp_session **out, hp_module_state *state, const hp_session_options *options) {
    hp_session *session = calloc(1, sizeof *session);
    if (!session)
        return HP_NO_MEMORY;
    session->number = state->session ? state->session->number + 1 : 1;
    session->options = *options;
    session->hook = "";
    int64_t now;
    hp_status status = hp_threads_new(&session->threads);
    if (status == HP_OK)
        status = hp_session_see_threads(session, true, &now);
    if (status == HP_OK && getrandom(session->id, sizeof session->id, 0) != (ssize_t)sizeof session->id)
        memcpy(session->id, &session, sizeof(void *)); /* a kernel without randomness: unique on this machine at least */
    if (status != HP_OK) {
        hp_session_free(session);
        return status;
    }
    *out = session;
    return HP_OK;
}

static void arm_targets(hp_module_state *state, hp_session *session) {
    PyObject *key, *entry;
    Py_ssize_t position = 0;
    PyObject *targets = PyDict_Copy(state->targets); /* arming may run code that adds targets */
    while (targets && PyDict_Next(targets, &position, &key, &entry)) {
        PyObject *code = PyTuple_GET_ITEM(entry, 0);
        double rate = PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(entry, 1));
        if (hp_tracer_add_target(session->tracer, (PyCodeObject *)code, rate) < 0)
            warn_of_exception(session, "a target could not be armed");
    }
    Py_XDECREF(targets);
    if (!targets || (state->everything && hp_tracer_trace_everything(session->tracer, true) < 0))
        warn_of_exception(session, "not everything can be traced");
}

static void start_tracer(hp_module_state *state, hp_session *session) {
    session->tracer = hp_tracer_new(&session->options.tracer, state->code, session->threads);
    if (!session->tracer) {
        warn_of_exception(session, "exact tracing is off in this session");
        return;
    }
    session->hook = hp_tracer_hook_name(session->tracer);
    arm_targets(state, session);
    hp_tracer_session_began(session->tracer);
}

/* Code objects die under the tracer's eyes too: their deaths are watched without a sampler as well. So are forks, because the stream, which
 * comes next, must be the first to hear of one. */
static hp_status start_sampler(hp_module_state *state, hp_session *session, hp_error *error) {
    hp_status watched = hp_sampler_watch_forks(state->code, error);
    if (watched != HP_OK)
        return watched;
    if (session->options.sampler.rate_hz <= 0)
        return HP_OK;
    hp_status status = hp_sampler_new(&session->sampler, &session->options.sampler, state->code, session->threads, error);
    return status == HP_OK ? hp_sampler_start(session->sampler, error) : status;
}

static int start_in_transition(hp_module_state *state, const hp_session_options *options) {
    hp_session *session = NULL;
    hp_error error = {0};
    hp_status status = session_new(&session, state, options);
    if (status != HP_OK) {
        hp_raise_status(state, status);
        return -1;
    }
    hp_code_table_session_began(state->code);
    session->began = hp_timebase_now();
    session->started_wall_ns = hp_wall_clock_ns();
    status = start_sampler(state, session, &error);
    if (status != HP_OK) {
        hp_session_free(session);
        hp_raise(state, status, &error, NULL);
        return -1;
    }
    if (session->sampler) /* a life that began before anybody could look would not add up */
        session->began = hp_sampler_met(session->sampler);
    start_tracer(state, session);
    session->running = true;
    hp_session *previous = state->session;
    state->session = session;
    state->tracer = session->tracer;
    hp_window_keep_last(state, previous);
    hp_session_free(previous);
    hp_names_watch(state);
    hp_stream_session_started(state);
    return 1;
}

bool hp_session_is_running(const hp_module_state *state) {
    const hp_session *session = state->session;
    if (!session || !session->running)
        return false;
    return !session->sampler || state->restart_after_fork || hp_sampler_running(session->sampler);
}

/* After a fork the system may have refused the threads that were there before. */
static int resume_in_transition(hp_module_state *state) {
    hp_error error = {0};
    if (hp_session_is_running(state))
        return 0;
    hp_status status = hp_sampler_start(state->session->sampler, &error);
    if (status != HP_OK) {
        hp_raise(state, status, &error, NULL);
        return -1;
    }
    hp_stream_resume(state);
    return 0;
}

int hp_session_start(hp_module_state *state, const hp_session_options *options) {
    if (!hp_session_begin_transition(state))
        return 0;
    int result = 0;
    if (!state->exiting)
        result = state->session && state->session->running ? resume_in_transition(state) : start_in_transition(state, options);
    hp_session_end_transition(state);
    return result;
}

/* The tracer gives its hooks back at once; what it recorded stays. */
static void end_tracer(hp_module_state *state, hp_session *session) {
    state->tracer = NULL;
    if (!session->tracer)
        return;
    session->has_traced = hp_tracer_collect(session->tracer, &session->traced) == HP_OK;
    if (!session->has_traced)
        hp_session_warn(session, "exact data was lost when the session stopped: memory was short");
    const char *warning;
    for (uint32_t i = 0; (warning = hp_tracer_warning(session->tracer, i)) != NULL; i++)
        hp_session_warn(session, warning);
    hp_tracer *tracer = session->tracer;
    session->tracer = NULL;
    hp_tracer_free(tracer);
}

static void stop_in_transition(hp_module_state *state) {
    hp_session *session = state->session;
    if (!state->after_fork) /* it waits for the same pending call */
        hp_fork_forget(state);
    int64_t now;
    (void)hp_session_see_threads(session, false, &now); /* how far the sampler's books are to go */
    if (session->sampler)
        hp_sampler_stop(session->sampler);
    hp_names_threads(state, session); /* while those that live can still be told from those that ended */
    end_tracer(state, session);
    (void)hp_session_see_threads(session, false, &now); /* what they ran until their last target ended is part of their lives */
    session->ended = hp_timebase_now();
    session->running = false;
    hp_stream_session_ended(state);
}

void hp_session_look(hp_module_state *state, bool last) {
    hp_fork_check(state);
    if (state->tracer && state->transition_owner == 0)
        hp_tracer_look(state->tracer, last);
}

int hp_session_stop(hp_module_state *state) {
    if (!hp_session_begin_transition(state))
        return 0;
    bool running = state->session && state->session->running;
    if (running)
        stop_in_transition(state);
    hp_session_end_transition(state);
    return running;
}

void hp_session_forget(hp_module_state *state) {
    hp_session *empty = NULL;
    if (state->session && session_new(&empty, state, &state->session->options) == HP_OK) {
        empty->began = empty->ended = hp_timebase_now();
        empty->started_wall_ns = hp_wall_clock_ns();
        empty->options.sampler.rate_hz = 0;
        empty->window_was_last = true; /* nothing was measured here */
    }
    hp_session_drop(state);
    state->session = empty;
}

void hp_session_drop(hp_module_state *state) {
    hp_session *session = state->session;
    state->session = NULL;
    state->tracer = NULL;
    state->transition_owner = 0;
    hp_fork_forget(state);
    hp_session_free(session);
}
