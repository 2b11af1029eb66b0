/* SPDX-License-Identifier: MIT */
#include "pstats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"
#include "formats/pstats/pstats.h"

const hp_row *row_of(const hp_profile *profile, const char *name) {
    const hp_row *found = NULL;
    for (uint32_t i = 0; i < profile->row_count; i++) {
        if (strcmp(profile->functions[profile->rows[i].function].name, name) == 0) {
            assert_null(found);
            found = &profile->rows[i];
        }
    }
    return found;
}

const hp_edge *edge_of(const hp_profile *profile, const char *caller, const char *callee) {
    for (uint32_t i = 0; i < profile->edge_count; i++) {
        const hp_edge *edge = &profile->edges[i];
        const char *above = edge->caller == HP_NO_FUNCTION ? "" : profile->functions[edge->caller].name;
        if (strcmp(above, caller) == 0 && strcmp(profile->functions[edge->callee].name, callee) == 0)
            return edge;
    }
    return NULL;
}

void assert_round_trip(const hp_profile *profile, bool unique_keys) {
    size_t size = 0, size_again = 0;
    char *bytes = hp_test_export(profile, &hp_format_pstats, &size);
    hp_profile *back = hp_test_read(&hp_format_pstats, bytes, size);
    bool mixed = false;
    for (uint32_t i = 0; i < profile->row_count; i++)
        mixed = mixed || profile->rows[i].measured == HP_MIXED;
    if (unique_keys) {
        assert_int_equal(back->row_count, profile->row_count);
        assert_int_equal(back->edge_count, profile->edge_count);
    }
    char *again = hp_test_export(back, &hp_format_pstats, &size_again);
    if (mixed) {
        free(bytes);
        hp_profile_free(back);
        bytes = again;
        size = size_again;
        back = hp_test_read(&hp_format_pstats, bytes, size);
        again = hp_test_export(back, &hp_format_pstats, &size_again);
    }
    assert_int_equal(size, size_again);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    hp_profile_free(back);
}
