/* SPDX-License-Identifier: MIT */
/* How this process's tasks look. A future, a task and two coroutines are made with known contents, and each field is the one place in its
 * object where that content stands; none, or two, and nothing is known.
 *
 * The loop is a stand-in of ours, so nothing is ever scheduled; the task is in no loop's list, and ends silently. The lines run in the
 * program's own thread: a signal handler of the program may run among them, and what it raises is the program's. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <internal/pycore_ceval.h>
#include <stdatomic.h>
#include <string.h>

#include "frame/description.h"
#include "frame/load.h"
#include "frame/tasks.h"

enum { WORD = sizeof(uintptr_t) };

static const char file_name[] = "<hybridprof tasks>"; /* hidden in profiles, like all files of such a name */
static const char definitions[] = "class Loop:\n"
                                  "    def get_debug(self): return False\n"
                                  "    def call_soon(self, *arguments, **context): return None\n"
                                  "    def call_exception_handler(self, context): pass\n"
                                  "class Pause:\n"
                                  "    def __await__(self): yield\n"
                                  "async def awaited(): await Pause()\n"
                                  "async def awaiting(other): await other\n"
                                  "def first(future): pass\n"
                                  "def second(future): pass\n"
                                  "def take_back(*of):\n"
                                  "    if forget: forget(*of)\n";
static const char lines[] = "outer.send(None)\n"
                            "name = ' '.join(['hybridprof', 'looks'])\n"
                            "loop = Loop()\n"
                            "future = Future(loop=loop)\n"
                            "future.add_done_callback(first)\n"
                            "future.add_done_callback(second)\n"
                            "task = Task(coroutine, loop=loop, name=name)\n"
                            "task._log_destroy_pending = False\n"
                            "if note: note(future, task)\n";

/* Written once with the GIL held, before `state` says so (release); the sampler reads it after an acquire. */
static hp_task_layout known;
static _Atomic int state;

hp_tasks_state hp_tasks_state_now(void) {
    return (hp_tasks_state)atomic_load_explicit(&state, memory_order_acquire);
}

const hp_task_layout *hp_task_layout_now(void) {
    return hp_tasks_state_now() == HP_TASKS_KNOWN ? &known : NULL;
}

/* --- the one place where something stands --- */

static bool find_word(PyObject *object, size_t size, PyObject *wanted, size_t *offset) {
    uint32_t found = 0;
    for (size_t at = sizeof(PyObject); wanted != NULL && at + WORD <= size; at += WORD)
        if (hp_load_word((uintptr_t)object + at) == (uintptr_t)wanted) {
            *offset = at;
            found++;
        }
    return found == 1;
}

static bool is_list_of(uintptr_t address, PyObject *callback) {
    uintptr_t head[sizeof(PyListObject) / WORD];
    if (!hp_memory_copy(head, address, sizeof head) || head[offsetof(PyObject, ob_type) / WORD] != (uintptr_t)&PyList_Type)
        return false;
    PyObject *list = (PyObject *)address; // NOLINT(performance-no-int-to-ptr)
    PyObject *pair = PyList_GET_SIZE(list) == 1 ? PyList_GET_ITEM(list, 0) : NULL;
    return pair != NULL && PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) > 0 && PyTuple_GET_ITEM(pair, 0) == callback;
}

static bool find_list(PyObject *object, size_t size, PyObject *callback, size_t *offset) {
    for (*offset = sizeof(PyObject); *offset + WORD <= size; *offset += WORD)
        if (is_list_of(hp_load_word((uintptr_t)object + *offset), callback))
            return true;
    return false;
}

/* Where on its stack a coroutine keeps what it awaits. */
static bool find_awaited(hp_task_layout *layout, PyObject *outer, PyObject *inner) {
    hp_reader reader = {.layout = layout, .left = 64};
    for (layout->await_back = 1; layout->await_back <= 3; layout->await_back++)
        if (hp_coroutine_awaits(&reader, (uintptr_t)outer) == (uintptr_t)inner)
            return true;
    return false;
}

