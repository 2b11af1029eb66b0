/* SPDX-License-Identifier: MIT */
/* A loop of calls is timed bare and traced. The difference is the cost of one activation. The part of it that lies between the two ticks of
 * the callee is found in the callee's own time (its body is empty), the rest falls to the caller. The best of several rounds counts:
 * anything that disturbs only adds.
 *
 * The first time is when tracing begins, before anything is armed: what it records goes to a tree that is dropped afterwards.
 *
 * The second look, and all further ones. One calibration alone may be far off for all of its millisecond (on 3.13 two of 18 found 70 ns
 * where 47 is right), and the machine may be another one an hour later. It takes the interpreter's own way to the callbacks, so it takes a
 * thread that holds the GIL, and none may be had by force: a signal handler or a pending call would be in the program's way, a thread of
 * our own would have to wait for the GIL and make others wait. So looks happen where somebody asks for numbers and has the GIL anyway: at
 * stop, and at snapshots, windows and appends of a stream, there never for more than a thousandth of the time. A look is three rounds of
 * some 30 us each.
 *
 * A look records with a recorder of its own in place of the thread's, so that neither the thread's extent nor the sampler is told; nobody
 * but this file knows that recorder. Its two nodes hang at the first thread's and are zero again afterwards. Not looked: in a thread with
 * another tool's trace or profile function, or beside a tool with global monitoring events (our calls would be in their figures), while the
 * budget leaves out calls, and where calls are limited.
 *
 * It runs bytecode, so a signal handler of the program may run in it, and raise (Ctrl-C). That exception is the program's: calibration
 * ends there, without a result, and the exception is raised again in the program as soon as that goes on. It may also stop the session, or
 * fork: then the tracer is gone when the call returns, and `tracer` says so.
 *
 * The garbage collector is left as it is, though it may come in the midst and spoil a round: whether it is on is the whole program's, and
 * other threads may run here too. One that forks would have a child that never collects; one that turns it off would find it on. */
#include "tracer/calibrate.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frame/frame.h"
#include "tracer/looks.h"
#include "tracer/recorder.h"

enum { HP_CALLS = 400, HP_FIRST_ROUNDS = 9, HP_LOOK_ROUNDS = 3, HP_TRIES = 3 };
enum { HP_SPACING = 1000, HP_LONGEST_NS = 1000000 }; /* a look may take 1/1000 of the time until the next */

/* Owner: the tracer; while `busy`, whoever looks. Guarded by: GIL. */
typedef struct hp_calibration {
    hp_tracer *tracer; /* NULL: it ended within a look */
    uint64_t tracer_id;
    bool busy;
    PyObject *bare, *traced, *count; /* two pairs of functions, of which one is armed for as long as the tracer lives */
    uint32_t slots[2];               /* of the armed ones: caller, callee */
    hp_recorder recorder;
    int64_t next_ns; /* CLOCK_MONOTONIC: no further look before */
    hp_looks looks;
} hp_calibration;

static const char source[] = "def callee():\n"
                             "    pass\n"
                             "def bare_callee():\n"
                             "    pass\n"
                             "def traced(count):\n"
                             "    for _ in range(count):\n"
                             "        callee()\n"
                             "def bare(count):\n"
                             "    for _ in range(count):\n"
                             "        bare_callee()\n";

/* A static: tests set it before there is a tracer. What is found as the traced loop's time is multiplied by it. */
static double distortion = 1.0;

void hp_calibration_distort(double factor) {
    distortion = factor;
}

/* --- interrupted ------------------------------------------------------------------------------------------------------------------------
 */

static int raise_again(void *exception) {
    PyErr_SetObject((PyObject *)Py_TYPE((PyObject *)exception), exception);
    Py_DECREF((PyObject *)exception);
    return -1;
}

