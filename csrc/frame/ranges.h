/* SPDX-License-Identifier: MIT */
/* Memory that is known to stay mapped while the gate is held: arenas and data-stack chunks. */
#ifndef HP_FRAME_RANGES_H
#define HP_FRAME_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hp_range {
    uintptr_t low, high;
} hp_range;

/* Gate held. The known range around [address, address + size); false if there is none. */
bool hp_range_find(uintptr_t address, size_t size, hp_range *out);
/* Takes the gate. */
void hp_range_add(uintptr_t low, size_t size);
void hp_range_remove(uintptr_t low);
void hp_range_forget_all(void);
/* Gate held: `low` is known already, or there is room without allocating and it becomes known. */
bool hp_range_add_locked(uintptr_t low, size_t size);
/* Gate not held: makes room for that many more. */
bool hp_range_reserve(size_t more);

#endif
