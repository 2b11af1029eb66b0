/* SPDX-License-Identifier: MIT */
/* Every counter of a session has a number that the windows were told so far; a window has what is more than that, and the number follows.
 * Where a counter shrinks (the calibrated cost of recording is taken out anew at each collection) the window has nothing, and the next one
 * has less: what all windows have together is never more than the session had. */
#include "module/window.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "module/wording.h"

/* The numbers of one table, `width` for each of its rows. */
typedef struct told {
    uint64_t *numbers;
    size_t count, capacity;
} told;

enum { NODE = 3, LINE = 2, ESTIMATE = 4, COUNTERS = 7, THREAD = COUNTERS + 2 };
enum { SAMPLER_COUNTS = sizeof(hp_sampler_counts) / sizeof(uint64_t), TRACER_COUNTS = sizeof(hp_tracer_counts) / sizeof(uint64_t) };
static_assert(SAMPLER_COUNTS * sizeof(uint64_t) == sizeof(hp_sampler_counts), "they are counters and nothing else");
static_assert(TRACER_COUNTS * sizeof(uint64_t) == sizeof(hp_tracer_counts), "they are counters and nothing else");

struct hp_window {
    hp_timebase began;
    int64_t started_wall_ns;
    told sampled_nodes, lines, estimates, threads, beneath, beneath_lines;
    told traced_nodes, traced_threads, lives;
    uint64_t sampler_counts[SAMPLER_COUNTS], tracer_counts[TRACER_COUNTS];
    uint64_t left_out_of_lines, left_out_beneath, sampled_overflowed, traced_overflowed;
    uint32_t nodes; /* of the session's trees at the last cut: what a cut costs */
};

void hp_window_free(hp_window *window) {
    if (!window)
        return;
    told *all[] = {&window->sampled_nodes, &window->lines,        &window->estimates,      &window->threads, &window->beneath,
                   &window->beneath_lines, &window->traced_nodes, &window->traced_threads, &window->lives};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]->numbers);
    free(window);
}

static bool reserve(told *t, size_t rows, size_t width) {
    size_t count = rows * width;
    if (count > t->capacity) {
        size_t capacity = count + count / 2;
        uint64_t *numbers = realloc(t->numbers, capacity * sizeof *numbers);
        if (!numbers)
            return false;
        t->numbers = numbers;
        t->capacity = capacity;
    }
    if (count > t->count) {
        memset(t->numbers + t->count, 0, (count - t->count) * sizeof *t->numbers);
        t->count = count;
    }
    return true;
}

/* All room is made first, so that a window is cut whole or not at all. */
static bool reserve_all(hp_window *w, const hp_gathered *gathered) {
    const hp_sampled *sampled = &gathered->sampled;
    const hp_traced *traced = &gathered->traced;
    return reserve(&w->sampled_nodes, sampled->tree.count, NODE) && reserve(&w->lines, sampled->line_count, LINE) &&
           reserve(&w->estimates, sampled->estimate_count, ESTIMATE) && reserve(&w->threads, sampled->thread_count, THREAD) &&
           reserve(&w->beneath, sampled->beneath_count, 1) && reserve(&w->beneath_lines, sampled->beneath_line_count, LINE) &&
           reserve(&w->traced_nodes, traced->tree.count, NODE) && reserve(&w->traced_threads, traced->thread_count, 1) &&
           reserve(&w->lives, gathered->thread_count, 1);
}

static uint64_t take(uint64_t *numbers, uint64_t now) {
    uint64_t more = now > *numbers ? now - *numbers : 0;
    *numbers += more;
    return more;
}

/* The same of a sum that is no whole number: what was told is kept as its bits, and all bits zero are 0.0. */
static double take_sum(uint64_t *number, double now) {
    double before;
    memcpy(&before, number, sizeof before);
    if (!(now > before))
        return 0.0;
    memcpy(number, &now, sizeof now);
    return now - before;
}

static void take_counts(uint64_t *numbers, uint64_t *counts, size_t count) {
    for (size_t i = 0; i < count; i++)
        counts[i] = take(&numbers[i], counts[i]);
}

/* --- what was sampled ------------------------------------------------------------------------------------------------------------------
 */

static void cut_sampled_nodes(hp_window *w, hp_tree *tree) {
    for (uint32_t i = 0; i < tree->count; i++) {
        uint64_t *numbers = &w->sampled_nodes.numbers[(size_t)i * NODE];
        hp_node *node = &tree->nodes[i];
        node->samples = take(&numbers[0], node->samples);
        node->sampled = take(&numbers[1], node->sampled);
        node->overhead = take(&numbers[2], node->overhead);
    }
    tree->overflowed = take(&w->sampled_overflowed, tree->overflowed);
}