/* Handlers run in the main thread, and so do pending calls. In others it was PyThreadState_SetAsyncExc, which knows classes only. */
static void raise_later(void) {
    PyObject *type, *value, *traceback;
    /* The program's stack, or its memory, left no room for our own two calls. */
    bool ours = PyErr_ExceptionMatches(PyExc_RecursionError) || PyErr_ExceptionMatches(PyExc_MemoryError);
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    bool in_main_thread = syscall(SYS_gettid) == getpid();
    if (value != NULL && !ours && in_main_thread && Py_AddPendingCall(raise_again, value) == 0)
        value = NULL; /* the call's */
    else if (value != NULL && !ours && !in_main_thread)
        (void)PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), (PyObject *)Py_TYPE(value));
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

/* --- rounds -----------------------------------------------------------------------------------------------------------------------------
 */

static bool tracer_goes_on(const hp_calibration *c) {
    return c->tracer != NULL && c->tracer->id == c->tracer_id;
}

/* `caller`, called once; its ticks. 0 when it failed, was interrupted, or when the tracer has ended in it. */
static uint64_t round_ticks(hp_calibration *c, PyObject *caller) {
    uint64_t began = hp_ticks();
    PyObject *result = hp_tracer_call(c->tracer, caller, &c->count, 1, NULL);
    uint64_t ticks = hp_ticks() - began;
    if (result == NULL) {
        raise_later();
        return 0;
    }
    Py_DECREF(result);
    return tracer_goes_on(c) ? ticks : 0;
}

/* 0 when a round failed. */
static uint64_t best_bare(hp_calibration *c, int rounds) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < rounds && best > 0; i++) {
        uint64_t ticks = round_ticks(c, c->bare);
        best = ticks < best ? ticks : best;
    }
    return best;
}

/* The caller's node and the callee's; NULL where the tree is full. Good until the tree grows. */
static hp_node *own_node(const hp_calibration *c, int which) {
    hp_tree *tree = &c->tracer->tree;
    uint32_t node = hp_tree_child(tree, c->recorder.root, c->slots[0]);
    if (tree->nodes[node].function == c->slots[0] && which == 1)
        node = hp_tree_child(tree, node, c->slots[1]);
    return tree->nodes[node].function == c->slots[which] ? &tree->nodes[node] : NULL;
}

static void forget_own(const hp_calibration *c, hp_tree *tree) {
    uint32_t node = c->recorder.root;
    for (int i = 0; i < 2 && node != HP_NO_NODE; i++) {
        node = hp_tree_find(tree, node, c->slots[i]);
        if (node != HP_NO_NODE)
            tree->nodes[node].calls = tree->nodes[node].exact = tree->nodes[node].overhead = tree->nodes[node].flags = 0;
    }
}

/* Of the best round, in ticks of all its calls. False when one failed, or when not one event came. */
static bool best_traced(hp_calibration *c, int rounds, uint64_t *callee, uint64_t *caller) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < rounds; i++) {
        forget_own(c, &c->tracer->tree);
        if (round_ticks(c, c->traced) == 0)
            return false;
        const hp_node *outer = own_node(c, 0);
        uint64_t outer_ticks = outer != NULL ? outer->exact : 0;
        const hp_node *inner = own_node(c, 1);
        if (outer_ticks == 0 || inner == NULL || inner->calls != HP_CALLS || inner->exact + outer_ticks >= best)
            continue;
        *callee = inner->exact;
        *caller = outer_ticks;
        best = *callee + *caller;
    }
    return best < UINT64_MAX;
}

/* --- one measurement --------------------------------------------------------------------------------------------------------------------
 */

static void free_recorder(hp_recorder *recorder) {
    for (uint32_t i = 0; i < recorder->parked_count; i++)
        free(recorder->parked[i].entries);
    free(recorder->parked);
    free(recorder->stack.entries);
    free(recorder->skips);
    free(recorder->left_out);
    free(recorder->scratch.links);
    free(recorder->context.links);
}

