/* SPDX-License-Identifier: MIT */
/* The life of code objects against the sampler: csrc/frame/code_life.c, base/code_table.c, sampler/{read_thread,record}.c.
 *
 * One address at which code objects live one after the other (what else may lie there in between is "no code"), one thread that calls
 * them, one sampler, one snapshot that describes slots from an interpreter with another GIL. Lives are numbered; `really` is what no C
 * code knows: the life that was on the stack at the moment of the walk. A walk is one moment here: that is what the verified copies of
 * read_thread.c are for. */
#include "locks.h"

#define LIVES 2
#define STEPS 8
#define READS 2
#define SLOTS 5    /* slot 0 is nobody's */
#define NO_CODE 9  /* something else lies at the address */

byte life, mutex;        /* locks: life > mutex of the table */
byte epoch;
byte entry;              /* the index: slot of the address, 0: none */
byte slots;              /* given so far */
bool has_address[SLOTS]; /* the slot's address is set */
byte belongs[SLOTS];     /* the life that a slot stands for, as whoever used it first meant it */

byte here;               /* what lies at the address: 0 nothing mapped that matters, a life, NO_CODE */
byte born;
byte dead;               /* the last life whose memory was given back */
byte running;            /* the life on the thread's stack, 0: none */
bit instruction;
byte tracer_slot;        /* what the tracer was told last for the life that lives */

inline use(slot, who) {
    assert(slot != 0 && (belongs[slot] == 0 || belongs[slot] == who));
    belongs[slot] = who
}

/* slot_get: under the mutex */
inline slot_get(slot) {
    if
    :: entry != 0 -> slot = entry
    :: else -> slots++; assert(slots < SLOTS); entry = slots; slot = slots; has_address[slot] = true
    fi
}

inline died(slot) {
    epoch++;
    slot = entry;
    if
    :: entry != 0 -> has_address[entry] = false; entry = 0
    :: else
    fi
}

inline give_back() {
    dead = here;
    here = 0;
    tracer_slot = 0
}

/* code_dealloc. `base(object)` gives the memory back; from then on anything may lie there. */
inline code_dealloc() {
    lock(life);
#ifdef BUG_EPOCH_RAISED_AFTER_FREE
    give_back();
    if
    :: born < LIVES -> born++; here = born /* another thread's allocation */
    :: true
    fi;
#endif
    lock(mutex);
    d_step { died(mine) }
    unlock(mutex);
#ifdef BUG_EPOCH_RAISED_AFTER_FREE
    unlock(life)
#else
    if
    :: mine != 0 -> atomic { assert(here != 0 && here != dead); use(mine, here) } /* describe_whole */
    :: else
    fi;
    unlock(life);
    give_back()
#endif
}

/* A Python thread: allocates, calls, returns, lets code die; its calls may be traced. */
active proctype program() {
    byte step, mine;
    for (step : 1 .. STEPS) {
        if
        :: here == 0 && born < LIVES -> atomic { born++; here = born; tracer_slot = 0 }
        :: here == 0 -> here = NO_CODE
        :: here == NO_CODE -> here = 0
        :: here != 0 && here != NO_CODE && running == 0 -> atomic { running = here; instruction = 0 }
        :: running != 0 -> instruction = 1 - instruction
        :: running != 0 -> running = 0
        :: here != 0 && here != NO_CODE && running == 0 -> code_dealloc()
        :: running != 0 -> /* hp_code_table_slot: a living object keeps its slot until it dies */
            lock(mutex);
            slot_get(mine);
            unlock(mutex);
            d_step {
                use(mine, here);
                assert(tracer_slot == 0 || tracer_slot == mine);
                tracer_slot = mine;
                mine = 0
            }
        :: true -> skip
        fi
    }
}

/* hp_names_describe for one slot, then hp_code_describe. `kind` is read by a copy that cannot fault. */
active proctype snapshot() {
    byte slot, address_of = 0, kind = 0;
    if
    :: slots > 0 -> slot = slots
    :: true -> goto over
    fi;
    lock(mutex);
    address_of = has_address[slot];
    unlock(mutex);
    if
    :: address_of ->
#ifdef BUG_TYPE_READ_WITHOUT_LIFE_LOCK
        assert(here != 0); /* PyCode_Check: a plain read */
#endif
        kind = here;
        if
        :: kind != 0 && kind != NO_CODE ->
            lock(life);
            lock(mutex);
            address_of = has_address[slot];
            unlock(mutex);
            if
            :: address_of -> atomic { assert(here != 0 && here != NO_CODE); use(slot, here) }
            :: else
            fi;
            unlock(life)
        :: else
        fi
    :: else
    fi;
over:
    skip
}

active proctype sampler() {
    byte read, seen_epoch, now_epoch, really, slot, ignored;
    byte leaf, last_epoch, units_of[SLOTS]; /* whose instruction units were counted */
    bool called, last_called, last_valid, known, same_codes, resolved;
    bit at, last_at;
    for (read : 1 .. READS) {
        /* hp_thread_read, keep */
#ifndef BUG_EPOCH_LOADED_AFTER_WALK
        seen_epoch = epoch;
#endif
        atomic { really = running; called = running != 0; at = instruction }
#ifdef BUG_EPOCH_LOADED_AFTER_WALK
        seen_epoch = epoch;
#endif
#ifdef BUG_OLD_STACK_WITHOUT_SECOND_LOOK
        now_epoch = seen_epoch;
#else
        now_epoch = epoch;
#endif
        d_step {
            known = last_valid && last_epoch == seen_epoch && now_epoch == seen_epoch && called == last_called;
            same_codes = known;
            last_epoch = seen_epoch; last_valid = true; last_called = called;
            resolved = known && (at == last_at || (same_codes && leaf != 0));
            last_at = at
        }
        if
        :: resolved || !called -> skip
        :: else ->
            /* hp_code_table_slots */
#ifdef BUG_EPOCH_COMPARED_OUTSIDE_MUTEX
            now_epoch = epoch;
            lock(mutex);
#else
            lock(mutex);
            now_epoch = epoch;
#endif
            if
            :: now_epoch == last_epoch -> slot_get(slot)
            :: else -> last_valid = false
            fi;
            unlock(mutex);
            /* stack_possible */
            if
            :: last_valid && units_of[slot] == 0 ->
                if
                :: here != 0 -> units_of[slot] = here
                :: here == 0 -> units_of[slot] = dead /* given back and not yet overwritten */
                :: here == 0 -> units_of[slot] = NO_CODE
                fi;
                if
                :: units_of[slot] == NO_CODE -> /* hp_code_table_refuse */
                    units_of[slot] = 0;
                    lock(mutex);
#ifdef BUG_DECLARED_DEAD_WITHOUT_EPOCH
                    d_step { died(ignored) }
#else
                    assert(epoch != last_epoch); /* else some frame would run what is no code */
#endif
                    unlock(mutex);
                    last_valid = false
                :: else
                fi
            :: else
            fi;
#ifndef BUG_UNITS_BELIEVED_WITHOUT_EPOCH
            if
            :: last_valid && epoch != last_epoch -> last_valid = false
            :: else
            fi;
#endif
            leaf = (last_valid -> slot : leaf)
        fi;
        /* hp_record_sample: what could not be resolved is read again */
        if
        :: last_valid && called ->
            d_step {
                use(leaf, really);
                assert(units_of[leaf] == really)
            }
        :: else
        fi
    }
}
