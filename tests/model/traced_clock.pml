/* SPDX-License-Identifier: MIT */
/* The traced clock: hp_thread_enter_traced and hp_thread_leave_traced (csrc/base/threads.h), the sampler's books (sampler/record.c,
 * watched.c) and when it looks at the word (read_thread.c).
 *
 * One thread enters and leaves a target; another may end its extent from outside while it sleeps (a target that is removed). The sampler
 * adds it, then takes samples. Time passes at any moment, but no more than LAG within a tick and within a publication: that is the bound
 * that the debt has. Arithmetic is that of the C code, to the tick; a tick is 1 ns. */

#define STEP 2   /* so that times are even, and rounding is left to traced_precision.pml */
#define END 8    /* time stops here */
#define LAG 2
#define EXTENTS 2
#define TICKS 2

int now, word;
bool in_tick, in_publication;
byte tick_lag, publication_lag;

int began = -1;     /* the exact side: when the open extent began, -1: none is open */
int exact;          /* time of those that ended */
bool over;
bool moved;         /* an extent began or ended since the tick began, or was just being published */

#define EXACT_NOW (exact + (began >= 0 -> now - began : 0))

active proctype time() {
    do
    :: atomic {
           now < END && (!in_tick || tick_lag < LAG) && (!in_publication || publication_lag < LAG) ->
           now = now + STEP;
           tick_lag = tick_lag + STEP * in_tick;
           publication_lag = publication_lag + STEP * in_publication
       }
    :: now == END -> break
    od
}

inline publish(value) {
#ifdef BUG_FLAG_APART_FROM_TIME
    flag = value & 1;
#endif
    atomic { word = value; in_publication = false; publication_lag = 0; at = 0 }
}

/* hp_thread_leave_traced, by whoever ends the extent with the GIL */
inline leave() {
    atomic { at = now; in_publication = true; moved = true; publication_lag = 0; exact = exact + at - began; began = -1 }
    publish((((word & ~1) + at + 1) & ~1))
}

bit flag; /* BUG_FLAG_APART_FROM_TIME */
byte gil, last_holder, switches; /* 1: the thread, 2: another */

inline gil_take(who) {
    atomic {
        gil == 0 -> gil = who;
        if
        :: last_holder != who -> last_holder = who; switches++
        :: else
        fi
    }
}

active proctype thread() {
    byte i;
    int at;
    for (i : 1 .. EXTENTS) {
        gil_take(1)
        atomic { at = now; in_publication = true; moved = true; publication_lag = 0; began = at }
        publish((word - at) | 1);
        if
        :: gil = 0; gil_take(1) /* blocks beneath its target */
        :: true -> skip
        fi;
        if
        :: began >= 0 -> leave()
        :: else
        fi;
        gil = 0
    }
    over = true
}

active proctype remover() {
    int at;
    gil_take(2);
    if
    :: began >= 0 -> leave()
    :: true -> skip
    fi;
    gil = 0
}

/* earn_wall, then the end of hp_record_sample */
inline sample() {
        traced = (read_flag -> (read_word & ~1) + ticks : read_word);
        pending = pending + ticks - t_prev - (traced - traced_prev);
        traced_prev = traced;
        t_prev = ticks;
        if
        :: !read_flag && pending > 0 -> sampled = sampled + pending; pending = 0
        :: else
        fi;
#ifdef BUG_DEBT_FORGIVEN
        if
        :: pending < 0 -> pending = 0
        :: else
        fi;
#endif
        traced = 0;
#ifndef BUG_OLD_WORD_WITH_OLD_STACK
        read_word = 0; read_flag = 0
#endif
}

inline look() {
    last_switches = switches;
#ifdef BUG_FLAG_APART_FROM_TIME
    read_flag = flag;
    read_word = word;
#else
    atomic { read_word = word; read_flag = read_word & 1 }
#endif
}

/* What the sampler gave to stacks, and what was outside targets by the other side's books. The first look's error stays; each tick's is
 * paid by the next. */
inline check(bound) {
    error = ticks - t_first - (exact_then - exact_first) + first_error - sampled;
    assert(-error <= bound);
    assert(error - (pending > 0 -> pending : 0) <= bound);
    error = 0
}

active proctype sampler() {
    byte i, last_switches;
    int ticks, traced, read_word, t_prev, t_first, traced_prev, exact_first, exact_then, pending, sampled, error, first_error;
    bit read_flag;
    for (i : 1 .. TICKS) {
        atomic { in_tick = true; tick_lag = 0; ticks = now; exact_then = EXACT_NOW; moved = in_publication }
        if
        :: i == 1 -> /* hp_watched_add */
            atomic { t_prev = ticks; t_first = ticks; exact_first = exact_then; look(); traced = now }
#ifdef BUG_FIRST_LOOK_AT_A_LATER_TIME
            traced_prev = (read_flag -> (read_word & ~1) + traced : read_word);
#else
            traced_prev = (read_flag -> (read_word & ~1) + ticks : read_word);
#endif
            d_step {
                first_error = traced_prev - exact_then;
                assert(first_error <= LAG && first_error >= -LAG);
                assert(first_error == 0 || moved);
                traced = 0
            }
        :: else
        fi;
        if
        :: i == 1 || last_holder == 1 || switches != last_switches -> look()
        :: else -> /* nobody took the GIL since, so its stack is the old one */
#ifndef BUG_OLD_WORD_WITH_OLD_STACK
            look()
#endif
        fi;
        d_step {
            sample();
            check(LAG);
            in_tick = false; tick_lag = 0
        }
    }
    /* Outside of targets for as long as the debt can be: the books are even. */
    over && now == END;
    atomic { ticks = END + LAG; exact_then = EXACT_NOW; look() }
    d_step {
        sample();
        check(0)
    }
}
