/* SPDX-License-Identifier: MIT */
/* C functions: known by their PyMethodDef, which is static, and named as cProfile names them. */
#include <stdlib.h>

#include "frame/frame.h"
#include "tracer/recorder.h"

static PyMethodDef *definition(PyObject *function) {
    if (PyCFunction_Check(function))
        return ((PyCFunctionObject *)function)->m_ml;
    /* Monitoring shows a method before it is bound. */
    if (Py_TYPE(function) == &PyMethodDescr_Type)
        return ((PyMethodDescrObject *)function)->d_method;
    return NULL;
}

uintptr_t hp_c_function_address(PyObject *function) {
    return (uintptr_t)definition(function);
}

/* As repr() says it. Not by repr(): that handles signals, and may be the program's: it could end the session and the tracer with it, or
 * raise what nobody would ever see. NULL without an exception: a descriptor of another kind. */
static PyObject *descriptor_text(PyObject *descriptor) {
    if (Py_IS_TYPE(descriptor, &PyMethodDescr_Type) || Py_IS_TYPE(descriptor, &PyClassMethodDescr_Type))
        return PyUnicode_FromFormat("<method '%U' of '%s' objects>", PyDescr_NAME(descriptor), PyDescr_TYPE(descriptor)->tp_name);
    if (!PyCFunction_Check(descriptor))
        return NULL;
    const PyObject *self = PyCFunction_GET_SELF(descriptor);
    const char *name = ((PyCFunctionObject *)descriptor)->m_ml->ml_name;
    return self != NULL ? PyUnicode_FromFormat("<built-in method %s of %s object at %p>", name, Py_TYPE(self)->tp_name, self)
                        : PyUnicode_FromFormat("<built-in function %s>", name);
}

/* "<method 'append' of 'list' objects>", if the type has such a method. */
static PyObject *method_name(PyTypeObject *type, PyMethodDef *method) {
    PyObject *name = PyUnicode_FromString(method->ml_name);
    PyObject *descriptor = name != NULL ? _PyType_Lookup(type, name) : NULL; /* borrowed */
    Py_XDECREF(name);
    return descriptor != NULL ? descriptor_text(descriptor) : NULL;
}

static PyObject *c_function_name(PyObject *function) {
    PyMethodDef *method = definition(function);
    if (!PyCFunction_Check(function))
        return descriptor_text(function);
    PyObject *self = PyCFunction_GET_SELF(function), *module = ((PyCFunctionObject *)function)->m_module;
    if (self != NULL && !PyModule_Check(self)) {
        PyObject *text = method_name(Py_TYPE(self), method);
        if (text != NULL || PyErr_Occurred())
            return text;
    }
    if (module != NULL && PyUnicode_Check(module))
        return PyUnicode_FromFormat("<built-in method %U.%s>", module, method->ml_name);
    return PyUnicode_FromFormat("<built-in method %s>", method->ml_name);
}

static void describe(hp_tracer *tracer, uint32_t slot, PyObject *function) {
    /* The event may come with an exception set (a C function that failed); naming must neither see nor lose it. */
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *name = c_function_name(function);
    char *text = name != NULL ? hp_code_text(name) : NULL;
    if (text != NULL)
        hp_code_table_describe(tracer->code, slot, &(hp_code_info){.kind = HP_CODE_C, .qualname = text, .name = text});
    free(text);
    Py_XDECREF(name);
    PyErr_Restore(type, value, traceback);
}

hp_code_state *hp_c_function_state(hp_tracer *tracer, PyObject *function) {
    uintptr_t address = hp_c_function_address(function);
    if (address == 0)
        return NULL;
    hp_code_state *state = hp_code_states_get(&tracer->states, address, HP_CODE_C);
    if (state == NULL || (state->flags & HP_CODE_DESCRIBED))
        return state;
    state->flags |= HP_CODE_DESCRIBED;
    describe(tracer, state->slot, function);
    return state;
}

/* --- events --- */

static bool is_on_top(const hp_shadow *stack, const hp_python_frame *frame) {
    return stack->depth > 0 && stack->entries[stack->depth - 1].frame == frame;
}

/* They are events of their caller: when that loses its events, theirs are gone. */
static void spend_on_c_call(hp_tracer *tracer, hp_python_frame *caller, uint32_t units) {
    hp_code_state *state = hp_code_states_find(&tracer->states, (uintptr_t)hp_frame_code(caller), hp_code_table_epoch(tracer->code));
    if (state != NULL)
        state->units += units;
    if (hp_budget_spend(&tracer->budget, units))
        hp_budget_look(tracer);
}

void hp_record_c_call(hp_tracer *tracer, PyThreadState *thread, PyObject *function) {
    hp_python_frame *frame = hp_frame_current(thread);
    if (!hp_gate_open(tracer, thread)) {
        if (frame != NULL)
            spend_on_c_call(tracer, frame, tracer->budget.gated_units);
        return;
    }
    hp_recorder *recorder = hp_gate_here.recorder;
    if (recorder->stack.depth == 0 || frame == NULL || !hp_shadow_resolve(tracer, recorder, frame, HP_ENTRY_CONTEXT))
        return;
    hp_code_state *state = hp_c_function_state(tracer, function);
    if (state == NULL || !hp_shadow_reserve(&recorder->stack))
        return;
    hp_shadow_enter(tracer, recorder, state,
                    (hp_entry){.frame = frame, .code = hp_frame_code(frame), .detail = state->address, .kind = HP_ENTRY_C}, true);
    spend_on_c_call(tracer, frame, HP_UNITS_TRACED);
}

void hp_record_c_return(hp_tracer *tracer, PyThreadState *thread, PyObject *function) {
    if (!hp_gate_open(tracer, thread))
        return;
    hp_recorder *recorder = hp_gate_here.recorder;
    hp_shadow *stack = &recorder->stack;
    hp_python_frame *frame = hp_frame_current(thread);
    uintptr_t address = hp_c_function_address(function);
    if (recorder->parked_count > 0 && frame != NULL && !is_on_top(stack, frame))
        hp_extent_switch_to(tracer, recorder, frame, hp_frame_code(frame));
    for (uint32_t i = stack->depth; i-- > 0 && stack->entries[i].frame == frame;)
        if (stack->entries[i].kind == HP_ENTRY_C && stack->entries[i].detail == address) {
            hp_shadow_close_to(tracer, recorder, i, hp_ticks());
            recorder->events++;
            return;
        }
}
