/* SPDX-License-Identifier: MIT */
/* Code objects by address, and what is known of them.
 *
 * The sampler sees only addresses and must never read a code object; the tracer sees live ones. Both key their trees on a
 * *slot*: a dense number that this table gives to one life of one code object (or C function, or name of ours). A slot is never
 * reused. An address is: when a code object dies, hp_code_table_died forgets the address first, so that the next object there
 * gets a new slot.
 *
 * Why the sampler cannot name a dead object wrongly: it reads the epoch, walks, then calls hp_code_table_slots with that epoch.
 * A death in between has raised the epoch and the walk is refused (HP_AGAIN). A death afterwards finds the address here and
 * describes the slot while the object is still whole.
 *
 * Guarded by: its own mutex, held for no longer than a lookup. Callers: sampler thread (no GIL), tracer and module (GIL). */
#ifndef HP_BASE_CODE_TABLE_H
#define HP_BASE_CODE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define HP_NO_SLOT UINT32_MAX

typedef enum hp_code_kind {
    HP_CODE_PYTHON = 0,
    HP_CODE_C,         /* a C function or method, named as cProfile names it */
    HP_CODE_BLOCK,     /* deep.block("name") */
    HP_CODE_SYNTHETIC, /* "<unresolved>", "<overflow>": ours */
} hp_code_kind;

/* What a slot means. All strings UTF-8 (lone surrogates as WTF-8), owned by the table, NULL where unknown. */
typedef struct hp_code_info {
    hp_code_kind kind;
    const char *module;        /* NULL until somebody who knows the globals, or sys.modules, says so */
    const char *qualname;      /* "Class.method" */
    const char *name;          /* co_name */
    const char *file;          /* co_filename as it is */
    uint32_t first_line;       /* 0 where there is none */
    const uint8_t *line_table; /* a copy of co_linetable, or NULL; equal ones share it, as code that is compiled again and again has */
    size_t line_table_size;
    uint32_t code_units; /* number of instruction units, to judge offsets */
} hp_code_info;

typedef struct hp_code_table hp_code_table;

hp_status hp_code_table_new(hp_code_table **out);
void hp_code_table_free(hp_code_table *table);

/* What a table begins with, so that events can read it without a call. */
typedef struct hp_code_epoch {
    _Atomic uint64_t value;
} hp_code_epoch;

/* Raised by one at each death (acquire load). */
static inline uint64_t hp_code_table_epoch(const hp_code_table *table) {
    return atomic_load_explicit(&((const hp_code_epoch *)table)->value, memory_order_acquire);
}

/* Slots for `count` addresses, new ones where needed. HP_AGAIN (and no slot given) if the epoch is not `epoch` any more;
 * HP_FULL when the bound on slots is reached (then the missing ones are the `<overflow>` slot, which is slot 0). */
hp_status hp_code_table_slots(hp_code_table *table, uint64_t epoch, const uintptr_t *addresses, size_t count, uint32_t *slots);

/* The slot of one address, given by a caller who holds the GIL and a living object; HP_NO_SLOT when memory is short. */
uint32_t hp_code_table_slot(hp_code_table *table, uintptr_t address, hp_code_kind kind);
/* From here on "met" means met in this session. The table itself outlives sessions. */
void hp_code_table_session_began(hp_code_table *table);
/* Whether the address's slot was asked for in this session: false means that no walk and no event of it met the object. */
bool hp_code_table_met(hp_code_table *table, uintptr_t address, hp_code_kind kind);
/* A slot that has a name and no address. The same name gives the same slot. */
uint32_t hp_code_table_named(hp_code_table *table, hp_code_kind kind, const char *name);

/* Copies `info` into the slot. The first description of each field wins; a module name may come later. */
hp_status hp_code_table_describe(hp_code_table *table, uint32_t slot, const hp_code_info *info);
/* False for a slot that nobody described yet. `*info` points into the table: valid until the table is freed. */
bool hp_code_table_info(hp_code_table *table, uint32_t slot, hp_code_info *info);

/* The address the slot stands for, or 0 if it died or never had one. With the GIL held the object there is alive. */
uintptr_t hp_code_table_address(hp_code_table *table, uint32_t slot);
/* Slots exist from 0 to count-1. */
uint32_t hp_code_table_count(hp_code_table *table);
/* What the table holds of the heap, in bytes: it only grows, with the lives of code objects that were met. */
size_t hp_code_table_bytes(hp_code_table *table);
/* Whether the bound on slots has been reached: what is met for the first time from then on is `<overflow>`. */
bool hp_code_table_is_full(hp_code_table *table);

/* A code object is about to be freed (GIL held): the epoch is raised and the address forgotten. Returns its slot, or HP_NO_SLOT
 * if nobody ever saw it, so that the caller describes the slot while it still can. */
uint32_t hp_code_table_died(hp_code_table *table, uintptr_t address);

/* What lies at an address that a walk found is no code object: forgotten as if it had died, unless something did die since `epoch`; then
 * another object, with a slot of its own, may live there by now. */
void hp_code_table_refuse(hp_code_table *table, uint64_t epoch, uintptr_t address);

/* In a forked child only, where the mutex may have been held by a thread that does not exist any more: at any point of any function
 * above. All that was given before the fork is there; a slot being given as the fork came may have been given in vain. */
void hp_code_table_after_fork(hp_code_table *table);

#endif
