/* SPDX-License-Identifier: MIT */
/* status(): numbers of the running or last session, without a snapshot. */
#include "module/session.h"

#include "module/stream.h"

static PyObject *tracing_dict(const hp_tracer_counts *counts) {
    return Py_BuildValue("{sK sK sK sK sK sK}", "calls", (unsigned long long)counts->calls, "events", (unsigned long long)counts->events,
                         "gated", (unsigned long long)counts->gated, "truncated", (unsigned long long)counts->truncated, "skipped",
                         (unsigned long long)counts->skipped, "learned", (unsigned long long)counts->learned);
}

static PyObject *samples_dict(const hp_sampler_counts *counts) {
    return Py_BuildValue("{sK sK sK sK}", "kept", (unsigned long long)counts->kept, "retried", (unsigned long long)counts->retried, "unresolved",
                         (unsigned long long)counts->unresolved, "missed", (unsigned long long)counts->missed);
}

static hp_tracer_counts tracer_counts(const hp_session *session) {
    if (session && session->tracer)
        return hp_tracer_counts_now(session->tracer);
    return session && session->has_traced ? session->traced.counts : (hp_tracer_counts){0};
}

PyObject *hp_core_status(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    hp_fork_check(state);
    hp_session *session = state->session;
    bool running = session && session->running;
    hp_sampler_counts sampled = {0};
    const char *method = "";
    if (session && session->sampler) {
        hp_sampled copy;
        if (hp_sampler_collect(session->sampler, &copy) != HP_OK)
            return hp_raise_status(state, HP_NO_MEMORY);
        sampled = copy.counts;
        method = copy.method == HP_METHOD_SAME_CPU ? "same-cpu" : "remote";
        hp_sampled_fini(&copy);
    }
    hp_tracer_counts traced = tracer_counts(session);
    return Py_BuildValue("{sN sd ss sn ss ss sN sK sN sN}", "running", PyBool_FromLong(running), "rate_hz",
                         session ? session->options.sampler.rate_hz : 0.0, "clock",
                         session && session->options.sampler.clock == HP_CLOCK_CPU ? "cpu" : "wall", "targets", PyDict_GET_SIZE(state->targets),
                         "sampler_method", method, "tracer_hook", session ? session->hook : "", "samples", samples_dict(&sampled),
                         "sampler_cpu_ns", (unsigned long long)sampled.cpu_ns, "tracing", tracing_dict(&traced), "stream_error",
                         hp_stream_error(state));
}
