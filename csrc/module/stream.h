/* SPDX-License-Identifier: MIT */
/* A session written to a file while it runs, so that a process that is killed leaves what it had until its last interval.
 *
 * A thread of our own takes the GIL to copy what was gathered, and makes and appends the profile without it: the program is stopped only
 * for the copying. The thread is left out of profiles. Functions below: [GIL]. */
#ifndef HP_MODULE_STREAM_H
#define HP_MODULE_STREAM_H

#include "module/module.h"

/* path None: ends the stream. Without a running session the next one is streamed. compact_above: see formats/hyprof/hyprof.h. rewritten:
 * the file is written anew when all has ended, so what failed on the way is nothing that a profile must warn of. -1 with an exception set.
 */
int hp_stream_set(hp_module_state *state, PyObject *path, double interval, uint64_t compact_above, bool rewritten);
/* Called by the session when it has started and when it has stopped and its data is complete: the last append and the end mark. */
void hp_stream_session_started(hp_module_state *state);
void hp_stream_session_ended(hp_module_state *state);
/* Around a fork: the thread ends before it and starts again after it. Nothing is written. */
void hp_stream_pause(hp_module_state *state);
void hp_stream_resume(hp_module_state *state);
/* In the child, or when the module goes: forgotten, without a last word in the parent's file. */
void hp_stream_drop(hp_module_state *state);
/* CPU of the thread that writes the session while it runs, so far, ns; 0: there is none. */
uint64_t hp_stream_cpu_ns(hp_module_state *state);
/* A new reference: the sentence of the first failure as a str, else None. */
PyObject *hp_stream_error(hp_module_state *state);

#endif
