/* SPDX-License-Identifier: MIT */
/* A profile's lists as Python tuples. */
#include "module/profile_type.h"

#include <string.h>

#include "tree/part_errors.h"
#include "tree/summary.h"

static const char *measured_name(hp_measured measured) {
    return measured == HP_SAMPLED ? "sampled" : measured == HP_EXACT ? "exact" : "mixed";
}

/* No count where nothing was counted. */
static PyObject *count_or_none(hp_measured measured, uint64_t count) {
    return measured == HP_SAMPLED ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(count);
}

static PyObject *place_or_minus_one(uint32_t place) {
    return place == UINT32_MAX ? PyLong_FromLong(-1) : PyLong_FromUnsignedLong(place);
}

/* Where each function stands in functions(): those that occur, in order; UINT32_MAX for the others, such as the `<overflow>` that every
 * profile knows and hardly any has. NULL with MemoryError set. */
static uint32_t *place_functions(const hp_profile *profile) {
    uint32_t *places = PyMem_Malloc((profile->function_count + 1u) * sizeof *places);
    if (!places) {
        hp_raise_no_memory("not enough memory to list a profile of this size");
        return NULL;
    }
    memset(places, 0xff, (profile->function_count + 1u) * sizeof *places);
    for (uint32_t i = 0; i < profile->row_count; i++)
        places[profile->rows[i].function] = i; /* rows are sorted by function, one for each that occurs */
    return places;
}

/* Puts `item` (stolen, may be NULL) at `index` of `*list`; gives the list up on failure. */
static bool put(PyObject **list, Py_ssize_t index, PyObject *item) {
    if (!item) {
        Py_CLEAR(*list);
        return false;
    }
    PyList_SET_ITEM(*list, index, item);
    return true;
}

/* Which functions are roots of threads: one byte each, NULL with MemoryError set. */
static char *find_thread_functions(const hp_profile *profile) {
    char *is_thread = PyMem_Calloc(profile->function_count + 1u, 1);
    if (!is_thread) {
        hp_raise_no_memory("not enough memory to list a profile of this size");
        return NULL;
    }
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        uint32_t root = profile->threads[i].root;
        if (root < profile->tree.count && profile->tree.nodes[root].function < profile->function_count)
            is_thread[profile->tree.nodes[root].function] = 1;
    }
    return is_thread;
}

static const char *kind_name(hp_code_kind kind, bool is_thread) {
    static const char *const names[] = {"python", "c", "block", "synthetic"};
    return is_thread ? "thread" : names[kind];
}

static PyObject *function_tuple(const hp_function *function, const hp_row *row, const char *kind) {
    return Py_BuildValue("(NNNNINNKKKKsKs)", hp_text_to_unicode(function->qualname), hp_text_to_unicode(function->module),
                         hp_text_to_unicode(function->name), hp_text_to_unicode(function->file), function->first_line,
                         count_or_none(row->measured, row->calls), count_or_none(row->measured, row->primitive_calls),
                         (unsigned long long)(row->self_sampled + row->self_exact),
                         (unsigned long long)(row->total_sampled + row->total_exact), (unsigned long long)row->self_error_ns,
                         (unsigned long long)row->total_error_ns, measured_name(row->measured), (unsigned long long)row->samples, kind);
}

PyObject *hp_profile_functions(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_profile *profile = self->profile;
    char *is_thread = find_thread_functions(profile);
    PyObject *list = is_thread ? PyList_New(profile->row_count) : NULL;
    for (uint32_t i = 0; list && i < profile->row_count; i++) {
        const hp_row *row = &profile->rows[i];
        const hp_function *function = &profile->functions[row->function];
        if (!put(&list, i, function_tuple(function, row, kind_name(function->kind, is_thread[row->function]))))
            break;
    }
    PyMem_Free(is_thread);
    return list;
}

static PyObject *edge_tuple(const hp_edge *edge, const uint32_t *places) {
    uint32_t caller = edge->caller == HP_NO_FUNCTION ? UINT32_MAX : places[edge->caller];
    return Py_BuildValue("(NNNNKKs)", place_or_minus_one(caller), place_or_minus_one(places[edge->callee]),
                         count_or_none(edge->measured, edge->calls), count_or_none(edge->measured, edge->primitive_calls),
                         (unsigned long long)(edge->self_sampled + edge->self_exact),
                         (unsigned long long)(edge->total_sampled + edge->total_exact), measured_name(edge->measured));
}

PyObject *hp_profile_edges(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_profile *profile = self->profile;
    uint32_t *places = place_functions(profile);
    PyObject *list = places ? PyList_New(profile->edge_count) : NULL;
    for (uint32_t i = 0; list && i < profile->edge_count; i++)
        if (!put(&list, i, edge_tuple(&profile->edges[i], places)))
            break;
    PyMem_Free(places);
    return list;
}