/* The calling thread's events go to the recorder of this file, until end_recording(). */
static hp_gate begin_recording(hp_calibration *c) {
    hp_gate before = hp_gate_here;
    c->recorder = (hp_recorder){.thread = &c->tracer->calibration_thread, .context_node = HP_NO_NODE};
    c->recorder.root = hp_tree_child(&c->tracer->tree, 0, 0);
    if (before.tracer_id == c->tracer_id && before.state_id == PyThreadState_Get()->id)
        c->recorder.entered = before.recorder->entered; /* the hook goes on being on for those */
    hp_gate_here = (hp_gate){.tracer_id = c->tracer_id, .state_id = PyThreadState_Get()->id, .recorder = &c->recorder};
    return before;
}

static void end_recording(hp_calibration *c, hp_gate before) {
    hp_gate_here = before;
    if (tracer_goes_on(c))
        forget_own(c, &c->tracer->tree);
    free_recorder(&c->recorder);
}

/* Where all calls have events anyhow the bare loop of earlier looks counts. */
static bool measure(hp_calibration *c, int rounds, bool with_bare, hp_look *look) {
    uint64_t bare = 0, callee = 0, caller = 0;
    if (with_bare && (bare = best_bare(c, rounds)) == 0)
        return false;
    hp_gate before = begin_recording(c);
    bool measured = best_traced(c, rounds, &callee, &caller);
    end_recording(c, before);
    *look = (hp_look){(double)bare / HP_CALLS, distortion * (double)callee / HP_CALLS, distortion * (double)caller / HP_CALLS};
    return measured;
}

static void use(hp_calibration *c) {
    hp_look_cost cost = hp_looks_cost(&c->looks);
    c->tracer->inside_ticks_per_call = cost.inside;
    c->tracer->outside_ticks_per_call = cost.outside;
}

double hp_tracer_cost_spread(const hp_tracer *tracer) {
    return tracer->calibration != NULL ? hp_looks_spread(&tracer->calibration->looks) : 0;
}

static void dispose(hp_calibration *c) {
    if (c->traced != NULL)
        PyDict_Clear(PyFunction_GET_GLOBALS(c->traced)); /* which holds the functions that hold it */
    Py_XDECREF(c->bare);
    Py_XDECREF(c->traced);
    Py_XDECREF(c->count);
    free(c);
}

static void begin_look(hp_calibration *c, hp_tracer *tracer) {
    c->busy = true;
    c->tracer = tracer;
    c->tracer_id = tracer->id;
}

/* False: the tracer is gone. */
static bool end_look(hp_calibration *c) {
    c->busy = false;
    if (c->tracer != NULL)
        return true;
    dispose(c);
    return false;
}

void hp_calibration_free(hp_tracer *tracer) {
    hp_calibration *c = tracer->calibration;
    tracer->calibration = NULL;
    if (c != NULL && c->busy)
        c->tracer = NULL; /* whoever looks disposes of it */
    else if (c != NULL)
        dispose(c);
}

void hp_calibration_hide(const hp_tracer *tracer, hp_tree *tree) {
    if (tracer->calibration != NULL && tracer->calibration->busy)
        forget_own(tracer->calibration, tree);
}

/* --- the first one ----------------------------------------------------------------------------------------------------------------------
 */

static PyObject *make_functions(void) {
    PyObject *names = PyDict_New(), *code = Py_CompileString(source, "<hybridprof calibration>", Py_file_input), *done = NULL;
    if (names != NULL && code != NULL && PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0)
        done = PyEval_EvalCode(code, names, names);
    if (done == NULL)
        Py_CLEAR(names);
    Py_XDECREF(done);
    Py_XDECREF(code);
    return names;
}

