/* SPDX-License-Identifier: MIT */
/* The contract of a format, and the one table of them (formats.c). README.md says what else belongs to a new one. */
#ifndef HP_FORMATS_FORMAT_H
#define HP_FORMATS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sink.h"
#include "base/status.h"
#include "tree/profile.h"

/* What a profile holds and a format may have no place for. Users are told by these: what is not kept is lost. */
enum {
    HP_KEEPS_CALLERS = 1u << 0,
    HP_KEEPS_STACKS = 1u << 1,
    HP_KEEPS_CALLS = 1u << 2,
    HP_KEEPS_APART = 1u << 3, /* exact and estimated time of one function */
    HP_KEEPS_ERRORS = 1u << 4,
    HP_KEEPS_LINES = 1u << 5,
    HP_KEEPS_STATES = 1u << 6,
    HP_KEEPS_THREADS = 1u << 7,
    HP_KEEPS_TIMELINE = 1u << 8,
    HP_KEEPS_ALL = (1u << 9) - 1,
};
/* By bit. */
#define HP_KEEPS_NAMES                                                                                                                     \
    {"callers", "stacks", "calls", "exact and estimated apart", "errors", "lines", "what threads were doing", "threads", "timeline"}

typedef struct hp_format {
    const char *name;            /* as `-f` takes it */
    const char *const *suffixes; /* NULL-terminated: ".pstats", ".prof" */
    const char *prefix;          /* file name prefix that also selects it ("callgrind.out"), or NULL */
    const char *readers;         /* for which programs it is written, as users read it */
    unsigned keeps;              /* HP_KEEPS_... */
    const char *remark;          /* what there is to say besides, a sentence without its point, or NULL */
    bool is_text;                /* a terminal can show it */
    /* Writes the whole profile. Must not need Python. NULL: cannot be written. */
    hp_status (*write)(hp_sink *sink, const hp_profile *profile, hp_error *error);
    /* Whether these first bytes may be of this format; NULL: cannot be read. */
    bool (*recognize)(const uint8_t *bytes, size_t size);
    /* Reads untrusted bytes. Never crashes, never allocates more than a small multiple of `size` says it may; what can be saved of a
     * damaged file is saved with a warning in meta.warnings. The result is summarized and checked. */
    hp_status (*read)(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);
    /* Cheaper readers for those who want less, NULL where `read` must do: without rows and edges; only metadata and sources. */
    hp_status (*read_parts)(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);
    hp_status (*read_sources)(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);
} hp_format;

extern const hp_format *const hp_formats[]; /* NULL-terminated */

/* By name, NULL if unknown. */
const hp_format *hp_format_named(const char *name);
/* By the file's name, NULL if it tells nothing. */
const hp_format *hp_format_for_path(const char *path);

/* Writes atomically (see hp_write_atomically). */
hp_status hp_export(const hp_profile *profile, const char *path, const hp_format *format, hp_error *error);
typedef enum hp_import_depth { HP_IMPORT_ALL, HP_IMPORT_PARTS, HP_IMPORT_SOURCES } hp_import_depth;
/* Reads by content, whatever the name. Error sentences carry the path. Of less than HP_IMPORT_ALL there may be more than was asked for. */
hp_status hp_import(const char *path, hp_import_depth depth, hp_profile **out, hp_error *error);

#endif