/* --- the objects --- */

static PyObject *run(const char *text, PyObject *names) {
    PyObject *code = Py_CompileString(text, file_name, Py_file_input);
    PyObject *result = code == NULL ? NULL : PyEval_EvalCode(code, names, names);
    Py_XDECREF(code);
    return result;
}

static PyObject *item(PyObject *dict, const char *name) {
    return dict == NULL ? NULL : PyDict_GetItemString(dict, name);
}

/* Borrowed, or NULL without an exception. */
static PyObject *module_item(const char *module, const char *name) {
    PyObject *found = item(PyImport_GetModuleDict(), module);
    return found != NULL && PyModule_Check(found) ? item(PyModule_GetDict(found), name) : NULL;
}

/* The real ones: the frame that happens to run may have others. */
static PyObject *builtins(void) {
    PyObject *module = item(PyImport_GetModuleDict(), "builtins");
    return module != NULL ? module : PyEval_GetBuiltins();
}

static size_t whole_words(PyObject *type) {
    return (size_t)((PyTypeObject *)type)->tp_basicsize / WORD * WORD;
}

/* Types that only C code names; all types stand below object. False with an exception. */
static bool find_wrappers(hp_task_layout *layout) {
    static const char *const names[HP_TASK_WRAPPERS] = {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper",
                                                        "anext_awaitable"};
    PyObject *types = PyObject_CallMethod((PyObject *)&PyBaseObject_Type, "__subclasses__", NULL);
    for (Py_ssize_t i = 0; types != NULL && PyList_Check(types) && i < PyList_GET_SIZE(types); i++) {
        const PyTypeObject *type = (PyTypeObject *)PyList_GET_ITEM(types, i);
        for (size_t j = 0; j < HP_TASK_WRAPPERS && !PyType_HasFeature((PyTypeObject *)type, Py_TPFLAGS_HEAPTYPE); j++)
            if (strcmp(type->tp_name, names[j]) == 0)
                layout->wrapper_types[j] = (uintptr_t)type;
    }
    Py_XDECREF(types);
    return types != NULL;
}

static bool learn_from(PyObject *names, hp_task_layout *layout) {
    bool notes = hp_description_here.state_task != 0;
    PyObject *future = item(names, "future"), *task = item(names, "task");
    layout->parent_name = (uintptr_t)PyUnicode_InternFromString("_parent_task");
    layout->future_size = whole_words(item(names, "Future"));
    layout->task_size = whole_words(item(names, "Task"));
    return layout->parent_name != 0 && find_wrappers(layout) && layout->future_size <= layout->task_size &&
           layout->task_size <= HP_FUTURE_WORDS * WORD && find_word(task, layout->task_size, item(names, "name"), &layout->name) &&
           find_word(task, layout->task_size, item(names, "coroutine"), &layout->coroutine) &&
           find_word(future, layout->future_size, item(names, "first"), &layout->callback) &&
           find_list(future, layout->future_size, item(names, "second"), &layout->callbacks) &&
           (!notes || find_word(future, layout->future_size, task, &layout->awaited_by)) &&
           find_awaited(layout, item(names, "outer"), item(names, "inner"));
}

