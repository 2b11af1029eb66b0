/* SPDX-License-Identifier: MIT */
/* Comparing two profiles: rows as tuples, stacks as a file. */
#include "tree/diff.h"

#include <stdlib.h>
#include <string.h>

#include "formats/collapsed/collapsed.h"
#include "module/profile_type.h"

static const char *const compares[] = {[HP_COMPARE_AUTO] = "auto", [HP_COMPARE_TIME] = "time", [HP_COMPARE_SHARE] = "share"};

typedef struct pair {
    const hp_profile *base, *new;
    hp_compare compare;
} pair;

static bool parse_pair(hp_module_state *state, PyObject *arguments, const char *format, pair *out, PyObject **path) {
    PyObject *base, *new;
    const char *name;
    if (!PyArg_ParseTuple(arguments, format, state->profile_type, &base, state->profile_type, &new, &name, path))
        return false;
    *out = (pair){((hp_profile_object *)base)->profile, ((hp_profile_object *)new)->profile, HP_COMPARE_AUTO};
    for (unsigned i = 0; i < sizeof compares / sizeof *compares; i++) {
        out->compare = (hp_compare)i;
        if (strcmp(name, compares[i]) == 0)
            return true;
    }
    PyErr_Format(PyExc_ValueError, "there is no comparison by '%.100s'; use auto, time or share", name);
    return false;
}

static PyObject *change_tuple(const hp_change *change) {
    return Py_BuildValue("(KKLddddNLd)", (unsigned long long)change->base_ns, (unsigned long long)change->new_ns,
                         (long long)(change->new_ns - change->base_ns), change->error_ns, change->relative, change->p, change->q,
                         PyBool_FromLong(change->significant), (long long)change->deviation_ns, change->deviation_error_ns);
}

static PyObject *place_or_none(uint32_t row) {
    return row == HP_NO_FUNCTION ? Py_NewRef(Py_None) : PyLong_FromUnsignedLong(row);
}

static PyObject *row_list(const hp_diff *diff) {
    PyObject *list = PyList_New(diff->row_count);
    for (uint32_t i = 0; list && i < diff->row_count; i++) {
        const hp_diff_row *row = &diff->rows[i];
        PyObject *item =
            Py_BuildValue("(NNNN)", place_or_none(row->base), place_or_none(row->new), change_tuple(&row->self), change_tuple(&row->total));
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, item);
    }
    return list;
}

PyObject *hp_core_diff(PyObject *module, PyObject *arguments) {
    hp_module_state *state = hp_module_state_of(module);
    pair p;
    if (!parse_pair(state, arguments, "O!O!s:diff", &p, NULL))
        return NULL;
    hp_diff *diff = NULL;
    hp_error error = {0};
    hp_status status;
    Py_BEGIN_ALLOW_THREADS status = hp_diff_new(p.base, p.new, p.compare, &diff, &error);
    Py_END_ALLOW_THREADS if (status != HP_OK) return hp_raise(state, status, &error, NULL);
    PyObject *result =
        Py_BuildValue("{sd sd sK sK sd sd sN sI sI sN}", "scale", diff->scale, "run_to_run", diff->run_to_run, "base_ns",
                      (unsigned long long)diff->whole_base_ns, "new_ns", (unsigned long long)diff->whole_new_ns, "common_base",
                      diff->common_base, "common_new", diff->common_new, "unrelated", PyBool_FromLong(diff->unrelated), "tested",
                      diff->tested, "changed", diff->changed, "rows", row_list(diff));
    hp_diff_free(diff);
    return result;
}

/* As with the table: scaled where shares are compared, as measured else. */
static hp_status make_stacks(const pair *p, hp_profile **both, hp_error *error) {
    hp_diff *diff = NULL;
    hp_status status = hp_diff_new(p->base, p->new, p->compare, &diff, error);
    if (status != HP_OK)
        return status;
    status = hp_diff_stacks(p->base, p->new, p->compare == HP_COMPARE_SHARE ? diff->scale : 1.0, both);
    hp_diff_free(diff);
    return status == HP_OK ? HP_OK : hp_fail(error, status, 0, "not enough memory to compare two profiles");
}

static hp_status write_both(hp_sink *sink, const void *profile, hp_error *error) {
    return hp_collapsed_write_both(sink, profile, error);
}

static hp_status check_stacks(const hp_profile *profile, hp_error *error) {
    if (profile->tree.count <= 1 && profile->row_count != 0)
        return hp_fail(error, HP_BAD_FORMAT, 0,
                       "collapsed stacks need whole stacks, and a profile that was read from a pstats file has none");
    return HP_OK;
}

static hp_status stacks_to_sink(const pair *p, hp_sink **sink, hp_error *error) {
    hp_profile *both = NULL;
    hp_status status = check_stacks(p->base, error);
    if (status == HP_OK)
        status = check_stacks(p->new, error);
    if (status == HP_OK)
        status = make_stacks(p, &both, error);
    if (status == HP_OK && hp_sink_memory(sink) != HP_OK)
        status = hp_fail(error, HP_NO_MEMORY, 0, "no memory to write collapsed stacks");
    if (status == HP_OK)
        status = write_both(*sink, both, error);
    if (status == HP_OK)
        status = hp_sink_flush(*sink, error);
    hp_profile_free(both);
    return status;
}

PyObject *hp_core_diff_stacks(PyObject *module, PyObject *arguments) {
    hp_module_state *state = hp_module_state_of(module);
    pair p;
    if (!parse_pair(state, arguments, "O!O!s:diff_stacks", &p, NULL))
        return NULL;
    hp_sink *sink = NULL;
    hp_error error = {0};
    hp_status status;
    Py_BEGIN_ALLOW_THREADS status = stacks_to_sink(&p, &sink, &error);
    Py_END_ALLOW_THREADS PyObject *result = NULL;
    if (status == HP_OK) {
        size_t size;
        const uint8_t *bytes = hp_sink_bytes(sink, &size);
        result = PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size);
    } else {
        hp_raise(state, status, &error, NULL);
    }
    hp_sink_free(sink);
    return result;
}

static hp_status write_stacks(const pair *p, const char *path, hp_error *error) {
    hp_profile *both = NULL;
    hp_status status = check_stacks(p->base, error);
    if (status == HP_OK)
        status = check_stacks(p->new, error);
    if (status == HP_OK)
        status = make_stacks(p, &both, error);
    if (status == HP_OK)
        status = hp_write_atomically(path, write_both, both, error);
    hp_profile_free(both);
    return status;
}

PyObject *hp_core_diff_write(PyObject *module, PyObject *arguments) {
    hp_module_state *state = hp_module_state_of(module);
    PyObject *path_argument;
    pair p;
    if (!parse_pair(state, arguments, "O!O!sO:diff_write", &p, &path_argument))
        return NULL;
    char *path = hp_text_from_path(path_argument);
    if (!path)
        return NULL;
    hp_error error = {0};
    hp_status status;
    Py_BEGIN_ALLOW_THREADS status = write_stacks(&p, path, &error);
    Py_END_ALLOW_THREADS PyObject *result = status == HP_OK ? Py_NewRef(Py_None) : hp_raise(state, status, &error, path);
    free(path);
    return result;
}