/* Described at once: its nodes are in the tree for good, and by its file whoever reads that knows what to leave out. */
static hp_code_state *own_state(hp_tracer *tracer, PyObject *function) {
    PyCodeObject *code = (PyCodeObject *)PyFunction_GET_CODE(function);
    hp_code_state *state = hp_code_states_get(&tracer->states, (uintptr_t)code, HP_CODE_PYTHON);
    if (state == NULL || hp_code_describe(tracer->code, state->slot, code) != HP_OK)
        return NULL;
    state->flags |= HP_CODE_DESCRIBED | HP_CODE_PROBE | HP_CODE_ASKED;
    state->threshold = (uint64_t)1 << 32;
    return state;
}

static int arm_own(hp_calibration *c, PyObject *function, int which) {
    hp_code_state *state;
    if (hp_tracer_arm(c->tracer, (PyCodeObject *)PyFunction_GET_CODE(function)) < 0)
        return -1;
    if ((state = own_state(c->tracer, function)) == NULL)
        return hp_tracer_no_memory();
    c->slots[which] = state->slot;
    state->flags |= which == 0 ? HP_CODE_TARGET : 0u;
    return 0;
}

/* Making them runs bytecode too, so it may be interrupted as a round may. */
static PyObject *make_functions_again(void) {
    PyObject *names = make_functions();
    for (int i = 1; i < HP_TRIES && names == NULL; i++) {
        raise_later();
        names = make_functions();
    }
    if (names == NULL)
        raise_later();
    return names;
}

/* Without functions nothing is measured, and that is no error. */
static int prepare(hp_calibration *c) {
    c->count = PyLong_FromLong(HP_CALLS);
    PyObject *names = c->count != NULL ? make_functions_again() : NULL;
    if (names == NULL || !tracer_goes_on(c)) {
        Py_XDECREF(names);
        return c->count != NULL ? 0 : -1;
    }
    c->bare = Py_NewRef(PyDict_GetItemString(names, "bare"));
    c->traced = Py_NewRef(PyDict_GetItemString(names, "traced"));
    bool known = own_state(c->tracer, c->bare) != NULL && own_state(c->tracer, PyDict_GetItemString(names, "bare_callee")) != NULL;
    Py_DECREF(names); /* the functions hold it */
    return known ? 0 : hp_tracer_no_memory();
}

static const char not_measured[] =
    "what tracing costs could not be measured, because another tool had the thread's profile function when it began: "
    "it is left in the times of traced functions";

/* `callee` is known by the globals of `traced`. */
static int first_look(hp_calibration *c) {
    hp_look look = {0};
    if (c->traced == NULL)
        return 0;
    uint64_t bare = best_bare(c, HP_FIRST_ROUNDS) > 0 ? best_bare(c, HP_FIRST_ROUNDS) : 0; /* the first lets it specialise */
    if (bare == 0)
        return 0;
    PyObject *callee = PyDict_GetItemString(PyFunction_GET_GLOBALS(c->traced), "callee");
    if (arm_own(c, c->traced, 0) < 0 || arm_own(c, callee, 1) < 0)
        return -1;
    if (measure(c, HP_FIRST_ROUNDS, false, &look)) {
        look.bare = (double)bare / HP_CALLS;
        hp_looks_add(&c->looks, look);
        use(c);
    } else if (c->tracer != NULL && PyThreadState_Get()->c_profilefunc != NULL)
        hp_tracer_warn(c->tracer, not_measured);
    return 0;
}

int hp_tracer_calibrate(hp_tracer *tracer) {
    if (tracer->calibrated)
        return 0;
    tracer->calibrated = true;
    hp_calibration *c = calloc(1, sizeof *c);
    if (c == NULL)
        return hp_tracer_no_memory();
    tracer->calibration = c;
    begin_look(c, tracer);
    tracer->calibrating = true;
    int64_t began = hp_now_ns();
    int status = prepare(c);
    if (status == 0)
        status = first_look(c);
    if (!end_look(c)) {
        if (status == 0)
            PyErr_SetString(PyExc_RuntimeError, "the session ended while it was found out what tracing costs");
        return -1;
    }
    tracer->calibrating = false;
    c->next_ns = hp_now_ns() + (hp_now_ns() - began) / HP_FIRST_ROUNDS * HP_LOOK_ROUNDS * HP_SPACING;
    if (hp_tracer_start_anew(tracer) < 0)
        status = -1;
    hp_discovery_init(&tracer->discovery);
    tracer->budget.units = 0; /* what this has cost comes once, and tells nothing of what tracing the program costs */
    hp_budget_restart(&tracer->budget);
    return status;
}