static void cut_lines(hp_window *w, hp_sampled *sampled) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sampled->line_count; i++) {
        hp_sampled_line line = sampled->lines[i];
        line.samples = take(&w->lines.numbers[(size_t)i * LINE], line.samples);
        line.sampled = take(&w->lines.numbers[(size_t)i * LINE + 1], line.sampled);
        if (line.samples > 0 || line.sampled > 0)
            sampled->lines[kept++] = line;
    }
    sampled->line_count = kept;
    sampled->left_out_of_lines = take(&w->left_out_of_lines, sampled->left_out_of_lines);
    sampled->left_out_beneath = take(&w->left_out_beneath, sampled->left_out_beneath);
}

/* A run that goes on across a cut was counted where it began; here it is one too. */
static uint64_t runs_of(uint64_t samples, uint64_t runs) {
    return samples > 0 && runs == 0 ? 1 : runs;
}

static void cut_estimates(hp_window *w, hp_sampled *sampled) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sampled->estimate_count; i++) {
        uint64_t *numbers = &w->estimates.numbers[(size_t)i * ESTIMATE];
        hp_estimate e = sampled->estimates[i];
        e.self_samples = take(&numbers[0], e.self_samples);
        e.self_runs = runs_of(e.self_samples, take(&numbers[1], e.self_runs));
        e.total_samples = take(&numbers[2], e.total_samples);
        e.total_runs = runs_of(e.total_samples, take(&numbers[3], e.total_runs));
        if (e.total_samples > 0)
            sampled->estimates[kept++] = e;
    }
    sampled->estimate_count = kept;
}

static void cut_threads(hp_window *w, hp_sampled *sampled) {
    for (uint32_t i = 0; i < sampled->thread_count; i++) {
        uint64_t *numbers = &w->threads.numbers[(size_t)i * THREAD];
        hp_sampled_thread *thread = &sampled->threads[i];
        uint64_t *counters[COUNTERS] = {&thread->samples,       &thread->traced_samples, &thread->measured_ns, &thread->sampled_ns,
                                        &thread->unresolved_ns, &thread->hook_ns,        &thread->aside_ns};
        for (int k = 0; k < COUNTERS; k++)
            *counters[k] = take(&numbers[k], *counters[k]);
        thread->squares = take_sum(&numbers[COUNTERS], thread->squares);
        thread->cubes = take_sum(&numbers[COUNTERS + 1], thread->cubes);
    }
}

/* Lines bear the numbers of entries: those that stay move up, and their lines follow. False when memory is short. */
static bool cut_beneath(hp_window *w, hp_sampled *sampled) {
    uint32_t kept = 0, kept_lines = 0;
    uint32_t *moved = malloc(((size_t)sampled->beneath_count + 1) * sizeof *moved);
    if (!moved)
        return false;
    for (uint32_t i = 0; i < sampled->beneath_count; i++) {
        hp_sampled_beneath entry = sampled->beneath[i];
        entry.samples = take(&w->beneath.numbers[i], entry.samples);
        moved[i] = entry.samples > 0 ? kept : UINT32_MAX;
        if (entry.samples > 0)
            sampled->beneath[kept++] = entry;
    }
    for (uint32_t i = 0; i < sampled->beneath_line_count; i++) {
        hp_sampled_line line = sampled->beneath_lines[i];
        line.samples = take(&w->beneath_lines.numbers[(size_t)i * LINE], line.samples);
        line.sampled = take(&w->beneath_lines.numbers[(size_t)i * LINE + 1], line.sampled);
        line.node = line.node < sampled->beneath_count ? moved[line.node] : UINT32_MAX;
        if (line.samples > 0 && line.node != UINT32_MAX)
            sampled->beneath_lines[kept_lines++] = line;
    }
    free(moved);
    sampled->beneath_count = kept;
    sampled->beneath_line_count = kept_lines;
    return true;
}

/* --- what was traced -------------------------------------------------------------------------------------------------------------------
 */

/* A node's own time and its overhead are one measured time, divided by what recording costs: the window has what the sum grew by, so that a
 * thread's times still add up to its clock, and of it what the own time grew by. */
static void cut_traced_node(uint64_t *numbers, hp_node *node) {
    uint64_t whole = take(&numbers[0], node->exact + node->overhead);
    uint64_t own = node->exact > numbers[1] ? node->exact - numbers[1] : 0;
    node->exact = own < whole ? own : whole;
    numbers[1] += node->exact;
    node->overhead = whole - node->exact;
    node->calls = take(&numbers[2], node->calls);
}