/* `names`: what the lines may use. Borrowed from modules that are imported; NULL where asyncio is not (yet) there. */
static PyObject *names_new(hp_task_layout *layout) {
    bool notes = hp_description_here.state_task != 0;
    PyObject *task = module_item("_asyncio", "Task"), *future = module_item("_asyncio", "Future");
    PyObject *current = module_item("_asyncio", "_current_tasks"), *partial = module_item("functools", "partial");
    PyObject *note = module_item("_asyncio", "future_add_to_awaited_by"),
             *forget = module_item("_asyncio", notes ? "future_discard_from_awaited_by" : "_unregister_task");
    PyObject *tasks = item(PyImport_GetModuleDict(), "asyncio.tasks"), *group = module_item("asyncio.taskgroups", "TaskGroup");
    if (tasks == NULL || group == NULL || !PyModule_Check(tasks) || task == NULL || future == NULL || !PyType_Check(task) ||
        !PyType_Check(future) || (notes ? note == NULL : current == NULL))
        return NULL;
    layout->task_type = (uintptr_t)Py_NewRef(task); /* these types must stay what they are as long as their addresses are compared */
    layout->future_type = (uintptr_t)Py_NewRef(future);
    layout->partial_type = (uintptr_t)Py_XNewRef(partial);
    layout->group_type = (uintptr_t)Py_XNewRef(group);
    layout->asyncio_tasks = (uintptr_t)Py_NewRef(PyModule_GetDict(tasks));
    layout->current_tasks = notes ? 0 : (uintptr_t)Py_NewRef(current);
    layout->interpreter = (uintptr_t)PyInterpreterState_Get();
    return Py_BuildValue("{sOsOsOsOsO}", "Task", task, "Future", future, "note", notes ? note : Py_None, "forget",
                         forget ? forget : Py_None, "__builtins__", builtins());
}

static bool is_ours(const PyTracebackObject *at) {
    PyCodeObject *code = at == NULL ? NULL : PyFrame_GetCode(at->tb_frame);
    bool ours = code != NULL && PyUnicode_CompareWithASCIIString(code->co_filename, file_name) == 0;
    Py_XDECREF(code);
    return ours;
}

/* Raised while a line of ours ran: by a handler of the program's, whose own frame is innermost then, or by what kills a thread from outside
 * (Ctrl-C, SystemExit), which is no Exception. What an audit hook raises because it forbids the compiling is an answer to us: it has no
 * frame of ours around it, and the program did nothing that could fail. */
static bool is_the_programs(PyObject *error, PyObject *traceback) {
    const PyTracebackObject *first = (PyTracebackObject *)traceback, *last = first;
    while (last != NULL && last->tb_next != NULL)
        last = last->tb_next;
    return !PyErr_GivenExceptionMatches(error, PyExc_Exception) || (is_ours(first) && !is_ours(last));
}

typedef enum settled {
    NOTHING_RAISED,
    TAKEN_AWAY,
    OUT_OF_ROOM, /* taken away too, and says nothing of asyncio */
    THE_PROGRAMS /* left raised */
} settled;

static settled settle_exception(void) {
    PyObject *type, *value, *traceback;
    if (!PyErr_Occurred())
        return NOTHING_RAISED;
    PyErr_Fetch(&type, &value, &traceback);
    if (is_the_programs(type, traceback)) {
        PyErr_Restore(type, value, traceback);
        return THE_PROGRAMS;
    }
    bool room = !PyErr_GivenExceptionMatches(type, PyExc_RecursionError) && !PyErr_GivenExceptionMatches(type, PyExc_MemoryError);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return room ? TAKEN_AWAY : OUT_OF_ROOM;
}

/* The lines are run in two parts, and the coroutines made, and closed, between them and from here: a signal handler that raises between the
 * making of one and its first step or its closing would have the program warned of a coroutine that was never awaited. */
static bool make(PyObject *names, const char *as, const char *function, PyObject *argument) {
    PyObject *made = PyObject_CallFunctionObjArgs(item(names, function), argument, NULL);
    bool done = made != NULL && PyDict_SetItemString(names, as, made) == 0;
    Py_XDECREF(made);
    return done;
}

static bool run_all(PyObject *names) {
    PyObject *defined = run(definitions, names), *result = NULL;
    if (defined != NULL && make(names, "inner", "awaited", NULL) && make(names, "outer", "awaiting", item(names, "inner")) &&
        make(names, "coroutine", "awaited", NULL))
        result = run(lines, names);
    Py_XDECREF(defined);
    Py_XDECREF(result);
    return result != NULL;
}

/* Before 3.14 the task stands in a WeakSet. It leaves it alive: what a handler of the program's raises in the callback of a dead one would
 * be lost. One that raises here is heard, and the task still has to leave. */
