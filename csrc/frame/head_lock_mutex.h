/* SPDX-License-Identifier: MIT */
/* The runtime's head lock from 3.13 on: a PyMutex, one byte whose lowest bit is the lock. Taking it is one compare-and-swap; giving it
 * back goes through CPython, which wakes waiters. Neither needs a thread state. */
#ifndef HP_FRAME_HEAD_LOCK_MUTEX_H
#define HP_FRAME_HEAD_LOCK_MUTEX_H

#include "frame/frame.h"

#include <internal/pycore_runtime.h>

bool hp_states_try_lock(void) {
    uint8_t unlocked = 0; /* waiters present (bit 1) count as locked: they were here first */
    return __atomic_compare_exchange_n(&_PyRuntime.interpreters.mutex._bits, &unlocked, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
void hp_states_unlock(void) {
    PyMutex_Unlock(&_PyRuntime.interpreters.mutex);
}

#endif
