/* SPDX-License-Identifier: MIT */
/* A session cut into windows: each has what was gathered since the one before, and together they have all of it, once.
 *
 * The session goes on at a cut: no sample, call or moment falls between two windows, open calls stay open, and nothing is learned or armed
 * anew. That works because every table of a session only grows and keeps its numbers: what a window has is the difference to what earlier
 * ones were told. A session that is replaced by another leaves its last window behind. Functions below: [GIL]. */
#ifndef HP_MODULE_WINDOW_H
#define HP_MODULE_WINDOW_H

#include "module/module.h"
#include "module/snapshot.h"

/* What the windows of one session have had so far. Owner: the session. */
typedef struct hp_window hp_window;
void hp_window_free(hp_window *window);

/* Before a session is freed, in a transition: its last window is kept for whoever asks, where that is wanted. */
void hp_window_keep_last(hp_module_state *state, hp_session *session);
/* In the child, or when the module goes: windows are the parent's. */
void hp_windows_drop(hp_module_state *state);

extern PyMethodDef hp_window_methods[];

#endif
