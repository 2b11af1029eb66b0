/* SPDX-License-Identifier: MIT */
/* The runtime's head lock up to 3.12: a PyThread lock. */
#ifndef HP_FRAME_HEAD_LOCK_SEMAPHORE_H
#define HP_FRAME_HEAD_LOCK_SEMAPHORE_H

#include "frame/frame.h"

#include <internal/pycore_runtime.h>

bool hp_states_try_lock(void) {
    return PyThread_acquire_lock(_PyRuntime.interpreters.mutex, NOWAIT_LOCK) == PY_LOCK_ACQUIRED;
}
void hp_states_unlock(void) {
    PyThread_release_lock(_PyRuntime.interpreters.mutex);
}

#endif
