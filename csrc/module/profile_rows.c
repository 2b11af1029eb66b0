/* SPDX-License-Identifier: MIT */
/* A profile's lists as Python tuples. */
#include "module/profile_type.h"

#include <stdlib.h>

static const char *measured_name(hp_measured measured) {
    return measured == HP_SAMPLED ? "sampled" : measured == HP_EXACT ? "exact" : "mixed";
}

/* No count where nothing was counted. */
static PyObject *count_or_none(hp_measured measured, uint64_t count) {
    return measured == HP_SAMPLED ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(count);
}

static PyObject *index_or_none_as_minus_one(uint32_t index) {
    return index == UINT32_MAX ? PyLong_FromLong(-1) : PyLong_FromUnsignedLong(index);
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
        PyErr_NoMemory();
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

/* Every function has its place, so that edges and nodes can say which they mean; one without a row shows zeros. */
PyObject *hp_profile_functions(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_profile *profile = self->profile;
    char *is_thread = find_thread_functions(profile);
    PyObject *list = is_thread ? PyList_New(profile->function_count) : NULL;
    uint32_t next = 0;
    for (uint32_t i = 0; list && i < profile->function_count; i++) {
        hp_row row = {.function = i};
        while (next < profile->row_count && profile->rows[next].function < i)
            next++;
        if (next < profile->row_count && profile->rows[next].function == i)
            row = profile->rows[next];
        const hp_function *function = &profile->functions[i];
        if (!put(&list, i, function_tuple(function, &row, kind_name(function->kind, is_thread[i]))))
            break;
    }
    PyMem_Free(is_thread);
    return list;
}

PyObject *hp_profile_edges(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_profile *profile = self->profile;
    PyObject *list = PyList_New(profile->edge_count);
    for (uint32_t i = 0; list && i < profile->edge_count; i++) {
        const hp_edge *edge = &profile->edges[i];
        PyObject *item = Py_BuildValue("(NINNKKs)", index_or_none_as_minus_one(edge->caller), edge->callee,
                                       count_or_none(edge->measured, edge->calls), count_or_none(edge->measured, edge->primitive_calls),
                                       (unsigned long long)(edge->self_sampled + edge->self_exact),
                                       (unsigned long long)(edge->total_sampled + edge->total_exact), measured_name(edge->measured));
        if (!put(&list, i, item))
            break;
    }
    return list;
}

/* Inclusive time of every node: children lie behind their parents, so one pass from the end adds up. */
static uint64_t *node_totals(const hp_tree *tree) {
    uint64_t *totals = PyMem_Calloc(tree->count + 1u, sizeof *totals);
    if (!totals) {
        PyErr_NoMemory();
        return NULL;
    }
    for (uint32_t i = tree->count; i-- > 0;) {
        totals[i] += tree->nodes[i].sampled + tree->nodes[i].exact;
        if (i > 0)
            totals[tree->nodes[i].parent] += totals[i];
    }
    return totals;
}

static hp_measured node_measured(const hp_node *node) {
    bool counted = node->calls > 0 || node->exact > 0 || node->overhead > 0;
    if (!counted)
        return HP_SAMPLED;
    return node->sampled > 0 || node->samples > 0 || node->flags & HP_NODE_PARTIAL ? HP_MIXED : HP_EXACT;
}

static PyObject *node_tuple(const hp_node *node, uint64_t total) {
    hp_measured measured = node_measured(node);
    return Py_BuildValue("(NNNKKKs)", index_or_none_as_minus_one(node->parent), index_or_none_as_minus_one(node->function),
                         count_or_none(measured, node->calls), (unsigned long long)(node->sampled + node->exact),
                         (unsigned long long)total, (unsigned long long)node->samples, measured_name(measured));
}

PyObject *hp_profile_nodes(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_tree *tree = &self->profile->tree;
    uint32_t count = tree->count > 1 ? tree->count : 0;
    uint64_t *totals = node_totals(tree);
    PyObject *list = totals ? PyList_New(count) : NULL;
    for (uint32_t i = 0; list && i < count; i++) {
        hp_node node = tree->nodes[i];
        if (i == 0)
            node.parent = node.function = UINT32_MAX;
        if (!put(&list, i, node_tuple(&node, totals[i])))
            break;
    }
    PyMem_Free(totals);
    return list;
}

PyObject *hp_profile_lines(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_profile *profile = self->profile;
    PyObject *list = PyList_New(profile->line_count);
    for (uint32_t i = 0; list && i < profile->line_count; i++) {
        const hp_line *line = &profile->lines[i];
        PyObject *item = Py_BuildValue("(IIKK)", line->node, line->line, (unsigned long long)line->samples, (unsigned long long)line->sampled);
        if (!put(&list, i, item))
            break;
    }
    return list;
}
