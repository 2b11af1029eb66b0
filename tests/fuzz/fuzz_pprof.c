/* SPDX-License-Identifier: MIT */
/* What could be read of a pprof file must be a sound profile, small for its file, that every format can write; and written as pprof it must
 * read back with the same tree and sums. The bytes are the file as it is, and once more as the content of a compressed one, so that
 * mutation reaches what lies below the checksum. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "formats/format.h"
#include "formats/pprof/gzip.h"
#include "formats/pprof/pprof.h"

static void add_up(const hp_profile *profile, uint64_t sums[5]) {
    for (uint32_t i = 0; i < profile->tree.count; i++) {
        const hp_node *node = &profile->tree.nodes[i];
        const uint64_t values[5] = {node->samples, node->sampled, node->calls, node->exact, node->overhead};
        for (int v = 0; v < 5; v++)
            sums[v] += values[v];
    }
}

static void check_profile(const hp_profile *profile, size_t size) {
    uint64_t before[5] = {0}, after[5] = {0};
    size_t length = 0;
    for (size_t i = 0; size % 8 == 0 && hp_formats[i] != NULL; i++) /* it takes time */
        hp_sink_free(checked_write(hp_formats[i], profile, HP_OK));
    hp_sink *sink = checked_write(&hp_format_pprof, profile, HP_OK);
    const uint8_t *bytes = hp_sink_bytes(sink, &length);
    hp_profile *again = checked_read(&hp_format_pprof, bytes, length);
    if (again == NULL || again->tree.count != profile->tree.count || again->row_count != profile->row_count)
        abort();
    add_up(profile, before);
    add_up(again, after);
    if (memcmp(before, after, sizeof before) != 0)
        abort();
    hp_profile_free(again);
    hp_sink_free(sink);
}

static void check_compressed(const uint8_t *bytes, size_t size) {
    hp_sink *sink = NULL;
    hp_gzip gzip;
    size_t length = 0;
    if (hp_sink_memory(&sink) != HP_OK || hp_gzip_begin(&gzip, sink) != HP_OK)
        abort();
    hp_gzip_write(&gzip, bytes, size);
    hp_gzip_end(&gzip);
    const uint8_t *file = hp_sink_bytes(sink, &length);
    if (!hp_format_pprof.recognize(file, length))
        abort();
    hp_profile_free(checked_read(&hp_format_pprof, file, length));
    hp_sink_free(sink);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    hp_format_pprof.recognize(bytes, size);
    hp_profile *profile = checked_read(&hp_format_pprof, bytes, size);
    if (profile != NULL)
        check_profile(profile, size);
    hp_profile_free(profile);
    if (size != 0 && size % 8 == 0)
        check_compressed(bytes, size);
    return 0;
}