static void cut_traced(hp_window *w, hp_traced *traced) {
    uint64_t targets = traced->counts.targets, memory_bytes = traced->counts.memory_bytes; /* what there is now: no counters */
    for (uint32_t i = 0; i < traced->tree.count; i++)
        cut_traced_node(&w->traced_nodes.numbers[(size_t)i * NODE], &traced->tree.nodes[i]);
    for (uint32_t i = 0; i < traced->thread_count; i++)
        traced->threads[i].inside_ticks = take(&w->traced_threads.numbers[i], traced->threads[i].inside_ticks);
    traced->tree.overflowed = take(&w->traced_overflowed, traced->tree.overflowed);
    take_counts(w->tracer_counts, (uint64_t *)(void *)&traced->counts, TRACER_COUNTS);
    traced->counts.targets = targets;
    traced->counts.memory_bytes = memory_bytes;
}

/* --- a window --------------------------------------------------------------------------------------------------------------------------
 */

static void mark_busy(const hp_gathered *gathered, bool *busy) {
    const hp_sampled *sampled = &gathered->sampled;
    for (uint32_t i = 0; i < sampled->thread_count; i++)
        if (sampled->threads[i].thread < gathered->thread_count && sampled->threads[i].samples + sampled->threads[i].traced_samples > 0)
            busy[sampled->threads[i].thread] = true;
    for (uint32_t i = 0; i < gathered->traced.thread_count; i++)
        if (gathered->traced.threads[i].thread < gathered->thread_count && gathered->traced.threads[i].inside_ticks > 0)
            busy[gathered->traced.threads[i].thread] = true;
}

/* A later sample takes it, and with it the time that was measured is a later window's: none has more in its parts than was measured. */
static void leave_pending(hp_gathered *gathered) {
    for (uint32_t i = 0; i < gathered->sampled.thread_count; i++) {
        hp_sampled_thread *thread = &gathered->sampled.threads[i];
        if (thread->thread < gathered->thread_count)
            gathered->threads[thread->thread].lived_ns -= (int64_t)thread->pending_ns;
        thread->measured_ns -= thread->pending_ns < thread->measured_ns ? thread->pending_ns : thread->measured_ns;
    }
}

/* Threads that ended before this window are no part of it. */
static void cut_lives(hp_window *w, hp_gathered *gathered, bool *busy) {
    mark_busy(gathered, busy);
    bool any = false;
    for (uint32_t i = 0; i < gathered->thread_count; i++) {
        hp_gathered_thread *thread = &gathered->threads[i];
        thread->lived_ns = (int64_t)take(&w->lives.numbers[i], thread->lived_ns > 0 ? (uint64_t)thread->lived_ns : 0);
        thread->is_absent = thread->lived_ns == 0 && !busy[i];
        any = any || !(thread->is_absent || thread->is_own);
    }
    for (uint32_t i = 0; !any && i < gathered->thread_count; i++)
        if (!gathered->threads[i].is_own) {
            gathered->threads[i].is_absent = false; /* what is left out goes beneath another thread: there must be one */
            any = true;
        }
}

static bool cut(hp_window *w, hp_gathered *gathered) {
    bool *busy = calloc((size_t)gathered->thread_count + 1, sizeof *busy);
    if (!busy || !reserve_all(w, gathered) || !cut_beneath(w, &gathered->sampled)) {
        free(busy);
        return false;
    }
    leave_pending(gathered);
    cut_sampled_nodes(w, &gathered->sampled.tree);
    cut_lines(w, &gathered->sampled);
    cut_estimates(w, &gathered->sampled);
    cut_threads(w, &gathered->sampled);
    take_counts(w->sampler_counts, (uint64_t *)(void *)&gathered->sampled.counts, SAMPLER_COUNTS);
    cut_traced(w, &gathered->traced);
    cut_lives(w, gathered, busy);
    free(busy);
    w->nodes = gathered->sampled.tree.count + gathered->traced.tree.count;
    gathered->is_window = true;
    gathered->began = w->began;
    gathered->started_wall_ns = w->started_wall_ns;
    w->began = gathered->ended;
    w->started_wall_ns = hp_wall_clock_ns() - (hp_now_ns() - gathered->ended.ns); /* by the clock as it is set now */
    return true;
}

static hp_window *window_of(hp_session *session) {
    if (!session->window && (session->window = calloc(1, sizeof *session->window)) != NULL) {
        session->window->began = session->began;
        session->window->started_wall_ns = session->started_wall_ns;
    }
    return session->window;
}

