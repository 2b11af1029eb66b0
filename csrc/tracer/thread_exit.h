/* SPDX-License-Identifier: MIT */
/* Tells the tracer that an OS thread has ended, without the GIL: a note that both sides hold, the last of which frees it. */
#ifndef HP_TRACER_THREAD_EXIT_H
#define HP_TRACER_THREAD_EXIT_H

#include <stdbool.h>

typedef struct hp_exit_note hp_exit_note;

/* A note for the calling thread. NULL when memory is short. */
hp_exit_note *hp_exit_note_new(void);
bool hp_exit_note_ended(const hp_exit_note *note);
/* The holder needs it no more. NULL is allowed. */
void hp_exit_note_drop(hp_exit_note *note);

#endif
