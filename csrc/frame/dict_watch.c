/* SPDX-License-Identifier: MIT */
#include "frame/dict_watch.h"

#if PY_VERSION_HEX >= 0x030C0000

/* The watcher cannot carry a pointer of ours, and an interpreter has few of them: one for the process. Guarded by: the main GIL. */
static int watcher = -1;
static hp_dict_told receiver;

static int changes(PyDict_WatchEvent event, PyObject *dict, PyObject *key, PyObject *value) {
    bool one = event == PyDict_EVENT_ADDED || event == PyDict_EVENT_MODIFIED || event == PyDict_EVENT_DELETED;
    if (one && key != NULL)
        receiver(dict, key, event == PyDict_EVENT_DELETED ? NULL : value);
    return 0;
}

bool hp_dict_watch_open(hp_dict_told told) {
    if (watcher < 0) {
        receiver = told;
        watcher = PyDict_AddWatcher(changes);
    }
    if (watcher < 0)
        PyErr_Clear(); /* the program has taken them all */
    return watcher >= 0;
}

void hp_dict_watch(PyObject *dict) {
    if (watcher >= 0 && PyDict_Watch(watcher, dict) < 0)
        PyErr_Clear();
}

void hp_dict_unwatch(PyObject *dict) {
    if (watcher >= 0 && PyDict_Unwatch(watcher, dict) < 0)
        PyErr_Clear();
}

#else

bool hp_dict_watch_open(hp_dict_told told) {
    (void)told;
    return false;
}

void hp_dict_watch(PyObject *dict) {
    (void)dict;
}

void hp_dict_unwatch(PyObject *dict) {
    (void)dict;
}

#endif
