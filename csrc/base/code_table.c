/* SPDX-License-Identifier: MIT */
/* An open-addressing index from (address, kind) to slot above slots in chunks that never move. */
#include "base/code_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/strings.h"

enum { SLOT_LIMIT = 1000000, CHUNK = 1024, CHUNKS = (SLOT_LIMIT + CHUNK - 1) / CHUNK, FIRST_INDEX = 1024 };
enum { KEY_NAMED = 16 }; /* added to the kind in the key of a slot whose "address" is that of its interned name */

typedef struct code_slot {
    uintptr_t address; /* of the living object, or of the interned name; 0 once it died */
    uint32_t key_kind;
    bool described;
    hp_code_info info;
} code_slot;

typedef struct code_entry {
    uintptr_t address;
    uint32_t key_kind; /* a PyMethodDef may lie where a code object lay: both are the key */
    uint32_t slot;     /* HP_NO_SLOT: the entry is empty */
} code_entry;

struct hp_code_table {
    pthread_mutex_t mutex; /* guards everything below; `epoch` and `count` are also read without it */
    _Atomic uint64_t epoch;
    _Atomic uint32_t count;
    code_slot *chunks[CHUNKS];
    code_entry *index; /* at most half full */
    uint32_t mask;
    uint32_t used;
    hp_arena line_tables;
    hp_strings *strings;
};

static code_slot *slot_at(const hp_code_table *table, uint32_t slot) {
    return &table->chunks[slot / CHUNK][slot % CHUNK];
}

static uint32_t slot_count(const hp_code_table *table) {
    return atomic_load_explicit(&table->count, memory_order_relaxed); /* under the mutex */
}

static uint32_t entry_home(uintptr_t address, uint32_t key_kind, uint32_t mask) {
    return (uint32_t)hp_hash_u64((uint64_t)address ^ ((uint64_t)key_kind << 56)) & mask;
}

/* The entry of the key, or the empty one where it would go. */
static code_entry *entry_of(code_entry *index, uint32_t mask, uintptr_t address, uint32_t key_kind) {
    uint32_t at = entry_home(address, key_kind, mask);
    while (index[at].slot != HP_NO_SLOT && (index[at].address != address || index[at].key_kind != key_kind))
        at = (at + 1) & mask;
    return &index[at];
}

static code_entry *empty_index(uint32_t size) {
    code_entry *index = malloc(size * sizeof *index);
    for (uint32_t i = 0; index != NULL && i < size; i++)
        index[i].slot = HP_NO_SLOT;
    return index;
}

static bool index_widen(hp_code_table *table) {
    uint32_t mask = table->mask * 2 + 1;
    code_entry *index = empty_index(mask + 1);
    if (index == NULL)
        return false;
    for (uint32_t i = 0; i <= table->mask; i++) {
        const code_entry *entry = &table->index[i];
        if (entry->slot != HP_NO_SLOT)
            *entry_of(index, mask, entry->address, entry->key_kind) = *entry;
    }
    free(table->index);
    table->index = index;
    table->mask = mask;
    return true;
}

/* Backward shift: entries behind the hole move up unless they would leave their home, so no tombstones slow later searches. */
static void index_remove(hp_code_table *table, code_entry *entry) {
    uint32_t hole = (uint32_t)(entry - table->index);
    for (uint32_t at = (hole + 1) & table->mask; table->index[at].slot != HP_NO_SLOT; at = (at + 1) & table->mask) {
        uint32_t home = entry_home(table->index[at].address, table->index[at].key_kind, table->mask);
        if (((at - home) & table->mask) >= ((at - hole) & table->mask)) {
            table->index[hole] = table->index[at];
            hole = at;
        }
    }
    table->index[hole].slot = HP_NO_SLOT;
    table->used--;
}

/* A new slot for a key that has none. HP_FULL or HP_NO_MEMORY leave `*out` alone.
 * The slot is whole before `count` covers it (release), for hp_code_table_after_fork. */
static hp_status slot_add(hp_code_table *table, uintptr_t address, uint32_t key_kind, hp_code_kind kind, uint32_t *out) {
    uint32_t slot = slot_count(table);
    if (slot == SLOT_LIMIT)
        return HP_FULL;
    if (table->used >= table->mask / 2 && !index_widen(table))
        return HP_NO_MEMORY;
    code_slot **chunk = &table->chunks[slot / CHUNK];
    if (*chunk == NULL && (*chunk = calloc(CHUNK, sizeof **chunk)) == NULL)
        return HP_NO_MEMORY;
    *slot_at(table, slot) = (code_slot){.address = address, .key_kind = key_kind, .info.kind = kind};
    atomic_store_explicit(&table->count, slot + 1, memory_order_release);
    *entry_of(table->index, table->mask, address, key_kind) = (code_entry){address, key_kind, slot};
    table->used++;
    *out = slot;
    return HP_OK;
}

