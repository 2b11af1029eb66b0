/* SPDX-License-Identifier: MIT */
/* What the files of the Profile type share: profile_type.c (the type, files), profile_rows.c (lists), profile_meta.c (dicts). */
#ifndef HP_MODULE_PROFILE_TYPE_H
#define HP_MODULE_PROFILE_TYPE_H

#include "module/module.h"

/* The profile is finished and never changes, so any thread may read it with or without the GIL. */
typedef struct hp_profile_object {
    PyObject_HEAD hp_profile *profile; /* owned, never NULL */
} hp_profile_object;

PyObject *hp_profile_functions(hp_profile_object *self, PyObject *none);
PyObject *hp_profile_edges(hp_profile_object *self, PyObject *none);
PyObject *hp_profile_nodes(hp_profile_object *self, PyObject *none);
PyObject *hp_profile_lines(hp_profile_object *self, PyObject *none);
PyObject *hp_profile_errors(hp_profile_object *self, PyObject *none);
PyObject *hp_profile_threads(hp_profile_object *self, PyObject *none);
PyObject *hp_profile_meta(hp_profile_object *self, PyObject *none);
PyObject *hp_profile_source_list(const hp_profile *profile);

#endif
