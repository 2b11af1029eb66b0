/* SPDX-License-Identifier: MIT */
/* The list of threads, and forks: csrc/frame/states.c, sampler/{sampler,tick}.c, and every pthread_atfork of csrc/.
 *
 * A session starts, takes samples and is freed, by a thread with the GIL; threads are born and die; a profile is assembled without the GIL;
 * somebody forks, with the GIL (then, from 3.13 on, with the head lock too) or from C without it. The child is one thread: what it meets is
 * looked at in one step. */
#include "locks.h"

#define TICKS 2
#define ROUNDS 1
#define TRIES 2

/* Order: forks > mutex > gate, life > table. The head lock is only tried by the sampler, and held across a fork by CPython. */
byte gil, head, forks, mutex, gate, life, table;
bool forked;              /* the sampler that forks wait for is set */
bool whole = true;        /* its data is between two changes */
bool sampler_freed;
bool wanted, looping, may_loop;
byte sampler_pid;
byte waiting;             /* frees that want the gate: the sampler lets them go first */

bool listed[2], allocated[2];

inline head_lock_tried(got) {
    got = false;
    for (try : 1 .. TRIES) {
        if
        :: atomic { head == 0 -> head = ME; got = true }; break
#ifndef BUG_HEAD_LOCK_WAITED_FOR
        :: head != 0 -> skip
#endif
        fi
    }
}

active proctype sampler() {
    byte tick, round, try;
    bool got, first, second;
    sampler_pid = ME;
    may_loop;
    for (tick : 1 .. TICKS) {
        if
        :: !wanted -> break
        :: wanted -> skip
        fi;
        lock(mutex);
        for (round : 1 .. ROUNDS) {
            head_lock_tried(got);
            if
            :: !got -> break
            :: else
            fi;
            first = listed[0];
            second = listed[1];
#ifdef BUG_STATES_USED_AFTER_HEAD_LOCK
            unlock(head);
#endif
            waiting == 0;
            lock(gate);
            assert(!first || allocated[0]);
            assert(!second || allocated[1]);
            unlock(gate);
#ifndef BUG_STATES_USED_AFTER_HEAD_LOCK
            unlock(head);
#endif
            whole = false;
            lock(table);
            unlock(table);
            whole = true
        }
        unlock(mutex)
    }
    looping = false
}

/* A Python thread: PyThreadState_New, then PyThreadState_Delete, with a chunk of its own. */
active proctype thread() {
    lock(head);
    atomic { allocated[0] = true; listed[0] = true }
    unlock(head);
    lock(head);
    listed[0] = false;
    unlock(head);
    allocated[0] = false;
    waiting++;
    atomic { lock(gate); waiting-- }
    unlock(gate);
    lock(life); /* what only it kept alive dies with it */
    lock(table);
    unlock(table);
    unlock(life)
}

/* hp_assemble: reads the code table without the GIL. */
active proctype assembling() {
    lock(table);
    unlock(table)
}

active proctype session() {
    byte try;
    bool got;
    lock(gil);
    /* hp_sampler_start */
#ifdef BUG_POINTER_NOT_HELD_ACROSS_FORK
    forked = true;
#else
    lock(forks);
    forked = true;
    unlock(forks);
#endif
#ifndef BUG_THREADS_MET_WITHOUT_MUTEX
    lock(mutex);
#endif
    whole = false;
    head_lock_tried(got);
    if
    :: got -> unlock(head)
    :: else
    fi;
    whole = true;
#ifndef BUG_THREADS_MET_WITHOUT_MUTEX
    unlock(mutex);
#endif
    atomic { wanted = true; looping = true; may_loop = true }
    unlock(gil);
    lock(gil);
    /* hp_sampler_stop */
    wanted = false;
    !looping;
    /* hp_sampler_free */
#ifdef BUG_POINTER_NOT_HELD_ACROSS_FORK
    forked = false;
#else
    lock(forks);
    forked = false;
    unlock(forks);
#endif
    atomic { whole = false; sampler_freed = true }
    unlock(gil)
}

/* All handlers of the child, in the order of their registration, then what a child does. */
inline child() {
    d_step {
        assert(life == ME && gate == ME);
#ifndef BUG_TABLE_NOT_RENEWED
        in_table = 0;
#else
        in_table = table;
#endif
#ifndef BUG_POINTER_NOT_HELD_ACROSS_FORK
        assert(forks == ME);
#endif
        assert(!forked || whole);                /* hp_sampler_after_fork_child drops it */
        assert(head == 0 || head != sampler_pid); /* nobody would ever give it back */
#ifndef BUG_WAITERS_NOT_FORGOTTEN
        in_child = 0;
#else
        in_child = waiting;
#endif
        assert(in_child == 0);                   /* else the child's own sampler lets a thread go first that is not there */
        in_child = 0;
        assert(in_table == 0);                   /* code dies, the tracer asks, before any function of ours was called */
        in_table = 0
    }
}

active proctype forker() {
    byte in_table, in_child;
    bool with_gil, held;
    if
    :: lock(gil); with_gil = true
    :: true -> skip
    fi;
    if
    :: with_gil -> lock(head)
    :: true -> skip
    fi;
    /* before: the reverse of the order of registration */
#ifdef BUG_GATE_BEFORE_MUTEX
    lock(gate);
#endif
#ifndef BUG_POINTER_NOT_HELD_ACROSS_FORK
    lock(forks);
#endif
    held = forked;
    if
    :: held ->
        assert(!sampler_freed);
#ifndef BUG_MUTEX_NOT_TAKEN
        lock(mutex)
#endif
    :: else
    fi;
#ifndef BUG_GATE_BEFORE_MUTEX
    waiting == 0;
    lock(gate);
#endif
    lock(life);
    child();
    /* after, in the parent: the order of registration */
    unlock(life);
    unlock(gate);
    if
    :: forked ->
#ifndef BUG_MUTEX_NOT_TAKEN
        unlock(mutex)
#endif
    :: else
    fi;
#ifndef BUG_POINTER_NOT_HELD_ACROSS_FORK
    unlock(forks);
#endif
    if
    :: head == ME -> unlock(head)
    :: else
    fi;
    if
    :: with_gil -> unlock(gil)
    :: else
    fi
}

init {
    atomic { allocated[1] = true; listed[1] = true } /* the main thread's */
}