static PyObject *take_back(PyObject *names, PyObject *future, PyObject *task) {
    PyObject *function = item(names, "take_back"); /* in our file: is_the_programs */
    return hp_description_here.state_task != 0 ? PyObject_CallFunctionObjArgs(function, future, task, NULL)
                                               : PyObject_CallFunctionObjArgs(function, task, NULL);
}

/* A handler of the program's may raise at each step: the first counts. */
static void keep_first(PyObject **type, PyObject **value, PyObject **traceback) {
    if (*type == NULL)
        PyErr_Fetch(type, value, traceback);
    PyErr_Clear();
}

/* Takes back whatever of it came to be. */
static void end(PyObject *names) {
    static const char *const coroutines[] = {"outer", "inner", "coroutine"};
    PyObject *type, *value, *traceback, *result = NULL;
    PyObject *future = item(names, "future"), *task = item(names, "task");
    PyErr_Fetch(&type, &value, &traceback);
    for (int tries = 0; tries < 3 && result == NULL && future != NULL && task != NULL; tries++) {
        result = take_back(names, future, task);
        keep_first(&type, &value, &traceback);
    }
    Py_XDECREF(result);
    for (size_t i = 0; i < sizeof coroutines / sizeof *coroutines; i++) {
        PyObject *each = item(names, coroutines[i]);
        result = each == NULL ? NULL : PyObject_CallMethod(each, "close", NULL);
        Py_XDECREF(result);
        keep_first(&type, &value, &traceback);
    }
    PyDict_Clear(names); /* its functions hold it: nothing of ours waits for the collector, which could run among the program's lines */
    PyErr_Restore(type, value, traceback);
}

/* Whether the program was asked and has not come to it. Relaxed: asking twice would do no harm. */
static _Atomic bool asked;

static int learn_later(void *nothing) {
    (void)nothing;
    atomic_store_explicit(&asked, false, memory_order_relaxed);
    return hp_tasks_learn() ? 0 : -1;
}

#if PY_VERSION_HEX >= 0x030C0000
/* By whichever thread of the main interpreter runs: the main thread may wait for the one with the event loop as long as that lives. */
static bool call_later(void) {
    return _PyEval_AddPendingCall(PyInterpreterState_Main(), learn_later, NULL, 0) == 0;
}
#else
/* The main thread's alone, and a call that it did not add itself waits until it looks up for another reason. To look up in vain does no
 * harm. Release: after the call is in the list. */
static bool call_later(void) {
    if (Py_AddPendingCall(learn_later, NULL) < 0)
        return false;
    __atomic_store_n((int *)((char *)PyInterpreterState_Main() + hp_description_here.interpreter_breaker), 1, __ATOMIC_RELEASE);
    return true;
}
#endif

void hp_tasks_ask(void) {
    if (hp_tasks_state_now() != HP_TASKS_NOT_MET || atomic_exchange_explicit(&asked, true, memory_order_relaxed))
        return;
    if (!call_later())
        atomic_store_explicit(&asked, false, memory_order_relaxed); /* its list is full: later */
}

bool hp_tasks_learn(void) {
    static bool busy; /* guarded by: GIL. The lines run bytecode, so another thread may come here */
    hp_task_layout layout = {0};
    if (busy || hp_tasks_state_now() != HP_TASKS_NOT_MET || PyInterpreterState_Get() != PyInterpreterState_Main())
        return true;
    PyObject *names = names_new(&layout);
    if (names == NULL)
        return settle_exception() != THE_PROGRAMS;
    busy = true;
    bool learned = run_all(names) && learn_from(names, &layout);
    end(names);
    Py_DECREF(names);
    busy = false;
    settled error = settle_exception();
    if (error == THE_PROGRAMS || error == OUT_OF_ROOM)
        return error == OUT_OF_ROOM; /* at the next occasion */
    known = layout;
    atomic_store_explicit(&state, learned ? HP_TASKS_KNOWN : HP_TASKS_IMPOSSIBLE, memory_order_release);
    return true;
}