static hp_status slot_get(hp_code_table *table, uintptr_t address, uint32_t key_kind, hp_code_kind kind, uint32_t *out) {
    uint32_t known = entry_of(table->index, table->mask, address, key_kind)->slot;
    if (known == HP_NO_SLOT)
        return slot_add(table, address, key_kind, kind, out);
    *out = known;
    return HP_OK;
}

hp_status hp_code_table_new(hp_code_table **out) {
    hp_status status = HP_NO_MEMORY;
    hp_code_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return HP_NO_MEMORY;
    pthread_mutex_init(&table->mutex, NULL);
    table->strings = hp_strings_new();
    table->index = empty_index(FIRST_INDEX);
    table->mask = FIRST_INDEX - 1;
    if (table->strings == NULL || table->index == NULL)
        goto done;
    if (hp_code_table_named(table, HP_CODE_SYNTHETIC, "<overflow>") != 0)
        goto done;
    *out = table;
    table = NULL;
    status = HP_OK;
done:
    hp_code_table_free(table);
    return status;
}

void hp_code_table_free(hp_code_table *table) {
    if (table == NULL)
        return;
    for (uint32_t i = 0; i < CHUNKS; i++)
        free(table->chunks[i]);
    free(table->index);
    hp_arena_fini(&table->line_tables);
    hp_strings_free(table->strings);
    pthread_mutex_destroy(&table->mutex);
    free(table);
}

/* acquire: a walk that begins after this load must not have its reads moved before it. */
uint64_t hp_code_table_epoch(const hp_code_table *table) {
    return atomic_load_explicit(&table->epoch, memory_order_acquire);
}

hp_status hp_code_table_slots(hp_code_table *table, uint64_t epoch, const uintptr_t *addresses, size_t count, uint32_t *slots) {
    hp_status status = HP_OK;
    /* The caller's reads of frames must be over before the epoch is looked at again; taking the mutex is only an acquire. */
    atomic_thread_fence(memory_order_acquire);
    pthread_mutex_lock(&table->mutex);
    if (atomic_load_explicit(&table->epoch, memory_order_relaxed) != epoch) {
        status = HP_AGAIN;
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        slots[i] = 0;
        hp_status one = slot_get(table, addresses[i], HP_CODE_PYTHON, HP_CODE_PYTHON, &slots[i]);
        status = one == HP_OK ? status : one;
    }
done:
    pthread_mutex_unlock(&table->mutex);
    return status;
}

uint32_t hp_code_table_slot(hp_code_table *table, uintptr_t address, hp_code_kind kind) {
    uint32_t slot = HP_NO_SLOT;
    pthread_mutex_lock(&table->mutex);
    if (slot_get(table, address, kind, kind, &slot) == HP_FULL)
        slot = 0;
    pthread_mutex_unlock(&table->mutex);
    return slot;
}

uint32_t hp_code_table_named(hp_code_table *table, hp_code_kind kind, const char *name) {
    uint32_t slot = HP_NO_SLOT;
    pthread_mutex_lock(&table->mutex);
    const char *interned = hp_strings_intern(table->strings, name);
    if (interned == NULL)
        goto done;
    if (slot_get(table, (uintptr_t)interned, (uint32_t)kind + KEY_NAMED, kind, &slot) == HP_FULL)
        slot = 0;
    if (slot == HP_NO_SLOT || slot_at(table, slot)->described)
        goto done;
    slot_at(table, slot)->info.name = interned;
    slot_at(table, slot)->info.qualname = interned;
    slot_at(table, slot)->described = true;
done:
    pthread_mutex_unlock(&table->mutex);
    return slot;
}

static bool keep_text(hp_code_table *table, const char **field, const char *text) {
    if (*field == NULL && text != NULL)
        *field = hp_strings_intern(table->strings, text);
    return text == NULL || *field != NULL;
}

