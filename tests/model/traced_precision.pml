/* SPDX-License-Identifier: MIT */
/* What bit 0 of the traced clock costs: hp_thread_enter_traced, hp_thread_leave_traced, hp_thread_traced_ticks (csrc/base/threads.h), to
 * the tick. The flag lies in the lowest bit of the time, so an extent may be one tick off; over all parities it must not be off at all, or
 * a program with a million extents a second would drift. */

#define EXTENTS 3
#define LONGEST 3

#ifdef BUG_ROUNDED_DOWN_TWICE
#define HALF 0
#else
#define HALF 1
#endif

inline enter(t) { word = (word - (t)) | 1 }
inline leave(t) { word = ((word & ~1) + (t) + HALF) & ~1 }

active proctype thread() {
    int now, word, exact, length, drift, i;
    /* One extent for each parity of its beginning and its end */
    for (i : 0 .. 3) {
        d_step {
            word = 0;
            enter(8 + (i & 1));
            leave(12 + (i >> 1));
            drift = drift + word - (4 + (i >> 1) - (i & 1))
        }
    }
    assert(drift == 0);
    word = 0;
    for (i : 1 .. EXTENTS) {
        select(length : 0 .. LONGEST);
        now = now + length;
        enter(now);
        assert((word & 1) == 1);
        select(length : 0 .. LONGEST);
        now = now + length;
        exact = exact + length;
        assert((word & ~1) + now - exact <= i && exact - ((word & ~1) + now) <= i); /* as a sampler sees it from outside */
        leave(now);
        assert((word & 1) == 0 && word >= 0);
        assert(word - exact <= i && exact - word <= i)
    }
}