/* --- further ones -----------------------------------------------------------------------------------------------------------------------
 */

static bool is_allowed(const hp_tracer *tracer, const PyThreadState *thread) {
    const hp_budget *budget = &tracer->budget;
    if (PyErr_Occurred() || thread->c_tracefunc != NULL || !tracer->hook->is_alone(tracer))
        return false;
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != tracer->interpreter_id)
        return false;
    return !hp_budget_has_limit(budget) && budget->chosen == HP_BUDGET_ALL && !budget->paused;
}

static bool is_wanted(const hp_tracer *tracer, bool last) {
    enum { ROOM = 8 }; /* nodes: where the tree is nearly full none is taken from the program */
    const hp_calibration *c = tracer->calibration;
    if (c == NULL || c->busy || c->looks.count == 0 || tracer->tree.count <= 1 || tracer->tree.count + ROOM > tracer->tree.limit)
        return false;
    return last || hp_now_ns() >= c->next_ns;
}

/* The first disturbed one is no reason to report a spread: it is taken again at once, and the best of them counts. */
static void look_again(hp_calibration *c, bool with_bare) {
    hp_look best = {0}, look;
    for (int i = 0; i < HP_TRIES; i++) {
        if (!measure(c, HP_LOOK_ROUNDS, with_bare, &look))
            break;
        if (best.callee + best.caller <= 0 || look.callee + look.caller < best.callee + best.caller)
            best = look;
        if (!hp_looks_is_high(&c->looks, best))
            break;
    }
    if (!tracer_goes_on(c) || best.callee + best.caller <= 0)
        return;
    hp_looks_add(&c->looks, best);
    use(c);
}

/* What a look takes is recording too: with a small budget it is a tenth of that. */
static int64_t spacing(const hp_tracer *tracer) {
    static const double part = 0.1, most = 1e9;
    double share = tracer->budget.share * part, times = share > 0 ? 1 / share : 0;
    return times > most ? (int64_t)most : times > HP_SPACING ? (int64_t)times : HP_SPACING;
}

/* It comes once, and at the end nothing else does: no function and no call of the program's is left out for it. */
static void look_uncharged(hp_calibration *c, bool with_bare) {
    uint64_t before = c->tracer->budget.units;
    c->tracer->budget.held = true;
    look_again(c, with_bare);
    if (!tracer_goes_on(c))
        return;
    c->tracer->budget.held = false;
    c->tracer->budget.once += c->tracer->budget.units - before;
}

void hp_tracer_look(hp_tracer *tracer, bool last) {
    const PyThreadState *thread = PyThreadState_Get();
    if (!is_wanted(tracer, last) || !is_allowed(tracer, thread))
        return;
    hp_calibration *c = tracer->calibration;
    int64_t began = hp_thread_cpu_ns();
    begin_look(c, tracer);
    int64_t times = spacing(tracer);
    /* What ended unseen, in a thread without our hook: once a look has set the hook there nobody could tell. */
    tracer->hook->refresh(tracer);
    if (tracer_goes_on(c))
        look_uncharged(c, thread->c_profilefunc == NULL && (!tracer->everything || tracer->by_function));
    int64_t ended = hp_thread_cpu_ns();
    int64_t taken = began < 0 || ended < began ? HP_LONGEST_NS : ended - began; /* the clock was refused: as if it had been dear */
    c->next_ns = hp_now_ns() + (taken < HP_LONGEST_NS ? taken : HP_LONGEST_NS) * times;
    (void)end_look(c);
}