static bool keep_line_table(hp_code_table *table, hp_code_info *own, const hp_code_info *said) {
    if (own->line_table != NULL || said->line_table == NULL)
        return true;
    own->line_table = hp_arena_copy(&table->line_tables, said->line_table, said->line_table_size);
    if (own->line_table == NULL)
        return false;
    own->line_table_size = said->line_table_size;
    return true;
}

hp_status hp_code_table_describe(hp_code_table *table, uint32_t slot, const hp_code_info *info) {
    hp_status status = HP_BAD_VALUE;
    pthread_mutex_lock(&table->mutex);
    if (slot >= slot_count(table))
        goto done;
    code_slot *own = slot_at(table, slot);
    bool kept = keep_text(table, &own->info.module, info->module);
    kept = keep_text(table, &own->info.qualname, info->qualname) && kept;
    kept = keep_text(table, &own->info.name, info->name) && kept;
    kept = keep_text(table, &own->info.file, info->file) && kept;
    kept = keep_line_table(table, &own->info, info) && kept;
    if (own->info.first_line == 0)
        own->info.first_line = info->first_line;
    if (own->info.code_units == 0)
        own->info.code_units = info->code_units;
    own->described = true;
    status = kept ? HP_OK : HP_NO_MEMORY;
done:
    pthread_mutex_unlock(&table->mutex);
    return status;
}

bool hp_code_table_info(hp_code_table *table, uint32_t slot, hp_code_info *info) {
    pthread_mutex_lock(&table->mutex);
    bool known = slot < slot_count(table) && slot_at(table, slot)->described;
    if (known)
        *info = slot_at(table, slot)->info;
    pthread_mutex_unlock(&table->mutex);
    return known;
}

uintptr_t hp_code_table_address(hp_code_table *table, uint32_t slot) {
    pthread_mutex_lock(&table->mutex);
    uintptr_t address = 0;
    if (slot < slot_count(table) && slot_at(table, slot)->key_kind < KEY_NAMED)
        address = slot_at(table, slot)->address;
    pthread_mutex_unlock(&table->mutex);
    return address;
}

/* acquire: the slots below the count are whole. */
uint32_t hp_code_table_count(hp_code_table *table) {
    return atomic_load_explicit(&table->count, memory_order_acquire);
}

uint32_t hp_code_table_died(hp_code_table *table, uintptr_t address) {
    pthread_mutex_lock(&table->mutex);
    /* Raised even if nobody saw the address: a walk may hold it that has not asked for its slot yet.
     * release: who sees the new epoch sees that the address is on its way out. */
    atomic_fetch_add_explicit(&table->epoch, 1, memory_order_release);
    code_entry *entry = entry_of(table->index, table->mask, address, HP_CODE_PYTHON);
    uint32_t slot = entry->slot;
    if (slot != HP_NO_SLOT) {
        slot_at(table, slot)->address = 0;
        index_remove(table, entry);
    }
    pthread_mutex_unlock(&table->mutex);
    return slot;
}

/* Only hp_code_table_slots runs without the GIL, so only it can have been cut in half by a fork, and it touches slots and index alone.
 * The index is made anew from the slots. A fork copies pages one by one, so a chunk may be missing below the count. */
static void rebuild(hp_code_table *table) {
    uint32_t count = atomic_load_explicit(&table->count, memory_order_acquire);
    for (uint32_t chunk = 0; chunk * CHUNK < count; chunk++) {
        if (table->chunks[chunk] == NULL)
            count = chunk * CHUNK;
    }
    atomic_store_explicit(&table->count, count, memory_order_release);
    uint32_t size = FIRST_INDEX;
    while (size < count * 2 + 2)
        size *= 2;
    code_entry *index = empty_index(size);
    if (index == NULL)
        abort();          /* a table of a few entries must be had in a fresh child; going on with a torn one would name code wrongly */
    table->index = index; /* the old one may be freed already, or be half filled: given up */
    table->mask = size - 1;
    table->used = 0;
    for (uint32_t slot = 0; slot < count; slot++) {
        const code_slot *own = slot_at(table, slot);
        if (own->address == 0)
            continue;
        *entry_of(index, table->mask, own->address, own->key_kind) = (code_entry){own->address, own->key_kind, slot};
        table->used++;
    }
}

void hp_code_table_after_fork(hp_code_table *table) {
    if (pthread_mutex_trylock(&table->mutex) == 0) {
        pthread_mutex_unlock(&table->mutex);
        return;
    }
    pthread_mutex_init(&table->mutex, NULL);
    rebuild(table);
}
