/* SPDX-License-Identifier: MIT */
/* costs(): what profiling has cost in the running session. status() says more and copies trees for it; this is asked several times a
 * second. */
#include "module/session.h"

#include "module/stream.h"

/* Numbers of a session that has ended are of no use to whoever keeps a budget: zeros, and the number of the last session. */
PyObject *hp_core_costs(PyObject *module, PyObject *Py_UNUSED(none)) {
    hp_module_state *state = hp_module_state_of(module);
    hp_fork_check(state);
    const hp_session *session = state->session;
    bool runs = hp_session_is_running(state);
    hp_sampler_costs sampler = {0};
    hp_tracer_costs tracer = {0};
    if (runs && session->sampler)
        sampler = hp_sampler_costs_now(session->sampler);
    if (runs && session->tracer)
        tracer = hp_tracer_costs_now(session->tracer);
    return Py_BuildValue("{sI sK sK sK sK sK sd sK}", "session", session ? (unsigned int)session->number : 0u, "sampler_cpu_ns",
                         (unsigned long long)sampler.cpu_ns, "writer_cpu_ns", (unsigned long long)hp_stream_cpu_ns(state), "events",
                         (unsigned long long)tracer.events, "gated", (unsigned long long)tracer.gated, "units",
                         (unsigned long long)tracer.units, "unit_ns", tracer.unit_ns, "own_bytes",
                         (unsigned long long)(runs ? sampler.bytes + tracer.bytes + hp_code_table_bytes(state->code) : 0));
}
