/* SPDX-License-Identifier: MIT */
/* Why the thread takes the GIL as any thread of the program does, and does not ask the main thread by Py_AddPendingCall: a main thread
 * that is blocked in C (a join, a long computation) serves nobody for hours, and on 3.11 one that is alone does not notice calls that
 * another thread adds at all. */
#include "module/stream.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "formats/hyprof/hyprof.h"
#include "frame/current.h"
#include "frame/frame.h"
#include "module/snapshot.h"
#include "module/stream_names.h"

/* Milliseconds that a fork waits for a sync: Python warns of forks beside other threads. After that it has none to fear from it: the sync's
 * thread has no lock and no memory of the program's. */
enum { LONGEST_REST = 1000 };

/* Owner: the module's state. `mutex` is held for an exchange of pointers only, never while the GIL may be released. */
struct hp_stream {
    hp_module_state *state;
    char *path;
    double interval;        /* seconds */
    uint64_t compact_above; /* see formats/hyprof/hyprof.h */
    bool rewritten;         /* whoever asked for the stream writes the file anew when all has ended */
    hp_hyprof_stream *file; /* owner: the thread, or whoever joined it */
    pthread_t thread;
    bool thread_runs;                   /* guarded by: GIL */
    uint64_t next_moment, moments_lost; /* of a timeline: what the file does not have yet, and never will. Owner: as `file` */
    hp_stream_names names;              /* owner: as `file` */
    hp_error refused;                   /* guarded by: GIL. Why there is no thread; the end of the session is written all the same */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    /* Guarded by: mutex */
    bool ending;
    uint64_t cpu_ns; /* of the thread, after its last turn */
    hp_error error;  /* the first failure; nothing is written after it */
};

static void note_error(hp_stream *stream, const hp_error *error) {
    pthread_mutex_lock(&stream->mutex);
    if (stream->error.status == HP_OK)
        stream->error = *error;
    pthread_mutex_unlock(&stream->mutex);
}

static hp_status append_profile(hp_stream *stream, hp_profile *profile, hp_error *error) {
    profile->timeline.lost += stream->moments_lost;
    hp_status status = hp_hyprof_append(stream->file, profile, error);
    if (status == HP_OK) {
        stream->next_moment = profile->timeline.next;
        stream->moments_lost = profile->timeline.lost;
    }
    return status;
}

/* No GIL. A failed stream stays failed: what was appended before is in the file. */
static void append(hp_stream *stream, hp_gathered *gathered) {
    hp_error error = {0};
    hp_profile *profile = NULL;
    hp_stream_names_keep(&stream->names, gathered);
    hp_status status = hp_assemble(gathered, &profile);
    if (status != HP_OK)
        hp_fail(&error, status, 0, "a snapshot for '%s' failed: memory was short", stream->path);
    if (status == HP_OK)
        status = append_profile(stream, profile, &error);
    if (status != HP_OK)
        note_error(stream, &error);
    hp_profile_free(profile);
    hp_gathered_fini(gathered);
    free(gathered);
}

/* [GIL] NULL when memory is short: then this time nothing is appended. */
static hp_gathered *gather_now(const hp_stream *stream, hp_session *session) {
    hp_gathered *gathered = malloc(sizeof *gathered);
    if (gathered && hp_gather(stream->state, session, stream->next_moment, gathered) != HP_OK) {
        free(gathered);
        gathered = NULL;
    }
    return gathered;
}

/* [GIL] What the file has to say although it is whole, with the snapshot that comes next. The session keeps equal sentences once. */
static void pass_notice(const hp_stream *stream, hp_session *session) {
    if (stream->file && hp_hyprof_notice(stream->file)[0] != '\0')
        hp_session_warn(session, hp_hyprof_notice(stream->file));
}

