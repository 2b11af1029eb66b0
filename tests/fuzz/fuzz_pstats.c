/* SPDX-License-Identifier: MIT */
/* What could be read of a pstats file must be a sound profile, small for its file, that every format can write; and written as pstats it
 * must read back with the same rows. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "formats/callgrind/callgrind.h"
#include "formats/collapsed/collapsed.h"
#include "formats/gecko/gecko.h"
#include "formats/pstats/pstats.h"
#include "formats/speedscope/speedscope.h"

/* A row takes 30 bytes in a file, by references not below 15; what references unfold to is bounded by the file's size. */
static void check_size(const hp_profile *profile, size_t size) {
    size_t limit = (size + 4096) / 4;
    if (profile->row_count > limit || profile->edge_count > limit || profile->function_count > limit)
        abort();
}

static void check_profile(const hp_profile *profile, size_t size) {
    hp_error error = {0};
    hp_profile *again = NULL;
    size_t length = 0;
    if (hp_profile_check(profile, &error) != HP_OK)
        abort();
    check_size(profile, size);
    hp_sink_free(checked_write(&hp_format_callgrind, profile, HP_OK));
    /* They want stacks, and there are none. */
    const hp_format *const refusing[] = {&hp_format_collapsed, &hp_format_speedscope, &hp_format_gecko};
    for (size_t i = 0; i < sizeof refusing / sizeof *refusing; i++)
        hp_sink_free(checked_write(refusing[i], profile, profile->row_count != 0 ? HP_UNSUPPORTED : HP_OK));
    hp_sink *sink = checked_write(&hp_format_pstats, profile, HP_OK);
    const uint8_t *bytes = hp_sink_bytes(sink, &length);
    if (hp_format_pstats.read(bytes, length, &again, &error) != HP_OK || again->row_count > profile->row_count)
        abort();
    hp_profile_free(again);
    hp_sink_free(sink);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    hp_format_pstats.recognize(bytes, size);
    if (hp_format_pstats.read(bytes, size, &profile, &error) == HP_OK)
        check_profile(profile, size);
    else if (profile != NULL || !is_sentence(&error))
        abort();
    hp_profile_free(profile);
    return 0;
}
