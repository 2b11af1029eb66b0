/* SPDX-License-Identifier: MIT */
/* The two tool ids of the monitoring hook: taken, looked after, given back. Another tool may free any id at any time, and take it. */
#ifndef HP_TRACER_HOOK_TOOL_IDS_H
#define HP_TRACER_HOOK_TOOL_IDS_H

#include "tracer/hook_handle.h"

enum { HP_RECORDER = 0, HP_DISCOVERY = 1 };

typedef struct hp_monitoring {
    PyObject *module; /* sys.monitoring */
    PyObject *disable;
    PyObject *names[2]; /* as given to use_tool_id: a tool id is ours while it has this very object */
    int ids[2];         /* recorder's, discovery's; -1: none */
    PyObject *set_local_events;
    PyObject *recorder_id; /* ids[0] and the set of events, as Python numbers */
    PyObject *local_events;
    long local_set, global_set; /* of the recorder, while anything is armed */
    bool global_on;
    hp_handle *handle;
    PyTypeObject *callback_type;
} hp_monitoring;

/* Which function of the hook is called at which event of which tool; ends with an event of NULL. */
typedef struct hp_event_callback {
    const char *event;
    int tool;
    vectorcallfunc function;
} hp_event_callback;
extern const hp_event_callback hp_event_callbacks[];

/* -1 with an exception. */
long hp_event_number(hp_monitoring *m, const char *name);
/* Calls sys.monitoring.METHOD(first, second). -1 with an exception. */
int hp_monitoring_call(hp_monitoring *m, const char *method, const char *format, long first, long second);

/* Takes a free id and registers the tool's callbacks. 1: taken, 0: none is free, -1: an exception is set. */
int hp_tool_id_take(hp_monitoring *m, int tool);
/* 1: it is, 0: it is not, -1: an exception is set. */
int hp_tool_id_is_ours(hp_monitoring *m, int tool);
/* Where it is ours; afterwards there is none. Leaves no exception. */
void hp_tool_id_give_back(hp_monitoring *m, int tool);
/* Looks whether both are ours, and takes others for those that are not. False: they were both ours. Leaves no exception. `*recorder_lost`:
 * what is armed has to get its events anew, if there is an id again. `*taken`: one of those that were lost is there again, only now. */
bool hp_tool_ids_look_after(hp_monitoring *m, bool *recorder_lost, bool *taken);
/* Whether a tool other than those of these names (two of them, or NULL: none is ours) has global events. Leaves no exception. */
bool hp_tool_ids_others_listen(PyObject *const *ours);

#endif
