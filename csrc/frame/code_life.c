/* SPDX-License-Identifier: MIT */
/* The last moment of a code object, and copying its names.
 *
 * Deaths are seen by wrapping PyCode_Type's deallocator, on every version. Code watchers (3.12+) exist for this, but they belong to one
 * interpreter: a subinterpreter's code would die unseen, its address be used again, and a snapshot read freed memory. The type is one
 * per process.
 *
 * A description is made while `life` is held, and a dying object waits for it in the deallocator: with a GIL per interpreter, holding
 * ours does not keep another interpreter's object alive. Strings are encoded here, without a Python call: nothing is allocated that could
 * start the collector, no cached UTF-8 is written into the object, and a raised exception stays as it is. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <stdlib.h>

#include "frame/frame.h"

/* Process-wide like the type. `receiver` guarded by: life. `base` written once, before the wrapper is in force. Lock order: life > code
 * table. */
static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;
static hp_code_table *receiver;
static destructor base;

/* One code point as UTF-8; lone surrogates as three bytes (WTF-8), NUL as its symbol because the reader wants C strings. */
static char *put_code_point(char *to, Py_UCS4 c) {
    if (c == 0)
        c = 0x2400;
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

static size_t encoded_bound(PyObject *text) {
    return text != NULL && PyUnicode_Check(text) ? (size_t)PyUnicode_GET_LENGTH(text) * 4 + 1 : 1;
}

/* Writes `text` at `*to`, moves `*to` behind it, and returns where it begins. */
static const char *encode(PyObject *text, char **to) {
    char *begin = *to, *at = begin;
    if (text != NULL && PyUnicode_Check(text)) {
        Py_ssize_t length = PyUnicode_GET_LENGTH(text);
        for (Py_ssize_t i = 0; i < length; i++)
            at = put_code_point(at, PyUnicode_READ_CHAR(text, i));
    }
    *at++ = '\0';
    *to = at;
    return begin;
}

char *hp_code_text(void *text) {
    char *begin = malloc(encoded_bound(text)), *end = begin;
    if (begin != NULL)
        (void)encode(text, &end);
    return begin;
}

/* The object is whole and cannot go away. */
static hp_status describe_whole(hp_code_table *table, uint32_t slot, PyCodeObject *code) {
    char *text = malloc(encoded_bound(code->co_qualname) + encoded_bound(code->co_name) + encoded_bound(code->co_filename)), *end = text;
    if (text == NULL)
        return HP_NO_MEMORY;
    hp_code_info info = {.kind = HP_CODE_PYTHON};
    info.qualname = encode(code->co_qualname, &end);
    info.name = encode(code->co_name, &end);
    info.file = encode(code->co_filename, &end);
    info.first_line = code->co_firstlineno < 0 ? 0 : (uint32_t)code->co_firstlineno;
    info.code_units = (uint32_t)Py_SIZE(code);
    if (code->co_linetable != NULL && PyBytes_Check(code->co_linetable)) {
        info.line_table = (const uint8_t *)PyBytes_AS_STRING(code->co_linetable);
        info.line_table_size = (size_t)PyBytes_GET_SIZE(code->co_linetable);
    }
    hp_status status = hp_code_table_describe(table, slot, &info);
    free(text);
    return status;
}

static void code_dealloc(PyObject *object) {
    pthread_mutex_lock(&life);
    if (receiver != NULL) {
        uint32_t slot = hp_code_table_died(receiver, (uintptr_t)object);
        /* Short of memory the slot stays nameless; the program must not notice. */
        if (slot != HP_NO_SLOT)
            (void)describe_whole(receiver, slot, (PyCodeObject *)object);
    }
    pthread_mutex_unlock(&life);
    base(object);
}

static void life_lock(void) {
    pthread_mutex_lock(&life);
}
static void life_unlock(void) {
    pthread_mutex_unlock(&life);
}
/* The table as well: a thread without the GIL may have been reading it, and code dies in the child before anybody asks us anything. */
static void life_renew(void) {
    pthread_mutex_init(&life, NULL);
    if (receiver != NULL)
        hp_code_table_after_fork(receiver);
}

hp_status hp_code_life_watch(hp_code_table *table, hp_error *error) {
    if (base == NULL) {
        if (pthread_atfork(life_lock, life_unlock, life_renew) != 0)
            return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to watch the life of code objects");
        base = PyCode_Type.tp_dealloc;
        PyCode_Type.tp_dealloc = code_dealloc;
    }
    life_lock();
    receiver = table;
    life_unlock();
    return HP_OK;
}

hp_status hp_code_describe(hp_code_table *table, uint32_t slot, void *code) {
    life_lock();
    /* It may have died, and described itself, since the caller looked. */
    hp_status status = hp_code_table_address(table, slot) == (uintptr_t)code ? describe_whole(table, slot, code) : HP_OK;
    life_unlock();
    return status;
}
