/* SPDX-License-Identifier: MIT */
/* An open-addressing index from (address, kind) to slot above slots in chunks that never move. */
#include "base/code_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/order.h"
#include "base/strings.h"

enum { SLOT_LIMIT = 1000000, CHUNK = 1024, CHUNKS = (SLOT_LIMIT + CHUNK - 1) / CHUNK, FIRST_INDEX = 1024 };
enum { KEY_NAMED = 16 };    /* added to the kind in the key of a slot whose "address" is that of its interned name */
#define KEY_DEAD UINT32_MAX /* of an entry whose object died: no key is like it */

typedef struct code_slot {
    uintptr_t address; /* of the living object, or of the interned name; 0 once it died */
    uint32_t key_kind;
    uint32_t met; /* the session in which the slot was last asked for */
    bool described;
    hp_code_info info;
} code_slot;

typedef struct code_entry {
    uintptr_t address;
    uint32_t key_kind; /* a PyMethodDef may lie where a code object lay: both are the key */
    uint32_t slot;     /* HP_NO_SLOT: the entry is empty */
} code_entry;

typedef struct code_index {
    uint32_t mask;
    uint32_t used;        /* entries, those of the dead included */
    code_entry entries[]; /* open addressing, at most half full */
} code_index;

/* Fork-safe (base/order.h). The orders that matter: a slot without an address, `count`, its entry, its address: so a slot that the fork cut
 * off is never found by a key that is not its own, and has an address only where a death will find and take it. A wider index is whole
 * before its pointer replaces the old one, which is freed only then. */
struct hp_code_table {
    hp_code_epoch epoch;   /* first: see hp_code_table_epoch */
    pthread_mutex_t mutex; /* guards everything else; `epoch` and `count` are also read without it */
    _Atomic uint32_t count;
    uint32_t session;
    code_slot *chunks[CHUNKS];
    code_index *index;
    hp_strings *strings; /* and line tables, which are bytes like any others */
};

static code_slot *slot_at(const hp_code_table *table, uint32_t slot) {
    return &table->chunks[slot / CHUNK][slot % CHUNK];
}

static uint32_t slot_count(const hp_code_table *table) {
    return atomic_load_explicit(&table->count, memory_order_relaxed); /* under the mutex */
}

/* The entry of the key, or the empty one where it would go. */
static code_entry *entry_of(code_index *index, uintptr_t address, uint32_t key_kind) {
    uint32_t at = (uint32_t)hp_hash_u64((uint64_t)address ^ ((uint64_t)key_kind << 56)) & index->mask;
    while (index->entries[at].slot != HP_NO_SLOT && (index->entries[at].address != address || index->entries[at].key_kind != key_kind))
        at = (at + 1) & index->mask;
    return &index->entries[at];
}

static code_index *empty_index(uint32_t size) {
    code_index *index = malloc(sizeof *index + size * sizeof *index->entries);
    if (index == NULL)
        return NULL;
    index->mask = size - 1;
    index->used = 0;
    for (uint32_t i = 0; i < size; i++)
        index->entries[i].slot = HP_NO_SLOT;
    return index;
}

static void entry_put(code_index *index, uintptr_t address, uint32_t key_kind, uint32_t slot) {
    code_entry *entry = entry_of(index, address, key_kind);
    index->used++;
    entry->address = address;
    entry->key_kind = key_kind;
    hp_order_stores();
    entry->slot = slot;
}

static uint32_t index_living(const code_index *index) {
    uint32_t living = 0;
    for (uint32_t i = 0; i <= index->mask; i++)
        living += index->entries[i].slot != HP_NO_SLOT && index->entries[i].key_kind != KEY_DEAD;
    return living;
}

/* A new index without the dead, at most a quarter full. */
static bool index_renew(hp_code_table *table) {
    code_index *old = table->index;
    uint32_t size = FIRST_INDEX;
    while (size / 4 < index_living(old))
        size *= 2;
    code_index *index = empty_index(size);
    if (index == NULL)
        return false;
    for (uint32_t i = 0; i <= old->mask; i++) {
        const code_entry *entry = &old->entries[i];
        if (entry->slot != HP_NO_SLOT && entry->key_kind != KEY_DEAD)
            entry_put(index, entry->address, entry->key_kind, entry->slot);
    }
    hp_order_stores();
    table->index = index;
    hp_order_stores();
    free(old);
    return true;
}

/* A new slot for a key that has none. HP_FULL or HP_NO_MEMORY leave `*out` alone. */
static hp_status slot_add(hp_code_table *table, uintptr_t address, uint32_t key_kind, hp_code_kind kind, uint32_t *out) {
    uint32_t slot = slot_count(table);
    if (slot == SLOT_LIMIT)
        return HP_FULL;
    if (table->index->used >= table->index->mask / 2 && !index_renew(table))
        return HP_NO_MEMORY;
    code_slot **chunk = &table->chunks[slot / CHUNK];
    if (*chunk == NULL && (*chunk = calloc(CHUNK, sizeof **chunk)) == NULL)
        return HP_NO_MEMORY;
    code_slot *own = slot_at(table, slot);
    *own = (code_slot){.key_kind = key_kind, .info.kind = kind};
    atomic_store_explicit(&table->count, slot + 1, memory_order_release); /* who reads it without the mutex finds the slot whole */
    hp_order_stores();
    entry_put(table->index, address, key_kind, slot);
    hp_order_stores();
    own->address = address;
    *out = slot;
    return HP_OK;
}