/* NULL when memory is short: then the next window has this one's too. */
static hp_gathered *cut_window(hp_module_state *state, hp_session *session) {
    hp_gathered *gathered = malloc(sizeof *gathered);
    if (!gathered || !window_of(session) || hp_gather(state, session, HP_NO_MOMENTS, gathered) != HP_OK) {
        free(gathered);
        return NULL;
    }
    if (!cut(session->window, gathered)) {
        hp_gathered_fini(gathered);
        free(gathered);
        return NULL;
    }
    session->window_was_last = !session->running;
    if (getrandom(gathered->id, sizeof gathered->id, 0) != (ssize_t)sizeof gathered->id)
        memcpy(gathered->id, &gathered->began.ns, sizeof gathered->began.ns); /* a kernel without randomness: the session's, and when */
    return gathered;
}

/* --- sessions that were replaced -------------------------------------------------------------------------------------------------------
 */

static void gathered_free(hp_gathered *gathered) {
    if (!gathered)
        return;
    hp_gathered_fini(gathered);
    free(gathered);
}

void hp_window_keep_last(hp_module_state *state, hp_session *session) {
    if (!state->windows_wanted || !session || session->running || session->window_was_last)
        return;
    hp_gathered *last = state->window_left_count < HP_WINDOWS_LEFT ? cut_window(state, session) : NULL;
    if (last)
        state->windows_left[state->window_left_count++] = last;
    else
        state->windows_lost++;
}

void hp_windows_drop(hp_module_state *state) {
    for (uint32_t i = 0; i < state->window_left_count; i++)
        gathered_free(state->windows_left[i]);
    state->window_left_count = 0;
    state->windows_wanted = false;
    state->windows_lost = 0;
}

static hp_gathered *oldest_left(hp_module_state *state) {
    hp_gathered *oldest = state->windows_left[0];
    state->window_left_count--;
    memmove(state->windows_left, state->windows_left + 1, state->window_left_count * sizeof(hp_gathered *));
    return oldest;
}

/* --- as Python sees them ---------------------------------------------------------------------------------------------------------------
 */

/* NULL without an exception: there is nothing that no window has had. */
static hp_gathered *next_window(hp_module_state *state) {
    hp_session_look(state, false);
    if (!hp_session_begin_transition(state)) {
        PyErr_SetString(PyExc_RuntimeError, "the profiler is just starting or stopping in this thread: ask again when it has");
        return NULL;
    }
    hp_session *session = state->session;
    hp_gathered *next = NULL;
    if (state->window_left_count > 0)
        next = oldest_left(state);
    else if (session && !session->window_was_last && !(next = cut_window(state, session)))
        PyErr_NoMemory();
    hp_session_end_transition(state);
    return next;
}

static PyObject *window(PyObject *module, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"roots", "program", NULL};
    PyObject *roots = Py_None, *program = Py_None;
    hp_module_state *state = hp_module_state_of(module);
    hp_gathered words = {0}, *gathered;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OO:window", names, &roots, &program))
        return NULL;
    /* First what may fail: a window that was cut is nobody's if it is not returned. */
    if (hp_wording_read(roots, program, &words) < 0 || !(gathered = next_window(state))) {
        hp_gathered_fini(&words);
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    hp_wording_move(&words, gathered);
    hp_profile *profile = NULL;
    hp_status status;
    Py_BEGIN_ALLOW_THREADS status = hp_assemble(gathered, &profile);
    gathered_free(gathered);
    Py_END_ALLOW_THREADS if (status != HP_OK) state->windows_lost++;
    return status == HP_OK ? hp_profile_wrap(state, profile) : hp_raise_status(state, status);
}

static PyObject *windows(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    hp_fork_check(state);
    uint32_t nodes = state->session && state->session->window ? state->session->window->nodes : 0;
    return Py_BuildValue("(IKI)", state->window_left_count, (unsigned long long)state->windows_lost, nodes);
}

static PyObject *keep_windows(PyObject *module, PyObject *argument) {
    hp_module_state *state = hp_module_state_of(module);
    int keep = PyObject_IsTrue(argument);
    if (keep < 0)
        return NULL;
    hp_fork_check(state);
    if (!keep)
        hp_windows_drop(state);
    state->windows_wanted = keep;
    Py_RETURN_NONE;
}

PyMethodDef hp_window_methods[] = {
    {"window", (PyCFunction)(void (*)(void))window, METH_VARARGS | METH_KEYWORDS,
     "window($module, /, *, roots=None, program=None)\n--\n\nWhat was measured since the last window, None if nothing was."},
    {"windows", windows, METH_NOARGS,
     "windows($module, /)\n--\n\n(left, lost, nodes): of replaced sessions; not kept; in the session's trees."},
    {"keep_windows", keep_windows, METH_O,
     "keep_windows($module, keep, /)\n--\n\nWhether sessions that are replaced leave what no window has had. Not: what they left is "
     "dropped."},
    {NULL, NULL, 0, NULL},
};
