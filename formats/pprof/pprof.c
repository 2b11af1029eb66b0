/* SPDX-License-Identifier: MIT */
#include "formats/pprof/pprof.h"

#include "formats/pprof/reader.h"
#include "formats/pprof/writer.h"

static const char *const suffixes[] = {".pb.gz", NULL};

const hp_format hp_format_pprof = {
    .name = "pprof",
    .suffixes = suffixes,
    .readers = "pprof",
    .keeps = HP_KEEPS_ALL & ~(unsigned)(HP_KEEPS_ERRORS | HP_KEEPS_TIMELINE),
    .write = hp_pprof_write,
    .recognize = hp_pprof_recognize,
    .read = hp_pprof_read,
};
