/* SPDX-License-Identifier: MIT */
/* Being told of a dict before it changes (CPython 3.12 on): no Python code of anybody's is replaced for it. */
#ifndef HP_FRAME_DICT_WATCH_H
#define HP_FRAME_DICT_WATCH_H

#include <Python.h>
#include <stdbool.h>

/* `value`: what the key will have, NULL if it goes. The dict still has what it had. [GIL] May be called with an exception set, which has to
 * be there afterwards; must not change the dict. */
typedef void (*hp_dict_told)(PyObject *dict, PyObject *key, PyObject *value);

/* [GIL] The main interpreter's, once per process; false where that is not possible. */
bool hp_dict_watch_open(hp_dict_told told);
void hp_dict_watch(PyObject *dict);
void hp_dict_unwatch(PyObject *dict);

#endif
