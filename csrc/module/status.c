/* SPDX-License-Identifier: MIT */
/* status(): numbers of the running or last session, without a snapshot. */
#include "module/session.h"

#include "frame/tasks.h"
#include "module/stream.h"

typedef struct tracing {
    hp_tracer_counts counts;
    uint64_t overhead_ns;
} tracing;

static PyObject *tracing_dict(const tracing *now) {
    const hp_tracer_counts *counts = &now->counts;
    return Py_BuildValue("{sK sK sK sK sK sK sK sK}", "calls", (unsigned long long)counts->calls, "events",
                         (unsigned long long)counts->events, "gated", (unsigned long long)counts->gated, "truncated",
                         (unsigned long long)counts->truncated, "skipped", (unsigned long long)counts->skipped, "learned",
                         (unsigned long long)counts->learned, "overhead_ns", (unsigned long long)now->overhead_ns, "memory_bytes",
                         (unsigned long long)counts->memory_bytes);
}

static PyObject *samples_dict(const hp_sampler_counts *counts) {
    return Py_BuildValue("{sK sK sK sK sK sK sK sN}", "kept", (unsigned long long)counts->kept, "retried",
                         (unsigned long long)counts->retried, "unresolved", (unsigned long long)counts->unresolved, "missed",
                         (unsigned long long)counts->missed, "ticks", (unsigned long long)counts->ticks, "lowered",
                         (unsigned long long)counts->lowered, "remote", (unsigned long long)counts->remote, "unresolved_by",
                         hp_causes_dict(counts->unresolved_by));
}

/* How stacks of asyncio tasks are read, and how many were. */
static PyObject *tasks_dict(const hp_session_options *options, const hp_sampler_counts *counts) {
    static const char *const states[] = {
        [HP_TASKS_NOT_MET] = "asyncio not met", [HP_TASKS_KNOWN] = "on", [HP_TASKS_IMPOSSIBLE] = "unknown asyncio"};
    const char *state = options && options->sampler.tasks ? states[hp_tasks_state_now()] : "off";
    return Py_BuildValue("{ss sK sK}", "state", state, "samples", (unsigned long long)counts->in_tasks, "names_refused",
                         (unsigned long long)counts->task_names_refused);
}

static double overhead_ticks(const hp_tree *tree) {
    uint64_t ticks = 0;
    for (uint32_t i = 1; i < tree->count; i++)
        ticks += tree->nodes[i].overhead;
    return (double)ticks;
}

static hp_status look_at_tracing(const hp_session *session, tracing *out) {
    *out = (tracing){0};
    if (!session->tracer && !session->has_traced)
        return HP_OK;
    hp_traced copy;
    const hp_traced *traced = &session->traced;
    if (session->tracer) {
        hp_status status = hp_tracer_collect(session->tracer, &copy);
        if (status != HP_OK)
            return status;
        traced = &copy;
    }
    hp_timebase now = session->running ? hp_timebase_now() : session->ended;
    out->counts = traced->counts;
    out->overhead_ns = (uint64_t)(overhead_ticks(&traced->tree) * hp_ns_per_tick(&session->began, &now));
    if (traced == &copy)
        hp_traced_fini(&copy);
    return HP_OK;
}

static bool is_own(const hp_session *session, uint32_t thread) {
    for (uint32_t i = 0; i < session->own_thread_count; i++)
        if (session->own_threads[i] == thread)
            return true;
    return false;
}

/* Without the threads that are ours, as in a profile. */
static hp_status look_at_sampling(const hp_session *session, hp_sampler_counts *counts, const char **method) {
    hp_sampled copy;
    if (!session->sampler)
        return HP_OK;
    hp_status status = hp_sampler_collect(session->sampler, HP_NO_MOMENTS, &copy);
    if (status != HP_OK)
        return status;
    *counts = copy.counts;
    for (uint32_t i = 0; i < copy.thread_count; i++)
        if (copy.threads[i].root != HP_NO_NODE && is_own(session, copy.threads[i].thread))
            counts->kept -= copy.tree.nodes[copy.threads[i].root].samples;
    static const char *const methods[] = HP_METHOD_NAMES;
    *method = methods[copy.method];
    hp_sampled_fini(&copy);
    return HP_OK;
}

/* The mean rate that was had: some of the ticks that were asked for are missed. */
static double rate_had(const hp_session *session, const hp_sampler_counts *counts) {
    if (!session)
        return 0.0;
    int64_t ended = session->running ? hp_now_ns() : session->ended.ns;
    return (double)counts->ticks * 1e9 / (double)(ended - session->began.ns + 1);
}

static PyObject *status_dict(hp_module_state *state, const hp_session *session, const hp_sampler_counts *sampled, const char *method,
                             const tracing *traced) {
    const hp_session_options *options = session ? &session->options : NULL;
    return Py_BuildValue("{sN sd sd ss sn ss ss sN sN sK sN sN}", "running", PyBool_FromLong(hp_session_is_running(state)), "rate_hz",
                         options ? options->sampler.rate_hz : 0.0, "rate_had_hz", rate_had(session, sampled), "clock",
                         options && options->sampler.clock == HP_CLOCK_CPU ? "cpu" : "wall", "targets", PyDict_GET_SIZE(state->targets),
                         "sampler_method", method, "tracer_hook", session ? session->hook : "", "samples", samples_dict(sampled), "tasks",
                         tasks_dict(options, sampled), "sampler_cpu_ns", (unsigned long long)sampled->cpu_ns, "tracing",
                         tracing_dict(traced), "stream_error", hp_stream_error(state));
}

PyObject *hp_core_status(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    hp_fork_check(state);
    const hp_session *session = state->session;
    hp_sampler_counts sampled = {0};
    tracing traced = {0};
    const char *method = "";
    hp_status status = session ? look_at_sampling(session, &sampled, &method) : HP_OK;
    if (status == HP_OK && session)
        status = look_at_tracing(session, &traced);
    return status == HP_OK ? status_dict(state, session, &sampled, method, &traced) : hp_raise_status(state, status);
}
