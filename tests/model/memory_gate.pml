/* SPDX-License-Identifier: MIT */
/* The memory gate: csrc/frame/{memory,ranges,stack}.c against sampler/{tick,read_thread,collect}.c.
 *
 * Two chunks at two addresses. A thread with a GIL allocates and frees them, sometimes under the head lock (the deletion of a thread
 * state); a second one, whose interpreter has a GIL of its own, frees too; hp_memory_watch registers what exists; a snapshot collects.
 * A walk may be led to any address at any time, because the chain it follows changes beneath it. */
#include "locks.h"

#define CHUNKS 2
#define WALKS 3
#define TRIES 2 /* for the head lock; then the tick is missed */

byte gil, head, mutex, gate; /* order: mutex > head lock > gate; the GIL above all of them */
byte waiting;                /* frees that want the gate */

bool mapped[CHUNKS], in_chain[CHUNKS];
bool known[CHUNKS];          /* in the list of ranges */
byte list, buffers;          /* the list's array, and how many there were */
bool crowded;                   /* the array is */
bool freed[3];               /* arrays given back */

byte sampler_pid;
bool waits[2];               /* a free began to wait */
byte waited[2];              /* ... for so many walks */

/* The sampler's hp_memory_lock: lets frees that wait go first. */
inline sampler_gate_lock() {
#ifndef BUG_GATE_TAKEN_AGAIN_BEFORE_WAITERS
    waiting == 0;
#endif
    atomic {
        gate == 0 -> gate = ME;
        waited[0] = waited[0] + waits[0];
        waited[1] = waited[1] + waits[1]
    }
}

inline range_lock(who) {
    atomic { waiting++; waits[who] = true; waited[who] = (gate == sampler_pid -> 1 : 0) }
    atomic { gate == 0 -> gate = ME; waiting--; waits[who] = false; assert(waited[who] <= 1); waited[who] = 0 }
}

/* arena_free */
inline arena_free(chunk, who) {
#ifdef BUG_FREED_WITHOUT_GATE
    known[chunk] = false;
#else
#ifdef BUG_UNMAPPED_BEFORE_FORGOTTEN
    mapped[chunk] = false;
#endif
    range_lock(who);
    assert(!freed[list]);
    known[chunk] = false;
    unlock(gate);
#endif
    mapped[chunk] = false
}

/* arena_alloc, hp_range_add, hp_range_reserve */
inline arena_alloc(chunk, who) {
    mapped[chunk] = true;
    do
    :: range_lock(who);
       known[chunk] = !crowded;
       unlock(gate);
       if
       :: !crowded -> break
       :: else ->
           old = list;
#ifndef BUG_LIST_REPLACED_WITHOUT_GATE
           range_lock(who);
#endif
           buffers++;
           list = buffers;
           crowded = false;
#ifndef BUG_LIST_REPLACED_WITHOUT_GATE
           unlock(gate);
#endif
           freed[old] = true
       fi
    od;
    in_chain[chunk] = true
}


active proctype sampler() {
    byte walk, tries, at, array;
    bool in_place;
    sampler_pid = ME;
    lock(mutex);
    for (tries : 1 .. TRIES) {
        if
        :: atomic { head == 0 -> head = ME }; break
        :: head != 0 -> skip
        fi
    }
    if
    :: head == ME ->
        for (walk : 1 .. WALKS) {
            sampler_gate_lock();
            if :: at = 0 :: at = 1 fi;
            array = list;
            assert(!freed[array]);
            in_place = known[at];
            assert(!freed[array]);
#ifdef BUG_RANGE_USED_AFTER_GATE
            unlock(gate);
#endif
            if
            :: in_place -> assert(mapped[at])
            :: else -> skip /* process_vm_readv answers for memory that is gone */
            fi;
#ifndef BUG_RANGE_USED_AFTER_GATE
            unlock(gate)
#endif
        }
        unlock(head)
    :: else -> skip /* missed */
    fi;
    unlock(mutex)
}

/* The program's thread: pushes and pops chunks; its deletion frees them under the head lock. */
active proctype thread() {
    byte old;
    lock(gil);
    arena_alloc(0, 0);
    unlock(gil);
    lock(gil);
    if
    :: true -> in_chain[0] = false; arena_free(0, 0)
    :: true -> lock(head); in_chain[0] = false; arena_free(0, 0); unlock(head)
    fi;
    if
    :: true -> arena_alloc(0, 0) /* the address is used again */
    :: true -> skip
    fi;
    unlock(gil)
}

/* A thread of an interpreter with a GIL of its own. Its chunk was there before the allocator was wrapped. */
active proctype other_interpreter() {
    atomic { in_chain[1] -> in_chain[1] = false }
    arena_free(1, 1)
}

/* hp_memory_watch, then hp_sampler_collect. Registering looks for chunks that are in a chain now. */
active proctype owner() {
    byte tries;
    atomic { mapped[1] = true; in_chain[1] = true; crowded = true }
    lock(gil);
    for (tries : 1 .. TRIES) {
        if
        :: atomic { head == 0 -> head = ME }; break
        :: head != 0 -> skip
        fi
    }
    if
    :: head == ME ->
#ifndef BUG_REGISTERED_WITHOUT_GATE
        lock(gate);
#endif
        if
        :: in_chain[1] -> assert(mapped[1]); known[1] = true
        :: else
        fi;
#ifndef BUG_REGISTERED_WITHOUT_GATE
        unlock(gate);
#endif
        unlock(head)
    :: else -> skip
    fi;
#ifdef BUG_COLLECT_UNDER_GATE
    lock(gate);
#endif
    lock(mutex); /* with the GIL: a tick never waits for it */
    unlock(mutex);
#ifdef BUG_COLLECT_UNDER_GATE
    unlock(gate);
#endif
    unlock(gil)
}
