/* SPDX-License-Identifier: MIT */
/* Reading futures and what hangs on them, by copies. The program may be changing them: each is known by its type first. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "frame/description.h"
#include "frame/load.h"
#include "frame/tasks.h"

enum { WORD = sizeof(uintptr_t), CALLBACKS = 4 };

#define TYPE(type) ((uintptr_t)&(type))

/* The copy of a page, or NULL. When all are in use the last one is given up. */
static const char *page_of(hp_pages *pages, uintptr_t page) {
    uint32_t i = 0;
    while (i < pages->count && pages->address[i] != page)
        i++;
    if (i == pages->count) {
        i = i == HP_PAGES ? HP_PAGES - 1 : i;
        pages->count = i; /* until the copy is there */
        pages->copied++;
        if (!hp_memory_copy(pages->words[i], page, HP_PAGE_BYTES))
            return NULL;
        pages->address[i] = page;
        pages->count = i + 1;
    }
    return (const char *)pages->words[i];
}

static bool copy_by_pages(hp_pages *pages, char *to, uintptr_t from, size_t size) {
    while (size > 0) {
        size_t at = from & (HP_PAGE_BYTES - 1), part = HP_PAGE_BYTES - at < size ? HP_PAGE_BYTES - at : size;
        const char *page = page_of(pages, from - at);
        if (page == NULL)
            return false;
        memcpy(to, page + at, part);
        to += part;
        from += part;
        size -= part;
    }
    return true;
}

bool hp_reader_copy(hp_reader *reader, void *to, uintptr_t from, size_t size) {
    if (from == 0 || (from & (WORD - 1)) != 0 || reader->left == 0)
        return false;
    reader->left--;
    bool inside = from >= reader->range.low && from < reader->range.high && reader->range.high - from >= size;
    if (!inside && !(reader->trust && hp_range_find(from, size, &reader->range)))
        return reader->pages == NULL ? hp_memory_copy(to, from, size) : copy_by_pages(reader->pages, to, from, size);
    for (size_t i = 0; i < size / WORD; i++)
        ((uintptr_t *)to)[i] = hp_load_word(from + i * WORD);
    return true;
}

bool hp_reader_word(hp_reader *reader, uintptr_t from, uintptr_t *to) {
    return hp_reader_copy(reader, to, from, sizeof *to);
}

/* --- futures --- */

/* What stands beside futures most often, and need not be asked for its bases. */
static bool is_plain_type(uintptr_t type) {
    const uintptr_t plain[] = {TYPE(PyLong_Type),  TYPE(PyBool_Type),    TYPE(PyList_Type),     TYPE(PyDict_Type),      TYPE(PySet_Type),
                               TYPE(PyTuple_Type), TYPE(PyUnicode_Type), TYPE(PyFunction_Type), TYPE(PyBaseObject_Type)};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (type == plain[i])
            return true;
    return false;
}

/* `*is_task` if the class is asyncio's Task or derived from it. */
static bool is_future_type(hp_reader *reader, uintptr_t type, bool *is_task) {
    enum { DEPTH = 8 };
    for (int i = 0; i < DEPTH && type != 0 && !is_plain_type(type); i++) {
        *is_task = type == reader->layout->task_type;
        if (*is_task || type == reader->layout->future_type)
            return true;
        if (!hp_reader_word(reader, type + offsetof(PyTypeObject, tp_base), &type))
            return false;
    }
    return false;
}

bool hp_future_read(hp_reader *reader, uintptr_t address, hp_future *future) {
    uintptr_t type;
    future->address = address;
    if (!hp_reader_word(reader, address + offsetof(PyObject, ob_type), &type) || !is_future_type(reader, type, &future->is_task))
        return false;
    size_t size = future->is_task ? reader->layout->task_size : reader->layout->future_size;
    return hp_reader_copy(reader, future->words, address, size);
}

bool hp_task_read(hp_reader *reader, uintptr_t address, hp_future *task) {
    return hp_future_read(reader, address, task) && task->is_task;
}

/* --- who waits for a future: CPython 3.14 on notes it --- */

