/* SPDX-License-Identifier: MIT */
/* The state of `hybridprof._core`, and what its files offer each other.
 *
 * Everything here is guarded by the GIL. Two rules keep that true: no lock of ours is held while the GIL may be released or Python
 * code may run, and what must not be seen half done (a start, a stop) is marked in `transition_owner`, because an allocation can run
 * the garbage collector, and that any Python code. */
#ifndef HP_MODULE_MODULE_H
#define HP_MODULE_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/code_table.h"
#include "base/status.h"
#include "tracer/tracer.h"
#include "tree/profile.h"

/* Windows of sessions that were replaced before anybody asked: what is more is lost, and counted. */
enum { HP_WINDOWS_LEFT = 16 };

typedef struct hp_session hp_session;
typedef struct hp_stream hp_stream;

/* Functions whose file begins with `prefix` are left out of profiles. Owned by the module's state. */
typedef struct hp_hidden {
    char **prefixes;
    uint32_t count;
} hp_hidden;

typedef struct hp_module_state {
    PyObject *module;  /* borrowed: the state lives inside it */
    PyObject *targets; /* {address: (code, rate)}: by address, because equal code objects compare equal and are still two targets */
    PyObject *names;   /* {ident: name} as set_thread_name was told */
    PyObject *format_error;
    PyTypeObject *profile_type;
    PyTypeObject *format_type;
    PyTypeObject *deep_function_type;

    /* One for the life of the process: slots are never reused, and code outlives sessions. */
    hp_code_table *code;
    uint32_t described;  /* slots below it have their description and module */
    hp_session *session; /* running or last */
    hp_tracer *tracer;   /* the running session's: what a deep_function looks at */
    hp_stream *stream;
    char *stream_path; /* asked for while no session ran; the next one takes it */
    double stream_interval;
    uint64_t stream_compact_above;
    bool stream_rewritten;
    bool windows_wanted;                               /* sessions that are replaced leave their last one: window.c */
    struct hp_gathered *windows_left[HP_WINDOWS_LEFT]; /* the oldest first */
    uint32_t window_left_count;
    uint64_t windows_lost;
    hp_hidden hidden;
    bool everything;
    bool exiting;                   /* the interpreter ends: nothing starts any more */
    unsigned long transition_owner; /* the thread that is starting or stopping the session, 0 if none */

    PyFrameObject *fork_frame; /* what called os.fork(), until the sampler runs again; see fork.c */
    int fork_instruction;
    bool restart_after_fork;
    PyObject *after_fork; /* NULL: none. What in Python starts its own thread again */
    pid_t pid;
} hp_module_state;

/* errors.c: the one place where a status becomes an exception. Each returns NULL. `path` (may be NULL) is what a file error is about. */
PyObject *hp_raise(hp_module_state *state, hp_status status, const hp_error *error, const char *path);
PyObject *hp_raise_status(hp_module_state *state, hp_status status);
PyObject *hp_raise_no_memory(const char *sentence);

/* text.c: the code table's strings are UTF-8 in which lone surrogates stand as they are (surrogatepass). */
PyObject *hp_text_to_unicode(const char *text);
/* A malloc'ed copy, NULL with an exception set. */
char *hp_text_from_unicode(PyObject *unicode);
/* The same for a file system path. */
char *hp_text_from_path(PyObject *path);

/* names.c. Both leave no exception behind: a name that cannot be found out is no reason to fail. */
void hp_names_describe(hp_module_state *state);
/* targets.c: those that are traced at a rate below 1, "search (1 %), ..."; "" where there are none. NULL: no memory. */
char *hp_chance_rates(hp_module_state *state);
void hp_names_threads(hp_module_state *state, hp_session *session);
/* From now on, where it is possible, the names of threads are learned as they end. */
void hp_names_watch(hp_module_state *state);
void hp_names_unwatch(const hp_module_state *state);

/* profile_meta.c: {cause: samples} of those unresolved. New reference. */
PyObject *hp_causes_dict(const uint64_t counts[HP_CAUSES]);
/* profile_type.c: takes the profile over, in failure too. */
PyObject *hp_profile_wrap(hp_module_state *state, hp_profile *profile);
extern PyType_Spec hp_profile_type_spec;
/* What formats() gives. NULL with an exception set. */
PyTypeObject *hp_format_type_new(void);
extern PyType_Spec hp_merge_type_spec; /* merge_type.c */
PyObject *hp_core_sources(PyObject *module, PyObject *path_argument);
/* diff.c */
PyObject *hp_core_diff(PyObject *module, PyObject *arguments);
PyObject *hp_core_diff_stacks(PyObject *module, PyObject *arguments);
PyObject *hp_core_diff_write(PyObject *module, PyObject *arguments);
PyObject *hp_core_formats(PyObject *module, PyObject *none);
PyObject *hp_core_format_for_path(PyObject *module, PyObject *path);
PyObject *hp_core_load(PyObject *module, PyObject *path);

/* deep_function.c */
extern PyType_Spec hp_deep_function_type_spec;

/* status.c, costs.c, control.c */
PyObject *hp_core_status(PyObject *module, PyObject *none);
PyObject *hp_core_costs(PyObject *module, PyObject *none);
bool hp_monitoring_is_there(void);

/* targets.c: what is remembered from session to session. */
extern PyMethodDef hp_target_methods[];
extern PyMethodDef hp_fork_methods[];
extern PyMethodDef hp_exit_file_methods[]; /* exit_file.c */

/* fork.c: registers with `os` and atexit; hp_fork_forget drops what a pending restart holds; hp_fork_check finds out about forks that went
 * around Python's hooks (uWSGI's). */
int hp_fork_register(PyObject *module);
void hp_fork_check(hp_module_state *state);
void hp_fork_forget(hp_module_state *state);

static inline hp_module_state *hp_module_state_of(PyObject *module) {
    return PyModule_GetState(module);
}

#endif
