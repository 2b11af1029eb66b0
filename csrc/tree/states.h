/* SPDX-License-Identifier: MIT */
/* What a thread was doing when it was sampled. */
#ifndef HP_TREE_STATES_H
#define HP_TREE_STATES_H

typedef enum hp_thread_state {
    HP_STATE_UNKNOWN, /* it waits, or runs without the GIL: the system did not say */
    HP_STATE_PYTHON,  /* holds the GIL and runs Python code */
    HP_STATE_C,       /* holds the GIL, inside a C function that Python code called; see frame/instructions.c */
    HP_STATE_GC,      /* holds the GIL while garbage is collected */
    HP_STATE_NATIVE,  /* runs, or is ready to, without the GIL */
    HP_STATE_GIL,     /* waits for the GIL */
    HP_STATE_LOCK,    /* waits for a lock of another kind */
    HP_STATE_SLEEP,   /* sleeps for a time */
    HP_STATE_IO,      /* in any other system call */
    HP_STATES,
} hp_thread_state;

#define HP_STATE_NAMES {"unknown", "python", "c", "gc", "native", "gil", "lock", "sleep", "io"}

#endif
