/* SPDX-License-Identifier: MIT */
/* A file that goes when the process ends by exit(3), also where that runs none of Python's exit handlers: uWSGI's worker that is told to
 * end while it serves a request. After _exit or a signal the file stays. */
#include "module/module.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct exit_file {
    pid_t owner; /* a forked child's exit leaves it alone */
    char path[];
} exit_file;

/* Exit may interrupt whoever changes it, in a signal handler or another thread: who takes it out of here owns it, so no lock is needed. */
static _Atomic(exit_file *) kept;
static atomic_flag is_registered = ATOMIC_FLAG_INIT;

static void unlink_kept(void) {
    exit_file *file = atomic_exchange(&kept, NULL);
    if (file != NULL && file->owner == getpid())
        unlink(file->path);
    free(file);
}

static exit_file *new_file(const char *path) {
    size_t size = strlen(path) + 1;
    exit_file *file = malloc(sizeof *file + size);
    if (file != NULL) {
        file->owner = getpid();
        memcpy(file->path, path, size);
    }
    return file;
}

static PyObject *unlink_at_exit(PyObject *Py_UNUSED(module), PyObject *path) {
    exit_file *file = NULL;
    if (path != Py_None) {
        char *text = hp_text_from_path(path);
        file = text ? new_file(text) : NULL;
        free(text);
        if (file == NULL)
            return PyErr_Occurred() ? NULL : PyErr_NoMemory();
        if (!atomic_flag_test_and_set(&is_registered) && atexit(unlink_kept) != 0) {
            atomic_flag_clear(&is_registered);
            free(file);
            return PyErr_NoMemory();
        }
    }
    free(atomic_exchange(&kept, file));
    Py_RETURN_NONE;
}

PyMethodDef hp_exit_file_methods[] = {
    {"unlink_at_exit", unlink_at_exit, METH_O,
     "unlink_at_exit($module, path, /)\n--\n\nOne file of the process, removed when it ends by exit(3). None: none any more."},
    {NULL, NULL, 0, NULL},
};
