/* SPDX-License-Identifier: MIT */
#include "sampler/moments.h"

hp_status hp_moments_copy(const hp_moments *moments, uint64_t first, hp_timeline *out) {
    uint64_t oldest = moments->count > HP_MOMENTS_HELD ? moments->count - HP_MOMENTS_HELD : 0;
    *out = (hp_timeline){.kept = true, .next = moments->count};
    out->lost = first < oldest ? oldest - first : 0;
    first = first < oldest ? oldest : first > moments->count ? moments->count : first;
    if (hp_timeline_reserve(out, (uint32_t)(moments->count - first)) != HP_OK)
        return HP_NO_MEMORY;
    for (uint64_t i = first; i < moments->count; i++)
        hp_timeline_append(out, moments->ring[i % HP_MOMENTS_HELD]);
    return HP_OK;
}
