/* SPDX-License-Identifier: MIT */
#include "formats/pstats/pstats.h"

#include "formats/pstats/reader.h"
#include "formats/pstats/writer.h"

static const char *const suffixes[] = {".pstats", ".prof", NULL};

const hp_format hp_format_pstats = {
    .name = "pstats",
    .suffixes = suffixes,
    .readers = "pstats, snakeviz, tuna, gprof2dot",
    .keeps = HP_KEEPS_CALLERS | HP_KEEPS_CALLS,
    .remark = "What is estimated has no calls, and a thread is a row",
    .write = hp_pstats_write,
    .recognize = hp_pstats_recognize,
    .read = hp_pstats_read,
};
