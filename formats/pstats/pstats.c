/* SPDX-License-Identifier: MIT */
#include "formats/pstats/pstats.h"

#include "formats/pstats/reader.h"
#include "formats/pstats/writer.h"

static const char *const suffixes[] = {".pstats", ".prof", NULL};

const hp_format hp_format_pstats = {
    .name = "pstats",
    .suffixes = suffixes,
    .write = hp_pstats_write,
    .recognize = hp_pstats_recognize,
    .read = hp_pstats_read,
};