/* Of several the first in the set's order. */
static bool first_of_set(hp_reader *reader, uintptr_t set, hp_future *first) {
    uintptr_t table, mask, key;
    enum { ENTRIES = 64 };
    if (!hp_reader_word(reader, set + offsetof(PySetObject, table), &table) ||
        !hp_reader_word(reader, set + offsetof(PySetObject, mask), &mask))
        return false;
    for (uintptr_t i = 0; i <= mask && i < ENTRIES; i++) {
        if (!hp_reader_word(reader, table + i * sizeof(setentry), &key))
            return false;
        if (key != 0 && hp_future_read(reader, key, first)) /* what stands for a removed entry is no future */
            return true;
    }
    return false;
}

static bool noted_awaiting(hp_reader *reader, const hp_future *future, hp_future *next) {
    uintptr_t type, by = hp_future_word(future, reader->layout->awaited_by);
    if (by == 0 || !hp_reader_word(reader, by + offsetof(PyObject, ob_type), &type))
        return false;
    return type == TYPE(PySet_Type) ? first_of_set(reader, by, next) : hp_future_read(reader, by, next);
}

/* --- and before that its callbacks tell --- */

uint32_t hp_tuple_items(hp_reader *reader, uintptr_t tuple, uintptr_t *items) {
    uintptr_t head[sizeof(PyVarObject) / WORD];
    if (!hp_reader_copy(reader, head, tuple, sizeof head) || head[offsetof(PyObject, ob_type) / WORD] != TYPE(PyTuple_Type))
        return 0;
    uintptr_t count = head[offsetof(PyVarObject, ob_size) / WORD];
    count = count > HP_TUPLE_ITEMS ? HP_TUPLE_ITEMS : count;
    return hp_reader_copy(reader, items, tuple + offsetof(PyTupleObject, ob_item), count * WORD) ? (uint32_t)count : 0;
}

/* What the C function that resumes an awaiting task is bound to. Other functions are bound to tasks too (`other.cancel`). */
static bool bound_task(hp_reader *reader, uintptr_t function, uintptr_t *wakeup, hp_future *task) {
    static const char name[] = "task_wakeup";
    uintptr_t self, definition, text;
    char start[sizeof name];
    if (!hp_reader_word(reader, function + offsetof(PyCFunctionObject, m_ml), &definition) ||
        !hp_reader_word(reader, function + offsetof(PyCFunctionObject, m_self), &self) || !hp_task_read(reader, self, task))
        return false;
    if (definition == *wakeup)
        return true;
    if (!hp_reader_word(reader, definition + offsetof(PyMethodDef, ml_name), &text) || !hp_memory_copy(start, text, sizeof start) ||
        memcmp(start, name, sizeof name) != 0)
        return false;
    *wakeup = definition;
    return true;
}

/* From a future to the one that waits for it: a gather() in a shield() in a wait(). shield() knows what it shields, too: nobody goes back.
 */
enum { HOPS = 8 };
typedef struct path {
    uint32_t count;
    uintptr_t futures[HOPS];
} path;

static bool is_passed(const path *passed, uintptr_t future) {
    for (uint32_t i = 0; i < passed->count; i++)
        if (passed->futures[i] == future)
            return true;
    return false;
}

/* Callbacks of gather(), shield() and wait() are local functions of asyncio's; what the program hangs on a future itself says nothing of
 * who waits. */
static bool is_asyncios(hp_reader *reader, uintptr_t function) {
    uintptr_t globals;
    return hp_reader_word(reader, function + offsetof(PyFunctionObject, func_globals), &globals) &&
           globals == reader->layout->asyncio_tasks;
}

/* The first future in such a function's closure. */
static bool closure_future(hp_reader *reader, uintptr_t function, const path *passed, hp_future *next) {
    uintptr_t closure, cells[HP_TUPLE_ITEMS], content;
    if (!is_asyncios(reader, function) || !hp_reader_word(reader, function + offsetof(PyFunctionObject, func_closure), &closure))
        return false;
    uint32_t count = hp_tuple_items(reader, closure, cells);
    for (uint32_t i = 0; i < count; i++)
        if (hp_reader_word(reader, cells[i] + offsetof(PyCellObject, ob_ref), &content) && !is_passed(passed, content) &&
            hp_future_read(reader, content, next) && !next->is_task)
            return true;
    return false;
}

