/* SPDX-License-Identifier: MIT */
/* What samples refer to: strings, functions, locations. Private to formats/pprof.
 *
 * Invariant: string 0 is ""; the id of a location is its place + 1, those of functions at no particular line come first. A function's id in
 * the file is its place among those that occur, + 1. Owner: one export. */
#ifndef HP_PPROF_TABLES_H
#define HP_PPROF_TABLES_H

#include "base/pairs.h"
#include "base/strings.h"
#include "formats/hyprof/bytes.h"
#include "formats/pprof/gzip.h"
#include "tree/profile.h"

typedef struct hp_pprof_tables {
    const hp_profile *profile;
    const char **labels;
    hp_strings *strings;
    uint32_t *ids; /* by function: its id in the file, 0 if it does not occur */
    uint32_t function_count;
    hp_pairs lines; /* (function, line) -> place behind the function_count first locations */
    hp_bytes message;
} hp_pprof_tables;

hp_status hp_pprof_tables_init(hp_pprof_tables *tables, const hp_profile *profile);
void hp_pprof_tables_fini(hp_pprof_tables *tables);

/* The location of a function; `line` 0: not known. */
static inline uint32_t hp_pprof_location(const hp_pprof_tables *tables, uint32_t function, uint32_t line) {
    return line == 0 ? tables->ids[function] : tables->function_count + 1 + hp_pairs_get(&tables->lines, function, line);
}
/* HP_NO_STRING when memory is short. */
uint32_t hp_pprof_string(hp_pprof_tables *tables, const char *text);
/* Writes what is in `message`, as one field, and empties it. */
void hp_pprof_field(hp_pprof_tables *tables, hp_gzip *to, uint32_t field);

hp_status hp_pprof_write_locations(hp_pprof_tables *tables, hp_gzip *to);
hp_status hp_pprof_write_functions(hp_pprof_tables *tables, hp_gzip *to);
/* Last of all, as all the others add to them. */
void hp_pprof_write_strings(hp_pprof_tables *tables, hp_gzip *to);

#endif
