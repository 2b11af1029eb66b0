/* SPDX-License-Identifier: MIT */
#include "tracer/hook_tool_ids.h"

/* In this order. ddtrace wants 4, without a look at who has it, and complains on stderr where it is taken; 0, 1 and 2 belong to debuggers,
 * coverage and cProfile. */
static const int tool_ids[] = {3, 5, 4};

long hp_event_number(hp_monitoring *m, const char *name) {
    PyObject *events = PyObject_GetAttrString(m->module, "events"), *value = events != NULL ? PyObject_GetAttrString(events, name) : NULL;
    long number = value != NULL ? PyLong_AsLong(value) : -1;
    Py_XDECREF(value);
    Py_XDECREF(events);
    return number;
}

int hp_monitoring_call(hp_monitoring *m, const char *method, const char *format, long first, long second) {
    PyObject *result = PyObject_CallMethod(m->module, method, format, first, second);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* New reference to what was registered before. */
static PyObject *register_at(hp_monitoring *m, int id, const char *event, PyObject *callback) {
    long number = hp_event_number(m, event);
    return number >= 0 ? PyObject_CallMethod(m->module, "register_callback", "ilO", id, number, callback) : NULL;
}

static int register_all(hp_monitoring *m, int tool) {
    for (const hp_event_callback *each = hp_event_callbacks; each->event != NULL; each++) {
        if (each->tool != tool)
            continue;
        PyObject *callback = hp_callback_new(m->callback_type, m->handle, each->function);
        PyObject *previous = callback != NULL ? register_at(m, m->ids[tool], each->event, callback) : NULL;
        Py_XDECREF(callback);
        Py_XDECREF(previous);
        if (previous == NULL)
            return -1;
    }
    return 0;
}

/* Before 3.14 callbacks stay when an id is freed: under another id as well, each call would be counted twice. What the next owner has
 * registered stays. */
static void unregister_all(hp_monitoring *m, int tool) {
    for (const hp_event_callback *each = hp_event_callbacks; m->ids[tool] >= 0 && each->event != NULL; each++) {
        if (each->tool != tool)
            continue;
        PyObject *previous = register_at(m, m->ids[tool], each->event, Py_None);
        if (previous != NULL && previous != Py_None && !Py_IS_TYPE(previous, m->callback_type))
            Py_XDECREF(register_at(m, m->ids[tool], each->event, previous));
        Py_XDECREF(previous);
        PyErr_Clear();
    }
}

/* New reference; None when the id is free. */
static PyObject *holder(hp_monitoring *m, int id) {
    return PyObject_CallMethod(m->module, "get_tool", "i", id);
}

int hp_tool_id_is_ours(hp_monitoring *m, int tool) {
    if (m->ids[tool] < 0)
        return 0;
    PyObject *name = holder(m, m->ids[tool]);
    int ours = name == NULL ? -1 : name == m->names[tool];
    Py_XDECREF(name);
    return ours;
}

int hp_tool_id_take(hp_monitoring *m, int tool) {
    for (size_t i = 0; i < sizeof tool_ids / sizeof *tool_ids; i++) {
        int id = tool_ids[i];
        PyObject *name = holder(m, id);
        bool is_free = name == Py_None;
        Py_XDECREF(name);
        if (name == NULL)
            return -1;
        if (!is_free)
            continue;
        PyObject *taken = PyObject_CallMethod(m->module, "use_tool_id", "iO", id, m->names[tool]);
        Py_XDECREF(taken);
        m->ids[tool] = id;
        return taken == NULL || register_all(m, tool) < 0 ? -1 : 1;
    }
    return 0;
}

void hp_tool_id_give_back(hp_monitoring *m, int tool) {
    bool ours = hp_tool_id_is_ours(m, tool) == 1;
    PyErr_Clear();
    if (ours) {
        unregister_all(m, tool);
        if (hp_monitoring_call(m, "set_events", "ll", m->ids[tool], 0) < 0 ||
            hp_monitoring_call(m, "free_tool_id", "l", m->ids[tool], 0) < 0)
            PyErr_Clear();
    }
    m->ids[tool] = -1;
}

/* False: none is free, and a later look tries again. */
static bool take_again(hp_monitoring *m, int tool) {
    if (hp_tool_id_take(m, tool) == 1)
        return true;
    PyErr_Clear();
    hp_tool_id_give_back(m, tool); /* it may be ours already, where an audit hook refused the rest */
    return false;
}

/* What is armed goes on without discovery, and discovery without the recorder finds nothing. */
static void take_recorder_again(hp_monitoring *m) {
    if (take_again(m, HP_RECORDER) || m->ids[HP_DISCOVERY] < 0)
        return;
    hp_tool_id_give_back(m, HP_DISCOVERY);
    (void)take_again(m, HP_RECORDER);
}

static bool is_lost(hp_monitoring *m, int tool) {
    bool lost = hp_tool_id_is_ours(m, tool) == 0;
    PyErr_Clear();
    if (lost) {
        unregister_all(m, tool);
        m->ids[tool] = -1;
    }
    return lost;
}

bool hp_tool_ids_look_after(hp_monitoring *m, bool *recorder_lost, bool *taken) {
    bool discovery_lost = is_lost(m, HP_DISCOVERY);
    *recorder_lost = is_lost(m, HP_RECORDER);
    if (*recorder_lost)
        take_recorder_again(m);
    if (m->ids[HP_DISCOVERY] < 0)
        (void)take_again(m, HP_DISCOVERY);
    *taken = (*recorder_lost && m->ids[HP_RECORDER] >= 0) || (discovery_lost && m->ids[HP_DISCOVERY] >= 0);
    return *recorder_lost || discovery_lost;
}

static bool has_events(PyObject *module, int id) {
    PyObject *events = PyObject_CallMethod(module, "get_events", "i", id);
    bool any = events != NULL && PyLong_AsLong(events) != 0;
    Py_XDECREF(events);
    PyErr_Clear();
    return any;
}

bool hp_tool_ids_others_listen(PyObject *const *ours) {
    enum { IDS = 6 };
    PyObject *module = PySys_GetObject("monitoring"); /* borrowed */
    bool any = false;
    for (int id = 0; module != NULL && id < IDS && !any; id++) {
        PyObject *name = PyObject_CallMethod(module, "get_tool", "i", id);
        bool others = name != NULL && name != Py_None && (ours == NULL || (name != ours[HP_RECORDER] && name != ours[HP_DISCOVERY]));
        any = others && has_events(module, id);
        Py_XDECREF(name);
        PyErr_Clear();
    }
    return any;
}
