/* SPDX-License-Identifier: MIT */
/* The Merge type: adds profiles and files up. Files are read without the GIL and without the lock, so that two threads read while one adds.
 */
#include <pthread.h>
#include <stdlib.h>

#include "formats/format.h"
#include "module/profile_type.h"
#include "tree/merge.h"

typedef struct hp_merge_object {
    PyObject_HEAD hp_merge *merge; /* guarded by: lock, which is only waited for without the GIL */
    pthread_mutex_t lock;
} hp_merge_object;

static PyObject *merge_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, ":Merge", names))
        return NULL;
    hp_merge_object *self = PyObject_New(hp_merge_object, type);
    if (!self)
        return NULL;
    self->merge = NULL;
    pthread_mutex_init(&self->lock, NULL);
    if (hp_merge_new(&self->merge) == HP_OK)
        return (PyObject *)self;
    Py_DECREF(self);
    return hp_raise_no_memory("not enough memory to merge profiles");
}

static void merge_dealloc(PyObject *object) {
    hp_merge_object *self = (hp_merge_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    hp_merge_free(self->merge);
    pthread_mutex_destroy(&self->lock);
    PyObject_Free(object);
    Py_DECREF(type);
}

static hp_module_state *state_of(hp_merge_object *self) {
    return PyType_GetModuleState(Py_TYPE(self));
}

static hp_status add_locked(hp_merge_object *self, const hp_profile *profile, bool *added, hp_error *error) {
    pthread_mutex_lock(&self->lock);
    hp_status status = hp_merge_add(self->merge, profile, added, error);
    pthread_mutex_unlock(&self->lock);
    return status;
}

static PyObject *merge_add(hp_merge_object *self, PyObject *argument) {
    hp_module_state *state = state_of(self);
    hp_error error = {0};
    hp_status status;
    bool added = false;
    if (!Py_IS_TYPE(argument, state->profile_type))
        return PyErr_Format(PyExc_TypeError, "a Profile is added, not %.100s", Py_TYPE(argument)->tp_name);
    Py_BEGIN_ALLOW_THREADS status = add_locked(self, ((hp_profile_object *)argument)->profile, &added, &error);
    Py_END_ALLOW_THREADS return status == HP_OK ? PyBool_FromLong(added) : hp_raise(state, status, &error, NULL);
}

/* What reading made of the file, and what merging did. */
typedef struct add_result {
    hp_status read, added;
    bool strict;
    char note[HP_ERROR_TEXT]; /* what was left out of a file that was cut short */
} add_result;

/* What was damaged cannot be trusted; what was cut short, as every file of a killed program is, holds what was whole. The reader's sentence
 * is the last warning. */
static hp_status judge_ending(const hp_profile *profile, const char *path, add_result *result, hp_error *error) {
    const char *sentence = profile->meta.warning_count > 0 ? profile->meta.warnings[profile->meta.warning_count - 1] : "";
    if (profile->ending == HP_ENDING_WHOLE)
        return HP_OK;
    if (profile->ending == HP_ENDING_DAMAGED || result->strict)
        return hp_fail(error, HP_BAD_FORMAT, 0, "%s: %s", path, sentence);
    snprintf(result->note, sizeof result->note, "%s: %s", path, sentence);
    return HP_OK;
}

static void add_file(hp_merge_object *self, const char *path, add_result *result, hp_error *error) {
    hp_profile *profile = NULL;
    hp_error inner = {0};
    bool added;
    result->read = hp_import(path, HP_IMPORT_PARTS, &profile, error);
    if (result->read == HP_OK)
        result->read = judge_ending(profile, path, result, error);
    if (result->read == HP_OK)
        result->added = add_locked(self, profile, &added, &inner);
    if (result->read == HP_OK && result->added != HP_OK)
        hp_fail(error, result->added, inner.system, "%s: %s", path, inner.text);
    hp_profile_free(profile);
}

static PyObject *merge_add_file(hp_merge_object *self, PyObject *arguments) {
    PyObject *path_argument;
    int strict = 0;
    if (!PyArg_ParseTuple(arguments, "O|p:add_file", &path_argument, &strict))
        return NULL;
    char *path = hp_text_from_path(path_argument);
    if (!path)
        return NULL;
    hp_error error = {0};
    add_result result = {.strict = strict != 0};
    Py_BEGIN_ALLOW_THREADS add_file(self, path, &result, &error);
    Py_END_ALLOW_THREADS PyObject *note;
    if (result.read != HP_OK)
        note = hp_raise(state_of(self), result.read, &error, path);
    else if (result.added != HP_OK)
        note = hp_raise(state_of(self), result.added, &error, NULL);
    else
        note = hp_text_to_unicode(result.note);
    free(path);
    return note;
}

static PyObject *merge_leave_out(hp_merge_object *self, PyObject *argument) {
    char *sentence = hp_text_from_unicode(argument);
    if (!sentence)
        return NULL;
    hp_status status;
    Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&self->lock);
    status = hp_merge_leave_out(self->merge, sentence);
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS free(sentence);
    return status == HP_OK ? Py_NewRef(Py_None) : hp_raise_status(state_of(self), status);
}

static PyObject *merge_finish(hp_merge_object *self, PyObject *Py_UNUSED(none)) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    hp_status status;
    Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&self->lock);
    status = hp_merge_finish(self->merge, &profile, &error);
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS return status == HP_OK ? hp_profile_wrap(state_of(self), profile) : hp_raise(state_of(self), status, &error, NULL);
}

PyObject *hp_core_sources(PyObject *module, PyObject *path_argument) {
    char *path = hp_text_from_path(path_argument);
    if (!path)
        return NULL;
    hp_profile *profile = NULL;
    hp_error error = {0};
    hp_status status;
    Py_BEGIN_ALLOW_THREADS status = hp_import(path, HP_IMPORT_SOURCES, &profile, &error);
    Py_END_ALLOW_THREADS PyObject *list =
        status == HP_OK ? hp_profile_source_list(profile) : hp_raise(hp_module_state_of(module), status, &error, path);
    hp_profile_free(profile);
    free(path);
    return list;
}

static PyMethodDef merge_methods[] = {
    {"add", (PyCFunction)merge_add, METH_O,
     "add($self, profile, /)\n--\n\nFalse where all of it is in already. ValueError where it cannot be added."},
    {"add_file", (PyCFunction)merge_add_file, METH_VARARGS,
     "add_file($self, path, strict=False, /)\n--\n\nReads and adds; the sentence about a file that was cut short, or ''."},
    {"leave_out", (PyCFunction)merge_leave_out, METH_O, "leave_out($self, sentence, /)\n--\n\nCounts a file that could not be read."},
    {"finish", (PyCFunction)merge_finish, METH_NOARGS, "finish($self, /)\n--\n\nThe Profile of all that was added; the merge may go on."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot merge_slots[] = {
    {Py_tp_new, merge_new},
    {Py_tp_dealloc, merge_dealloc},
    {Py_tp_methods, merge_methods},
    {Py_tp_doc, "Merge()\n--\n\nAdds profiles up, in any order, each once. Threads may share it."},
    {0, NULL},
};

PyType_Spec hp_merge_type_spec = {
    .name = "hybridprof._core.Merge",
    .basicsize = sizeof(hp_merge_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = merge_slots,
};
