/* SPDX-License-Identifier: MIT */
/* A callable that stands for a function and has its calls traced, where marking the code object is not enough (setprofile).
 *
 * It must pass for the function wherever a program looks: isinstance and inspect see __class__ and __wrapped__; every attribute, read
 * or written, is the function's; it binds as a method does; it pickles by name. Only its identity and its type differ. */
#include "module/module.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

typedef struct deep_function {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *function;
    PyObject *weak_references;
    hp_module_state *state; /* borrowed: the type keeps the module, and the module its state */
} deep_function;

/* Calls from Python to Python take no C stack, but through here they do: a recursion that the interpreter carries, because the program
 * raised its limit or its thread's stack is small, would run off the end of the stack. An exception is what is left then. */
enum { STACK_RESERVE = 128 * 1024 }; /* bytes: for the C code between here and the next call that asks; at most a quarter of the stack */

/* Thread-local: of the owner thread. Not set (0): nothing is ever short. A thread that runs on a stack of its own making is not within it.
 */
static _Thread_local struct {
    uintptr_t bottom, floor;
    bool known;
} stack_here;

static void find_stack(void) {
    pthread_attr_t attributes;
    void *bottom = NULL;
    size_t size = 0;
    stack_here.known = true;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &bottom, &size) == 0) {
        stack_here.bottom = (uintptr_t)bottom;
        stack_here.floor = (uintptr_t)bottom + (size / 4 < STACK_RESERVE ? size / 4 : STACK_RESERVE);
    }
    pthread_attr_destroy(&attributes);
}

static bool is_below_floor(void) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return here < stack_here.floor && here >= stack_here.bottom;
}

/* Asked twice: the main thread's stack may have been allowed to grow since (setrlimit). */
static bool stack_is_short(void) {
    if (!stack_here.known)
        find_stack();
    if (!is_below_floor())
        return false;
    find_stack();
    return is_below_floor();
}

static PyObject *refuse_to_recurse(void) {
    PyErr_SetString(PyExc_RecursionError,
                    "maximum recursion depth exceeded: no C stack is left, of which a function marked by hybridprof takes "
                    "some at each call before Python 3.12");
    return NULL;
}

/* Two branches while no session runs. The tracer decides whether the code is a target. */
static PyObject *deep_vectorcall(PyObject *object, PyObject *const *arguments, size_t count_and_flags, PyObject *keywords) {
    const deep_function *self = (deep_function *)object;
    hp_tracer *tracer = self->state->tracer;
    if (stack_is_short())
        return refuse_to_recurse();
    if (!tracer)
        return PyObject_Vectorcall(self->function, arguments, count_and_flags, keywords);
    return hp_tracer_call(tracer, self->function, arguments, count_and_flags, keywords);
}

static PyObject *deep_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"function", NULL};
    PyObject *function;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:deep_function", names, &function))
        return NULL;
    if (!PyFunction_Check(function)) {
        PyErr_Format(PyExc_TypeError, "deep_function takes a Python function, not %.100s", Py_TYPE(function)->tp_name);
        return NULL;
    }
    deep_function *self = (deep_function *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->vectorcall = deep_vectorcall;
    self->function = Py_NewRef(function);
    self->state = PyType_GetModuleState(type);
    return (PyObject *)self;
}

/* No tp_clear: every cycle through here goes through the function, which breaks it; and a callable must not lose what it calls. */
static int deep_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((deep_function *)object)->function);
    return 0;
}

static void deep_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (((deep_function *)object)->weak_references)
        PyObject_ClearWeakRefs(object);
    Py_XDECREF(((deep_function *)object)->function);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *deep_repr(PyObject *object) {
    return PyObject_Repr(((deep_function *)object)->function);
}

static PyObject *deep_bind(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner)) {
    return !instance || instance == Py_None ? Py_NewRef(self) : PyMethod_New(self, instance);
}

/* What must not be the function's own, or a call through it would go past us. */
static bool is_ours(PyObject *name) {
    static const char *const ours[] = {"__wrapped__", "__class__", "__call__", "__get__", "__reduce__", "__reduce_ex__"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, ours[i]) == 0)
            return true;
    return false;
}

static PyObject *deep_getattr(PyObject *object, PyObject *name) {
    return is_ours(name) ? PyObject_GenericGetAttr(object, name) : PyObject_GetAttr(((deep_function *)object)->function, name);
}

static int deep_setattr(PyObject *object, PyObject *name, PyObject *value) {
    return PyObject_SetAttr(((deep_function *)object)->function, name, value);
}

static PyObject *deep_wrapped(PyObject *object, void *Py_UNUSED(closure)) {
    return Py_NewRef(((deep_function *)object)->function);
}

static PyObject *deep_class(PyObject *object, void *Py_UNUSED(closure)) {
    return Py_NewRef(Py_TYPE(((deep_function *)object)->function));
}

/* A string: pickle looks that name up in __module__ and checks that it finds this very object. */
static PyObject *deep_reduce(PyObject *object, PyObject *Py_UNUSED(protocol)) {
    return PyObject_GetAttrString(((deep_function *)object)->function, "__qualname__");
}

static PyMemberDef deep_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(deep_function, vectorcall), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(deep_function, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef deep_getset[] = {
    {"__wrapped__", deep_wrapped, NULL, NULL, NULL},
    {"__class__", deep_class, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef deep_methods[] = {
    {"__reduce__", deep_reduce, METH_NOARGS, NULL},
    {"__reduce_ex__", deep_reduce, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot deep_slots[] = {
    {Py_tp_new, deep_new},
    {Py_tp_dealloc, deep_dealloc},
    {Py_tp_traverse, deep_traverse},
    {Py_tp_repr, deep_repr},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, deep_bind},
    {Py_tp_getattro, deep_getattr},
    {Py_tp_setattro, deep_setattr},
    {Py_tp_members, deep_members},
    {Py_tp_getset, deep_getset},
    {Py_tp_methods, deep_methods},
    {Py_tp_doc, "deep_function(function)\n--\n\nBehaves as the function does and has its calls traced. See needs_wrapper()."},
    {0, NULL},
};

PyType_Spec hp_deep_function_type_spec = {
    .name = "hybridprof._core.deep_function",
    .basicsize = sizeof(deep_function),
    /* METHOD_DESCRIPTOR: calling it with the instance first is what binding and calling does, so no bound method is made for a call. */
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = deep_slots,
};
