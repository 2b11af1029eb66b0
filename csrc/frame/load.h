/* SPDX-License-Identifier: MIT */
/* Single loads from memory that another thread may write: relaxed atomics, so that the compiler neither tears nor repeats them. */
#ifndef HP_FRAME_LOAD_H
#define HP_FRAME_LOAD_H

#include <stdint.h>

static inline uintptr_t hp_load_word(uintptr_t address) {
    return __atomic_load_n((const uintptr_t *)address, __ATOMIC_RELAXED);
}
static inline int hp_load_int(uintptr_t address) {
    return __atomic_load_n((const int *)address, __ATOMIC_RELAXED);
}
static inline uint8_t hp_load_byte(uintptr_t address) {
    return __atomic_load_n((const uint8_t *)address, __ATOMIC_RELAXED);
}

#endif