/* Held by the thread while it has the GIL or waits for it. A C program that forks without a word to Python (uWSGI does) would copy that
 * wait, or that hold, into a child where nobody ever ends it: the child would hang at its first switch, though the program has no second
 * thread. So a fork waits for the end of such a turn, and gives the GIL away for it where it has it. Static because pthread_atfork takes no
 * argument. Lock order: turn > GIL. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static bool forks_watched; /* guarded by: GIL */
static _Thread_local bool has_turn;

/* Bounded: whoever has the GIL may keep it for long, and a fork must not wait for that. */
static bool take_turn_soon(void) {
    bool taken = false;
    for (int i = 0; i < 200 && !taken; i++) {
        usleep(1000);
        taken = pthread_mutex_trylock(&turn) == 0;
    }
    return taken;
}

/* From 3.13 on Python's own fork comes here with the runtime's head lock. Others wait for that with the GIL, so it must not be given away;
 * and it need not, because such a child's GIL is made anew. The sampler has the lock for less long than this takes. */
static bool is_pythons_fork(void) {
    for (int i = 0; i < 50; i++) {
        if (hp_states_try_lock()) {
            hp_states_unlock();
            return false;
        }
        usleep(100);
    }
    return true;
}

static void fork_prepare(void) {
    has_turn = pthread_mutex_trylock(&turn) == 0;
    if (has_turn || !Py_IsInitialized() || is_pythons_fork())
        return;
    PyThreadState *mine = PyGILState_GetThisThreadState();
    bool has_gil = mine != NULL && mine == hp_state_current();
    if (has_gil)
        PyEval_SaveThread();
    has_turn = take_turn_soon();
    if (has_gil)
        PyEval_RestoreThread(mine);
}
static void fork_parent(void) {
    if (has_turn)
        pthread_mutex_unlock(&turn);
}
static void fork_child(void) {
    pthread_mutex_init(&turn, NULL);
}

static bool watch_forks(void) {
    if (!forks_watched)
        forks_watched = pthread_atfork(fork_prepare, fork_parent, fork_child) == 0;
    return forks_watched;
}

/* As one thread of the program among the others, for the time of a copy. NULL when there is nothing to copy. */
static hp_gathered *gather_with_gil(hp_stream *stream, PyThreadState *thread) {
    hp_module_state *state = stream->state;
    hp_gathered *gathered = NULL;
    pthread_mutex_lock(&turn);
    PyEval_RestoreThread(thread);
    if (state->stream == stream)
        hp_session_look(state, false);
    if (state->stream == stream && state->transition_owner == 0 && state->session && state->session->running) {
        pass_notice(stream, state->session);
        gathered = gather_now(stream, state->session);
    }
    PyEval_SaveThread();
    pthread_mutex_unlock(&turn);
    return gathered;
}

static struct timespec deadline_in(double seconds) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + (int64_t)(seconds * 1e9);
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

/* What a kill costs is counted from one copy to the end of the next append, so that a turn begins as much earlier as the last one took; but
 * as a rule no more than half of the time goes to turns. True: it is time for one, and nothing has failed. False: it is time to end. */
static bool wait_for_next(hp_stream *stream, double took) {
    double left = stream->interval - 2 * took, least = took < stream->interval ? took : stream->interval;
    struct timespec deadline = deadline_in(left > least ? left : least);
    pthread_mutex_lock(&stream->mutex);
    int waited = 0;
    while (!stream->ending && (waited == 0 || stream->error.status != HP_OK))
        waited = stream->error.status == HP_OK ? pthread_cond_timedwait(&stream->wake, &stream->mutex, &deadline)
                                               : pthread_cond_wait(&stream->wake, &stream->mutex);
    bool ending = stream->ending;
    pthread_mutex_unlock(&stream->mutex);
    return !ending;
}

/* By the thread itself: from elsewhere its clock can only be asked for while it surely lives. A thread that a fork has ended and begun anew
 * counts from 0, and whoever adds up differences notices. */
