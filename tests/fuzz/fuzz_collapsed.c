/* SPDX-License-Identifier: MIT */
/* What could be read of collapsed stacks must be a sound profile, small for its file, that every format can write; and written as collapsed
 * stacks it must read back with the same time. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "formats/collapsed/collapsed.h"

static uint64_t time_of(const hp_profile *profile) {
    uint64_t time = 0;
    for (uint32_t i = 0; i < profile->tree.count; i++)
        time += profile->tree.nodes[i].sampled;
    return time;
}

static void check_profile(const hp_profile *profile, size_t size) {
    size_t length = 0;
    if (profile->tree.count > size + 2 || profile->function_count > size + 4)
        abort();
    for (size_t i = 0; size % 8 == 0 && hp_formats[i] != NULL; i++) /* it takes time */
        hp_sink_free(checked_write(hp_formats[i], profile, HP_OK));
    hp_sink *sink = checked_write(&hp_format_collapsed, profile, HP_OK);
    const uint8_t *bytes = hp_sink_bytes(sink, &length);
    hp_profile *again = memchr(bytes, ';', length) != NULL ? checked_read(&hp_format_collapsed, bytes, length) : NULL;
    if (memchr(bytes, ';', length) != NULL && (again == NULL || time_of(again) != time_of(profile)))
        abort();
    hp_profile_free(again);
    hp_sink_free(sink);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    hp_format_collapsed.recognize(bytes, size);
    hp_profile *profile = checked_read(&hp_format_collapsed, bytes, size);
    if (profile != NULL)
        check_profile(profile, size);
    hp_profile_free(profile);
    return 0;
}
