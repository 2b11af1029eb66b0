/* SPDX-License-Identifier: MIT */
/* The keys of a pstats file: (file, first line, name), as cProfile makes them, sorted, each with its marshal bytes.
 *
 * Functions of equal key (two lambdas on one line, two functions whose names differ only in what is escaped) share one. */
#ifndef HP_FORMATS_PSTATS_KEYS_H
#define HP_FORMATS_PSTATS_KEYS_H

#include "formats/format.h"

#define HP_PSTATS_NO_KEY UINT32_MAX
#define HP_PSTATS_ALL_THREADS "<all threads>"
#define HP_PSTATS_MARKER_FILE "~hybridprof"

typedef struct hp_pstats_keys {
    uint32_t count;
    uint32_t function_count; /* that have a row */
    uint32_t *of_function;   /* by function id; HP_PSTATS_NO_KEY where it has no row */
    uint32_t *first;         /* by key: one function that bears it */
    uint8_t *bytes;
    size_t *start; /* by key, and one more */
} hp_pstats_keys;

hp_status hp_pstats_keys_init(hp_pstats_keys *keys, const hp_profile *profile);
void hp_pstats_keys_fini(hp_pstats_keys *keys);
/* One more key's bytes, into `out` (HP_PSTATS_KEY_LIMIT + both sizes); returns how many. */
enum { HP_PSTATS_KEY_LIMIT = 20 };
size_t hp_pstats_key_encode(uint8_t *out, const char *file, uint32_t line, const char *name);
/* Whether a profile's function is the root of a thread: `<thread NAME #n>`. */
bool hp_pstats_is_thread(const hp_function *function);

#endif