/* A partial's first argument: wait_for() of 3.11. */
static bool argument_future(hp_reader *reader, uintptr_t partial, hp_future *next) {
    uintptr_t words[4], items[HP_TUPLE_ITEMS]; /* object, function, arguments */
    return hp_reader_copy(reader, words, partial, sizeof words) && is_asyncios(reader, words[2]) &&
           hp_tuple_items(reader, words[3], items) > 0 && hp_future_read(reader, items[0], next);
}

static bool callback_awaiting(hp_reader *reader, uintptr_t callback, const path *passed, uintptr_t *wakeup, hp_future *next) {
    uintptr_t type, object;
    if (callback == 0 || !hp_reader_word(reader, callback + offsetof(PyObject, ob_type), &type))
        return false;
    if (type == TYPE(PyCFunction_Type))
        return bound_task(reader, callback, wakeup, next);
    if (type == TYPE(PyFunction_Type))
        return closure_future(reader, callback, passed, next);
    if (type == TYPE(PyMethod_Type))
        return hp_reader_word(reader, callback + offsetof(PyMethodObject, im_self), &object) && hp_group_task(reader, object, next);
    return type == reader->layout->partial_type && argument_future(reader, callback, next);
}

static bool told_awaiting(hp_reader *reader, const hp_future *future, const path *passed, uintptr_t *wakeup, hp_future *next) {
    uintptr_t list = hp_future_word(future, reader->layout->callbacks), items, count, item, pair[HP_TUPLE_ITEMS];
    if (callback_awaiting(reader, hp_future_word(future, reader->layout->callback), passed, wakeup, next))
        return true;
    if (list == 0 || !hp_reader_word(reader, list + offsetof(PyObject, ob_type), &item) || item != TYPE(PyList_Type) ||
        !hp_reader_word(reader, list + offsetof(PyVarObject, ob_size), &count) ||
        !hp_reader_word(reader, list + offsetof(PyListObject, ob_item), &items))
        return false;
    for (uintptr_t i = 0; i < count && i < CALLBACKS; i++)
        if (hp_reader_word(reader, items + i * WORD, &item) && hp_tuple_items(reader, item, pair) > 0 &&
            callback_awaiting(reader, pair[0], passed, wakeup, next))
            return true;
    return false;
}

bool hp_future_awaiting(hp_reader *reader, const hp_future *future, uintptr_t *wakeup, hp_future *awaiting) {
    hp_future at = *future;
    path passed = {.count = 0};
    while (passed.count < HOPS) {
        passed.futures[passed.count++] = at.address;
        bool found =
            reader->layout->awaited_by != 0 ? noted_awaiting(reader, &at, awaiting) : told_awaiting(reader, &at, &passed, wakeup, awaiting);
        if (!found || awaiting->is_task)
            return found;
        at = *awaiting;
    }
    return false;
}

/* --- the task that runs --- */

static bool on_stack(hp_reader *reader, const hp_future *task, const hp_stack *stack, uint32_t *at) {
    uintptr_t frame = hp_future_word(task, reader->layout->coroutine) + hp_description_here.generator_frame;
    for (*at = 0; *at < stack->count; ++*at)
        if (stack->frames[*at].frame == frame)
            return true;
    return false;
}

/* Which task belongs to which thread is told by the stack alone: the one whose coroutine stands there runs there. */
static bool running_in_dict(hp_reader *reader, const hp_stack *stack, hp_future *task, uint32_t *at) {
    const hp_description *d = &hp_description_here;
    enum { ENTRIES = 64 };
    hp_keys keys;
    if (!hp_keys_read(reader, reader->layout->current_tasks + d->dict_keys, &keys) || keys.count > 1u << 16)
        return false;
    for (uintptr_t i = 0, value; i < keys.count && i < ENTRIES; i++) /* the newest is last */
        if (hp_reader_word(reader, keys.values + (keys.count - 1 - i) * keys.step, &value) && value != 0 &&
            hp_task_read(reader, value, task) && on_stack(reader, task, stack, at))
            return true;
    return false;
}

bool hp_task_running(hp_reader *reader, const hp_state *state, const hp_stack *stack, hp_future *task, uint32_t *at) {
    size_t offset = hp_description_here.state_task;
    if (offset == 0)
        return running_in_dict(reader, stack, task, at);
    return hp_task_read(reader, hp_load_word(state->address + offset), task) && on_stack(reader, task, stack, at);
}