/* Inclusive time of every node: children lie behind their parents, so one pass from the end adds up. */
static uint64_t *node_totals(const hp_tree *tree) {
    uint64_t *totals = PyMem_Calloc(tree->count + 1u, sizeof *totals);
    if (!totals) {
        hp_raise_no_memory("not enough memory to list a profile of this size");
        return NULL;
    }
    for (uint32_t i = tree->count; i-- > 0;) {
        totals[i] += tree->nodes[i].sampled + tree->nodes[i].exact;
        if (i > 0)
            totals[tree->nodes[i].parent] += totals[i];
    }
    return totals;
}

static PyObject *node_tuple(const hp_node *node, uint64_t total, const uint32_t *places) {
    hp_measured measured = hp_seen_measured(hp_node_seen(node));
    uint32_t function = node->function == HP_NO_FUNCTION ? UINT32_MAX : places[node->function];
    return Py_BuildValue("(NNNKKKs)", place_or_minus_one(node->parent), place_or_minus_one(function), count_or_none(measured, node->calls),
                         (unsigned long long)(node->sampled + node->exact), (unsigned long long)total, (unsigned long long)node->samples,
                         measured_name(measured));
}

PyObject *hp_profile_nodes(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_tree *tree = &self->profile->tree;
    uint32_t count = tree->count > 1 ? tree->count : 0;
    uint64_t *totals = node_totals(tree);
    uint32_t *places = totals ? place_functions(self->profile) : NULL;
    PyObject *list = places ? PyList_New(count) : NULL;
    for (uint32_t i = 0; list && i < count; i++)
        if (!put(&list, i, node_tuple(&tree->nodes[i], totals[i], places)))
            break;
    PyMem_Free(totals);
    PyMem_Free(places);
    return list;
}

PyObject *hp_profile_lines(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    static const char *const states[HP_STATES] = HP_STATE_NAMES;
    const hp_profile *profile = self->profile;
    PyObject *list = PyList_New(profile->line_count);
    for (uint32_t i = 0; list && i < profile->line_count; i++) {
        const hp_line *line = &profile->lines[i];
        PyObject *item = Py_BuildValue("(IIKKs)", line->node, line->line, (unsigned long long)line->samples,
                                       (unsigned long long)line->sampled, states[line->state]);
        if (!put(&list, i, item))
            break;
    }
    return list;
}

/* --- errors ------------------------------------------------------------------------------------------------------------------------------
 */

static PyObject *error_list(const hp_part_error *errors, uint32_t count) {
    PyObject *list = PyList_New(count);
    for (uint32_t i = 0; list && i < count; i++)
        if (!put(&list, i, Py_BuildValue("(KK)", (unsigned long long)errors[i].self_ns, (unsigned long long)errors[i].total_ns)))
            break;
    return list;
}

static PyObject *thread_error_list(const hp_part_errors *errors, const uint32_t *places) {
    PyObject *list = PyList_New(errors->thread_count);
    for (uint32_t i = 0; list && i < errors->thread_count; i++) {
        const hp_thread_error *at = &errors->threads[i];
        if (!put(&list, i,
                 Py_BuildValue("(INKK)", at->root, place_or_minus_one(places[at->function]), (unsigned long long)at->error.self_ns,
                               (unsigned long long)at->error.total_ns)))
            break;
    }
    return list;
}

static PyObject *state_error_list(const hp_part_errors *errors) {
    static const char *const states[HP_STATES] = HP_STATE_NAMES;
    PyObject *list = PyList_New(errors->state_count);
    for (uint32_t i = 0; list && i < errors->state_count; i++) {
        const hp_state_error *at = &errors->states[i];
        if (!put(&list, i, Py_BuildValue("(IsK)", at->node, states[at->state], (unsigned long long)at->self_ns)))
            break;
    }
    return list;
}

PyObject *hp_profile_errors(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_profile *profile = self->profile;
    hp_part_errors errors;
    hp_status status;
    Py_BEGIN_ALLOW_THREADS status = hp_part_errors_init(&errors, profile);
    Py_END_ALLOW_THREADS uint32_t *places = status == HP_OK ? place_functions(profile) : NULL;
    PyObject *found = NULL;
    if (places)
        found = Py_BuildValue("{sN sN sN sN}", "nodes", error_list(errors.nodes, profile->tree.count > 1 ? profile->tree.count : 0),
                              "edges", error_list(errors.edges, profile->edge_count), "threads", thread_error_list(&errors, places),
                              "states", state_error_list(&errors));
    else if (status != HP_OK)
        hp_raise_no_memory("not enough memory for the errors of a profile of this size");
    PyMem_Free(places);
    hp_part_errors_fini(&errors);
    return found;
}
