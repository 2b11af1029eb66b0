/* SPDX-License-Identifier: MIT */
/* Growing a malloc'ed array. */
#ifndef HP_BASE_ARRAY_H
#define HP_BASE_ARRAY_H

#include <stdint.h>
#include <stdlib.h>

/* Room for `needed` items, at least doubling. The (moved) array, or NULL with the old one untouched when memory is short. */
static inline void *hp_array_grow(void *items, uint32_t *capacity, uint32_t needed, size_t item_size) {
    if (needed <= *capacity && items != NULL)
        return items;
    uint32_t wanted = *capacity > UINT32_MAX / 2 ? UINT32_MAX : *capacity * 2;
    wanted = wanted < needed ? needed : wanted;
    wanted = wanted < 16 ? 16 : wanted;
    if (item_size > SIZE_MAX / wanted)
        return NULL;
    void *moved = realloc(items, wanted * item_size);
    if (moved != NULL)
        *capacity = wanted;
    return moved;
}

#endif
