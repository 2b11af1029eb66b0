/* SPDX-License-Identifier: MIT */
/* Start, stop, the end of the interpreter: csrc/sampler/sampler.c, module/{session,fork,control}.c.
 *
 * The main thread starts a session and ends the interpreter; another thread stops and starts; a third one forks through os.fork(), around
 * which the sampler ends and is started again. Stopping and starting may give the GIL up in their midst. A sleep may have no end but the
 * futex: intervals are as long as anybody likes. */
#include "locks.h"

#define MAIN 1
#define OTHER 2
#define FORKER 3
#define STARTS 4 /* more is not looked at */

byte gil;
bool exiting, finalizing, gone; /* at_exit ran; Py_FinalizeEx began; the runtime is torn down */

/* The module */
byte owner; /* of the transition */
bool running, restart_wanted;

/* The sampler */
bool started, alive;
bit wanted;
bool asleep;      /* in the futex */
bool for_ever;    /* no deadline will come while anybody waits */
byte loops;       /* threads that exist */
byte starts;      /* so far */
bool joinable;    /* there is a thread that nobody joined */

/* take_gil: who comes back after the interpreter has ended hangs, or its thread exits. */
inline gil_take(me) {
    if
    :: atomic { gil == 0 && (!finalizing || me == MAIN) -> gil = me }
    :: finalizing && me != MAIN -> goto over
    fi
}
inline gil_give(me) { assert(gil == me); gil = 0 }

proctype loop() {
    do
#ifndef BUG_WOKEN_AND_NOT_LOOKING
    :: wanted == 0 -> break
    :: wanted == 1 ->
#else
    :: true ->
#endif
        /* sleep_until: FUTEX_WAIT compares and sleeps in one step */
#ifdef BUG_WOKEN_BEFORE_ASKED
        if
        :: wanted == 1 -> asleep = true
        :: else
        fi;
#else
        atomic {
            if
            :: wanted == 1 -> asleep = true
            :: else
            fi
        }
#endif
        if
        :: !asleep          /* woken, or never slept */
        :: !for_ever -> asleep = false /* the deadline */
        fi;
#ifndef BUG_WOKEN_AND_NOT_LOOKING
        if
        :: wanted == 0 -> break
        :: else
        fi;
#endif
        if
        :: finalizing -> break
        :: else
        fi;
        assert(!gone); /* a tick */
        assert(!gone)
    od;
    atomic { alive = false; loops-- }
}

/* hp_sampler_stop: the GIL is held all the time */
inline sampler_stop() {
    if
    :: started ->
#ifdef BUG_WOKEN_BEFORE_ASKED
        asleep = false;
        wanted = 0;
#else
        wanted = 0;
        asleep = false;
#endif
        assert(joinable);
#ifndef BUG_STOP_DOES_NOT_JOIN
        loops == 0;
#endif
        joinable = false;
        started = false
    :: else
    fi
}

/* hp_sampler_start */
inline sampler_start() {
    if
    :: started && alive -> skip
    :: else ->
        assert(!started); /* a thread that ended by itself is only left behind where nobody can start any more */
        wanted = 1;
        alive = true;
        if
        :: starts < STARTS ->
            atomic { assert(loops == 0 && !joinable); starts++; loops++; joinable = true; run loop() }
            started = true
        :: true -> /* pthread_create failed */
            started = false;
            alive = false
        fi
    fi
}

/* hp_session_begin_transition. `*got` is false where the thread itself is in one. */
inline transition_begin(me) {
#ifndef BUG_NO_TRANSITION
    do
    :: owner == 0 -> break
    :: else ->
        assert(owner != me);
        gil_give(me);
        gil_take(me)
    od;
#endif
    owner = me
}

inline session_stop(me) {
    transition_begin(me);
    if
    :: running ->
        restart_wanted = false;
        sampler_stop();
        if
        :: gil_give(me); gil_take(me) /* the last append of a stream */
        :: true -> skip
        fi;
        running = false
    :: else
    fi;
    owner = 0
}

inline session_start(me) {
    transition_begin(me);
    if
    :: !exiting && !running ->
        assert(!started); /* of the session before, which is freed now */
        sampler_start();
        if
        :: gil_give(me); gil_take(me) /* arming targets may run Python code */
        :: true -> skip
        fi;
        running = true
    :: else
    fi;
    owner = 0
}

active proctype main() {
    if
    :: for_ever = true
    :: true -> skip
    fi;
    gil_take(MAIN);
    session_start(MAIN);
    gil_give(MAIN);
    gil_take(MAIN);
    if
    :: session_stop(MAIN)
    :: true -> skip
    fi;
    /* Py_FinalizeEx */
#ifndef BUG_NO_WORD_AT_EXIT
    exiting = true;
    session_stop(MAIN);
    assert(loops == 0 && !started && !running);
    gil_give(MAIN); /* the callbacks that were registered before ours */
    gil_take(MAIN);
    assert(loops == 0);
#endif
    finalizing = true;
    gone = true;
    assert(alive == (loops > 0));
over:
    skip
}

active proctype other() {
    gil_take(OTHER);
    session_stop(OTHER);
    gil_give(OTHER);
    gil_take(OTHER);
    session_start(OTHER);
    gil_give(OTHER);
over:
    skip
}

/* os.fork(): before_fork, other hooks, after_in_parent, and the pending call or the hook itself. */
active proctype forker() {
    gil_take(FORKER);
    transition_begin(FORKER);
    if
    :: running -> sampler_stop(); restart_wanted = true
    :: else
    fi;
    owner = 0;
    gil_give(FORKER);
    gil_take(FORKER);
    if
    :: restart_wanted ->
        restart_wanted = false;
        if
        :: running && !exiting -> sampler_start()
        :: else
        fi
    :: else
    fi;
    gil_give(FORKER);
over:
    skip
}

/* A stop comes to its end: a tick is finished first, a sleep is cut short. */
ltl stops { [] ((wanted == 0 && joinable) -> <> !joinable) }
