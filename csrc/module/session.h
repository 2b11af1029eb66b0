/* SPDX-License-Identifier: MIT */
/* The one session of the process: threads, sampler, tracer, and when it ran. A start makes a new one; a stop ends it and keeps what it
 * gathered until the next start.
 *
 * Invariant: `running` and `tracer` change only inside a transition (see hp_session_settle). Guarded by: GIL, but for what the sampler
 * and the registry of threads guard themselves. */
#ifndef HP_MODULE_SESSION_H
#define HP_MODULE_SESSION_H

#include "base/clock.h"
#include "base/pairs.h"
#include "base/threads.h"
#include "module/module.h"
#include "sampler/sampler.h"

enum { HP_SESSION_WARNINGS = 8 };

typedef struct hp_session_options {
    hp_sampler_options sampler; /* rate_hz 0: no sampler */
    hp_tracer_options tracer;
} hp_session_options;

struct hp_session {
    uint32_t number; /* counts sessions, so that a block's token of an earlier one is known */
    bool running;
    hp_session_options options;
    hp_threads *threads;
    hp_sampler *sampler; /* NULL: none */
    hp_tracer *tracer;   /* NULL: none, or not running any more */
    const char *hook;    /* static name of the tracer's hook, "" if it could not start */
    hp_traced traced;    /* what the tracer had when the session stopped */
    bool has_traced;
    hp_timebase began, ended; /* `ended` counts when not running */
    int64_t started_wall_ns;
    uint8_t id[16];
    uint32_t *own_threads; /* indices of threads that are ours and not the program's */
    uint32_t own_thread_count;
    char *warnings[HP_SESSION_WARNINGS];
    uint32_t warning_count;
    struct hp_window *window; /* what its windows have had: window.c; NULL: there was none */
    bool window_was_last;     /* the session had stopped when it was cut */
};

/* Waits (without the GIL) until no other thread is starting or stopping. False if the calling thread itself is: then it was called from
 * a finalizer or a hook in the middle of it and must not go on. */
bool hp_session_settle(hp_module_state *state);

/* The same, and then the calling thread is the one that changes things, until it says that it has ended. */
bool hp_session_begin_transition(hp_module_state *state);
void hp_session_end_transition(hp_module_state *state);

/* Before numbers are asked for: what recording a call costs is measured once more where that is due; `last`: in any case. May run a signal
 * handler, and let other threads run: what was read of the session before is read again afterwards. */
void hp_session_look(hp_module_state *state, bool last);

/* 1: started; 0: one runs already (a sampler of its that the system refused after a fork is tried again) or the interpreter ends;
 * -1: an exception is set. */
int hp_session_start(hp_module_state *state, const hp_session_options *options);
/* A session runs and measures. While a fork has its threads ended they count as running; where the system refused them afterwards they do
 * not, though the session waits for stop(), or for start() to try them again. */
bool hp_session_is_running(const hp_module_state *state);
/* 1: stopped; 0: none ran. Never fails. */
int hp_session_stop(hp_module_state *state);
/* The session and all it gathered are dropped without a last word: when the module goes. */
void hp_session_drop(hp_module_state *state);
/* The same in a forked child, where an empty session that does not run takes its place: what began before the fork (a `with` block) may
 * end in the child as well, and asks for its profile. */
void hp_session_forget(hp_module_state *state);

/* Records all threads of the interpreter as alive at `*now`; `at_start`: they were there when the session began. */
hp_status hp_session_see_threads(hp_session *session, bool at_start, int64_t *now);

/* The calling thread is one of ours: it is left out of profiles. */
void hp_session_own_thread(hp_session *session);

/* names.c: what a reader of a profile sees as the thread's name, malloc'ed; NULL: unnamed. `served` is an empty map before the first call.
 */
hp_status hp_names_thread(hp_threads *threads, const hp_thread *thread, hp_pairs *served, char **out);

void hp_session_free(hp_session *session);
/* Keeps a copy of a sentence for the profile; past the bound, and when memory is short, it is left out. */
void hp_session_warn(hp_session *session, const char *sentence);

extern PyMethodDef hp_session_methods[];

#endif