static void note_cpu(hp_stream *stream) {
    int64_t cpu = hp_thread_cpu_ns();
    pthread_mutex_lock(&stream->mutex);
    stream->cpu_ns = cpu < 0 ? stream->cpu_ns : (uint64_t)cpu;
    pthread_mutex_unlock(&stream->mutex);
}

static void *run(void *argument) {
    hp_stream *stream = argument;
    pthread_mutex_lock(&turn);
    PyGILState_STATE entered = PyGILState_Ensure();
    if (stream->state->session)
        hp_session_own_thread(stream->state->session);
    PyThreadState *thread = PyEval_SaveThread();
    pthread_mutex_unlock(&turn);
    double took = 0; /* seconds, the last turn */
    while (wait_for_next(stream, took)) {
        int64_t began = hp_now_ns();
        hp_gathered *gathered = gather_with_gil(stream, thread);
        if (gathered)
            append(stream, gathered);
        note_cpu(stream);
        took = (double)(hp_now_ns() - began) / 1e9;
    }
    hp_hyprof_rest(stream->file, LONGEST_REST);
    pthread_mutex_lock(&turn);
    PyEval_RestoreThread(thread);
    PyGILState_Release(entered);
    pthread_mutex_unlock(&turn);
    return NULL;
}

/* Signals belong to the program's threads. */
static void start_thread(hp_stream *stream) {
    if (stream->thread_runs)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    stream->ending = false; /* no thread yet: nobody to share it with */
    int refused = watch_forks() ? pthread_create(&stream->thread, NULL, run, stream) : ENOMEM;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    stream->thread_runs = refused == 0;
    stream->refused = (hp_error){0};
    if (refused == 0)
        pthread_setname_np(stream->thread, "hybridprof-file");
    else
        hp_fail(&stream->refused, HP_IO, refused, "no thread could be started to write '%s' while the program runs", stream->path);
}

/* The GIL is free meanwhile: the thread may be waiting for it, and finishes an append. */
static void join_thread(hp_stream *stream) {
    if (!stream->thread_runs)
        return;
    stream->thread_runs = false;
    pthread_mutex_lock(&stream->mutex);
    stream->ending = true;
    pthread_cond_signal(&stream->wake);
    pthread_mutex_unlock(&stream->mutex);
    Py_BEGIN_ALLOW_THREADS pthread_join(stream->thread, NULL);
    Py_END_ALLOW_THREADS
}

static hp_stream *stream_new(hp_module_state *state) {
    hp_stream *stream = calloc(1, sizeof *stream);
    if (!stream || !(stream->path = strdup(state->stream_path))) {
        free(stream);
        return NULL;
    }
    stream->state = state;
    stream->interval = state->stream_interval;
    stream->compact_above = state->stream_compact_above;
    stream->rewritten = state->stream_rewritten;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&stream->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&stream->mutex, NULL);
    return stream;
}

/* After a fork that went around Python's hooks the thread does not exist, but the condition still counts it as waiting, and destroying it
 * would wait for that thread: then mutex and condition are left as they are. */
static void stream_free(hp_stream *stream) {
    if (!stream->thread_runs) {
        pthread_mutex_destroy(&stream->mutex);
        pthread_cond_destroy(&stream->wake);
        hp_stream_names_fini(&stream->names);
    }
    free(stream->path);
    free(stream);
}

/* The file is opened at once, which makes none, so that another program's that comes up later is known for what it is. */
static bool open_file(hp_stream *stream) {
    if (hp_hyprof_open(&stream->file, stream->path, NULL) != HP_OK)
        return false;
    hp_hyprof_compact_above(stream->file, stream->compact_above);
    return true;
}

/* Without the GIL: the last append, the end mark. Its failure becomes a warning of the session. */
static void finish(hp_stream *stream, hp_gathered *last, hp_error *error) {
    bool complete = stream->error.status == HP_OK;
    if (last && complete) {
        append(stream, last);
    } else if (last) {
        hp_gathered_fini(last);
        free(last);
    }
    complete = complete && last && stream->error.status == HP_OK;
    if (stream->file && hp_hyprof_close(stream->file, complete, error) != HP_OK && stream->error.status == HP_OK)
        stream->error = *error;
    *error = stream->error;
}

