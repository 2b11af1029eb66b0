/* SPDX-License-Identifier: MIT */
/* When to look for functions beneath targets that carry no events yet. Policy only: the hook does the looking.
 *
 * Each function is reported to discovery once; beneath a target it gets events of its own, elsewhere it is let go. A *window* has
 * everything reported anew, so that a function that was let go is found when a target calls it after all. Windows open at the 1st, 2nd,
 * 4th, 8th … outermost call, and at each one as long as the last window found something; a minimum distance keeps their cost below half a
 * percent. */
#ifndef HP_TRACER_DISCOVERY_H
#define HP_TRACER_DISCOVERY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct hp_discovery {
    uint64_t extents;       /* outermost calls of targets so far */
    uint64_t watched_since; /* all of this number and above were watched from their beginning */
    uint64_t next_window;   /* number of the call that opens the next one */
    uint64_t windows;
    uint64_t found; /* in the present or last window */
    int64_t opened_at_ns;
    bool open; /* what is met outside of targets is kept in sight */
} hp_discovery;

void hp_discovery_init(hp_discovery *discovery);
/* An outermost call begins; `functions` is how many are known. True: a window is open now and everything must be reported anew. */
bool hp_discovery_begin(hp_discovery *discovery, int64_t now_ns, uint64_t functions);
/* Whether what is met outside of targets should stay in sight. Closes a window that has lasted long enough, or that is for nobody: `idle`
 * says that no call of a target runs or is suspended. */
bool hp_discovery_keeps(hp_discovery *discovery, int64_t now_ns, bool idle);
/* Number for "let go now", while no call runs: calls with a higher number may have missed the function, until the next window. */
uint64_t hp_discovery_let_go(const hp_discovery *discovery);
/* True when calls may have been missed of a function that was let go at that number. */
bool hp_discovery_missed(const hp_discovery *discovery, uint64_t let_go_at);

#endif
