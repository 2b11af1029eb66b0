/* SPDX-License-Identifier: MIT */
/* The Firefox Profiler's file while it is written: its parts are in meta.c, shared.c and threads.c, and gecko.c puts them together. */
#ifndef HP_FORMATS_GECKO_WRITER_H
#define HP_FORMATS_GECKO_WRITER_H

#include <string.h>

#include "base/strings.h"
#include "formats/gecko/tables.h"
#include "formats/json.h"
#include "tree/profile.h"

typedef struct hp_gecko_writer {
    hp_json json;
    const hp_profile *profile;
    hp_gecko_tables tables;
    const char **labels;
    uint32_t *places;    /* by function: its place among those written */
    uint32_t *functions; /* those written */
    uint32_t function_count;
    hp_strings *files, *packages;  /* ids are places */
    const hp_gecko_thread *thread; /* in hand */
    uint64_t elapsed;              /* ns of its samples so far */
} hp_gecko_writer;

/* How much of the module's name is its top-level package: "shop" of "shop.cart". */
static inline size_t hp_gecko_package(const hp_function *function) {
    return strcspn(function->module, ".");
}

/* Members of an object: JSON as it is, a string, a number. */
void hp_gecko_word(hp_gecko_writer *w, const char *key, const char *json);
void hp_gecko_text(hp_gecko_writer *w, const char *key, const char *text);
void hp_gecko_number(hp_gecko_writer *w, const char *key, uint64_t value);

/* A table is an object of a length and columns, and a column a list that is filled by one function, called for each i. */
typedef void hp_gecko_column(hp_gecko_writer *w, uint32_t i);
void hp_gecko_begin_table(hp_gecko_writer *w, const char *key, uint32_t length);
void hp_gecko_put_column(hp_gecko_writer *w, const char *key, uint32_t length, hp_gecko_column *put);

/* Among those written: the one whose id is the process', as the system has it. Else the first. */
uint32_t hp_gecko_main_thread(const hp_gecko_writer *w);

void hp_gecko_put_meta(hp_gecko_writer *w);
void hp_gecko_put_libraries(hp_gecko_writer *w);
void hp_gecko_put_shared(hp_gecko_writer *w);
void hp_gecko_put_threads(hp_gecko_writer *w);

#endif
