/* SPDX-License-Identifier: MIT */
/* Before 3.14: dicts, and from a TaskGroup to the task that has opened it, which is an attribute of the group and no future's callback. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "frame/description.h"
#include "frame/load.h"
#include "frame/tasks.h"

enum { WORD = sizeof(uintptr_t), GENERAL = 0 };

bool hp_keys_read(hp_reader *reader, uintptr_t at, hp_keys *keys) {
    const hp_description *d = &hp_description_here;
    uintptr_t address, head[8];
    if (!hp_reader_word(reader, at, &address) || d->keys_indices > sizeof head || !hp_reader_copy(reader, head, address, d->keys_indices))
        return false;
    uint8_t index_bytes = hp_load_byte((uintptr_t)head + d->keys_index_bytes);
    bool has_hashes = hp_load_byte((uintptr_t)head + d->keys_kind) == GENERAL;
    keys->count = hp_load_word((uintptr_t)head + d->keys_count);
    keys->step = (has_hashes ? 3 : 2) * WORD;
    keys->names = address + d->keys_indices + ((uintptr_t)1 << (index_bytes & 31)) + (has_hashes ? WORD : 0);
    keys->values = keys->names + WORD;
    return index_bytes <= 16;
}

/* The names of an instance's attributes, and where their values stand: in its dict, if somebody asked for one, else beside their names in
 * the class. 0 in `values`: beside them. */
static bool attributes(hp_reader *reader, uintptr_t instance, uintptr_t type, hp_keys *keys, uintptr_t *values) {
    const hp_description *d = &hp_description_here;
    uintptr_t dict;
    if (!hp_reader_word(reader, instance - d->dict_before, &dict))
        return false;
    if (dict != 0 && (dict & 1) == 0) {
        if (!hp_keys_read(reader, dict + d->dict_keys, keys) || !hp_reader_word(reader, dict + d->dict_values, values))
            return false;
        *values += *values == 0 ? 0 : d->values_first;
        return true;
    }
    *values = d->values_inline != 0 ? instance + d->values_inline : dict + d->values_tag;
    if (d->values_before != 0 && !hp_reader_word(reader, instance - d->values_before, values))
        return false;
    return *values != 0 && hp_keys_read(reader, type + offsetof(PyHeapTypeObject, ht_cached_keys), keys);
}

/* By the address of its name: names of attributes are interned. */
static bool attribute(hp_reader *reader, uintptr_t instance, uintptr_t type, uintptr_t name, uintptr_t *value) {
    enum { ATTRIBUTES = 64 };
    hp_keys keys;
    uintptr_t values, key;
    if (!attributes(reader, instance, type, &keys, &values))
        return false;
    for (uintptr_t i = 0; i < keys.count && i < ATTRIBUTES; i++) {
        if (!hp_reader_word(reader, keys.names + i * keys.step, &key))
            return false;
        if (key == name)
            return hp_reader_word(reader, values != 0 ? values + i * WORD : keys.values + i * keys.step, value);
    }
    return false;
}

/* Its class is TaskGroup or derived from it, and has its attributes where ours are. */
static bool is_group(hp_reader *reader, uintptr_t type) {
    uintptr_t flags, mro, classes[HP_TUPLE_ITEMS];
    if (!hp_reader_word(reader, type + offsetof(PyTypeObject, tp_flags), &flags) || (flags & Py_TPFLAGS_HEAPTYPE) == 0 ||
        (flags & HP_MANAGED_DICT) == 0 || !hp_reader_word(reader, type + offsetof(PyTypeObject, tp_mro), &mro))
        return false;
    uint32_t count = hp_tuple_items(reader, mro, classes);
    for (uint32_t i = 0; i < count; i++)
        if (classes[i] == reader->layout->group_type)
            return true;
    return false;
}

bool hp_group_task(hp_reader *reader, uintptr_t object, hp_future *task) {
    uintptr_t type, parent;
    return hp_reader_word(reader, object + offsetof(PyObject, ob_type), &type) && is_group(reader, type) &&
           attribute(reader, object, type, reader->layout->parent_name, &parent) && hp_task_read(reader, parent, task);
}