/* In a transition: the GIL is given up meanwhile, and the session stays. */
static void end_stream(hp_module_state *state, hp_session *session) {
    hp_stream *stream = state->stream;
    state->stream = NULL;
    join_thread(stream);
    if (stream->refused.status != HP_OK && !stream->rewritten)
        hp_session_warn(session, stream->refused.text);
    pass_notice(stream, session);
    hp_gathered *last = gather_now(stream, session);
    hp_error error = {0};
    Py_BEGIN_ALLOW_THREADS finish(stream, last, &error);
    Py_END_ALLOW_THREADS if (error.status != HP_OK && !stream->rewritten) hp_session_warn(session, error.text);
    stream_free(stream);
}

static int begin_stream(hp_module_state *state) {
    state->stream = stream_new(state);
    if (!state->stream)
        return -1;
    if (!open_file(state->stream)) {
        stream_free(state->stream);
        state->stream = NULL;
        return -1;
    }
    start_thread(state->stream);
    return 0;
}

int hp_stream_set(hp_module_state *state, PyObject *path_argument, double interval, uint64_t compact_above, bool rewritten) {
    char *path = NULL;
    if (path_argument != Py_None && !(path = hp_text_from_path(path_argument)))
        return -1;
    if (!hp_session_begin_transition(state)) {
        free(path);
        PyErr_SetString(PyExc_RuntimeError, "the profiler is just starting or stopping in this thread: call stream() when it has");
        return -1;
    }
    hp_stream_session_ended(state);
    free(state->stream_path);
    state->stream_path = path;
    state->stream_interval = interval;
    state->stream_compact_above = compact_above;
    state->stream_rewritten = rewritten;
    if (path && state->session && state->session->running)
        hp_stream_session_started(state);
    hp_session_end_transition(state);
    return 0;
}

void hp_stream_session_started(hp_module_state *state) {
    if (!state->stream_path || state->stream)
        return;
    if (begin_stream(state) < 0)
        hp_session_warn(state->session, "the session is not written while it runs: memory was short");
    free(state->stream_path);
    state->stream_path = NULL;
}

void hp_stream_session_ended(hp_module_state *state) {
    if (state->stream)
        end_stream(state, state->session);
}

void hp_stream_pause(hp_module_state *state) {
    if (state->stream)
        join_thread(state->stream);
}

void hp_stream_resume(hp_module_state *state) {
    if (state->stream)
        start_thread(state->stream);
}

void hp_stream_drop(hp_module_state *state) {
    hp_stream *stream = state->stream;
    state->stream = NULL;
    free(state->stream_path);
    state->stream_path = NULL;
    if (!stream)
        return;
    /* A fork that went around Python's hooks cut the thread off anywhere: what it was working on is nobody's to free. */
    if (stream->file && !stream->thread_runs)
        (void)hp_hyprof_close(stream->file, false, NULL);
    stream_free(stream);
}

uint64_t hp_stream_cpu_ns(hp_module_state *state) {
    if (!state->stream)
        return 0;
    pthread_mutex_lock(&state->stream->mutex);
    uint64_t cpu = state->stream->cpu_ns;
    pthread_mutex_unlock(&state->stream->mutex);
    return cpu;
}

PyObject *hp_stream_error(hp_module_state *state) {
    if (!state->stream)
        Py_RETURN_NONE;
    pthread_mutex_lock(&state->stream->mutex);
    hp_error error = state->stream->error;
    pthread_mutex_unlock(&state->stream->mutex);
    if (error.status == HP_OK)
        error = state->stream->refused;
    return error.status == HP_OK ? Py_NewRef(Py_None) : hp_text_to_unicode(error.text);
}