static hp_status slot_get(hp_code_table *table, uintptr_t address, uint32_t key_kind, hp_code_kind kind, uint32_t *out) {
    uint32_t known = entry_of(table->index, address, key_kind)->slot;
    hp_status status = HP_OK;
    if (known != HP_NO_SLOT)
        *out = known;
    else
        status = slot_add(table, address, key_kind, kind, out);
    if (status == HP_OK)
        slot_at(table, *out)->met = table->session;
    return status;
}

hp_status hp_code_table_new(hp_code_table **out) {
    hp_status status = HP_NO_MEMORY;
    hp_code_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return HP_NO_MEMORY;
    pthread_mutex_init(&table->mutex, NULL);
    table->strings = hp_strings_new();
    table->index = empty_index(FIRST_INDEX);
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
    hp_strings_free(table->strings);
    pthread_mutex_destroy(&table->mutex);
    free(table);
}

/* acquire: a walk that begins after this load must not have its reads moved before it. */
hp_status hp_code_table_slots(hp_code_table *table, uint64_t epoch, const uintptr_t *addresses, size_t count, uint32_t *slots) {
    hp_status status = HP_OK;
    /* The caller's reads of frames must be over before the epoch is looked at again; taking the mutex is only an acquire. */
    atomic_thread_fence(memory_order_acquire);
    pthread_mutex_lock(&table->mutex);
    if (atomic_load_explicit(&table->epoch.value, memory_order_relaxed) != epoch) {
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

void hp_code_table_session_began(hp_code_table *table) {
    pthread_mutex_lock(&table->mutex);
    table->session++;
    pthread_mutex_unlock(&table->mutex);
}

bool hp_code_table_met(hp_code_table *table, uintptr_t address, hp_code_kind kind) {
    pthread_mutex_lock(&table->mutex);
    uint32_t slot = entry_of(table->index, address, kind)->slot;
    bool met = slot != HP_NO_SLOT && slot_at(table, slot)->met == table->session;
    pthread_mutex_unlock(&table->mutex);
    return met;
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
    uint32_t id = hp_strings_id(table->strings, (const char *)said->line_table, said->line_table_size);
    const uint8_t *copy = id == HP_NO_STRING ? NULL : (const uint8_t *)hp_strings_text(table->strings, id);
    own->line_table_size = said->line_table_size;
    hp_order_stores(); /* who finds the table finds its size */
    own->line_table = copy;
    return copy != NULL;
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

size_t hp_code_table_bytes(hp_code_table *table) {
    pthread_mutex_lock(&table->mutex);
    size_t chunks = (slot_count(table) + CHUNK - 1) / CHUNK;
    size_t bytes = sizeof *table + chunks * CHUNK * sizeof(code_slot) + hp_strings_bytes(table->strings) + sizeof *table->index +
                   ((size_t)table->index->mask + 1) * sizeof *table->index->entries;
    pthread_mutex_unlock(&table->mutex);
    return bytes;
}

bool hp_code_table_is_full(hp_code_table *table) {
    return hp_code_table_count(table) == SLOT_LIMIT;
}

/* Under the mutex. */
static uint32_t address_forget(hp_code_table *table, uintptr_t address) {
    /* Raised even if nobody saw the address: a walk may hold it that has not asked for its slot yet.
     * release: who sees the new epoch sees that the address is on its way out. */
    atomic_fetch_add_explicit(&table->epoch.value, 1, memory_order_release);
    code_entry *entry = entry_of(table->index, address, HP_CODE_PYTHON);
    uint32_t slot = entry->slot;
    if (slot != HP_NO_SLOT) { /* the entry stays until the next index_renew: searches go on past it */
        slot_at(table, slot)->address = 0;
        hp_order_stores();
        entry->key_kind = KEY_DEAD;
    }
    return slot;
}

uint32_t hp_code_table_died(hp_code_table *table, uintptr_t address) {
    pthread_mutex_lock(&table->mutex);
    uint32_t slot = address_forget(table, address);
    pthread_mutex_unlock(&table->mutex);
    return slot;
}

void hp_code_table_refuse(hp_code_table *table, uint64_t epoch, uintptr_t address) {
    pthread_mutex_lock(&table->mutex);
    if (atomic_load_explicit(&table->epoch.value, memory_order_relaxed) == epoch)
        (void)address_forget(table, address);
    pthread_mutex_unlock(&table->mutex);
}

void hp_code_table_after_fork(hp_code_table *table) {
    pthread_mutex_init(&table->mutex, NULL);
}
