/* SPDX-License-Identifier: MIT */
/* A profile's metadata and threads as Python dicts: the shape of `hybridprof info --json`. */
#include "module/profile_type.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tree/merge.h"

static const char *clock_name(const hp_meta *meta) {
    static const char *const names[] = HP_CLOCK_NAMES;
    return names[meta->clock];
}

static PyObject *thread_dict(const hp_profile_thread *thread) {
    long long residual = hp_residual_ns(thread->measured_ns, thread->sampled_ns + thread->exact_ns + thread->overhead_ns);
    PyObject *root = thread->root == HP_NO_NODE ? Py_NewRef(Py_None) : PyLong_FromUnsignedLong(thread->root);
    return Py_BuildValue("{sN sK sN sK sK sK sK sK sK sK sL}", "name", hp_text_to_unicode(thread->name), "native_id",
                         (unsigned long long)thread->native_id, "root", root, "samples", (unsigned long long)thread->samples,
                         "traced_samples", (unsigned long long)thread->traced_samples, "measured_ns",
                         (unsigned long long)thread->measured_ns, "sampled_ns", (unsigned long long)thread->sampled_ns, "exact_ns",
                         (unsigned long long)thread->exact_ns, "overhead_ns", (unsigned long long)thread->overhead_ns, "unresolved_ns",
                         (unsigned long long)thread->unresolved_ns, "residual_ns", residual);
}

PyObject *hp_profile_threads(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_profile *profile = self->profile;
    PyObject *list = PyList_New(profile->thread_count);
    for (uint32_t i = 0; list && i < profile->thread_count; i++) {
        PyObject *item = thread_dict(&profile->threads[i]);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, item);
    }
    return list;
}

/* One word of a command line quoted for a shell, copied to `word` (as long as `at`) without its quotes. Returns where the next begins. */
static const char *next_word(const char *at, char *word) {
    char quote = 0;
    for (; *at && (quote || *at != ' '); at++) {
        if (quote != '\'' && *at == '\\' && at[1])
            *word++ = *++at;
        else if (*at == quote)
            quote = 0;
        else if (!quote && (*at == '\'' || *at == '"'))
            quote = *at;
        else
            *word++ = *at;
    }
    *word = '\0';
    while (*at == ' ')
        at++;
    return at;
}

static PyObject *split_program(const char *program) {
    char *word = malloc(strlen(program) + 1);
    PyObject *list = word ? PyList_New(0) : hp_raise_no_memory("not enough memory for the words of a profile's command line");
    while (list && *program) {
        program = next_word(program, word);
        PyObject *item = hp_text_to_unicode(word);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    free(word);
    return list;
}

static PyObject *warning_list(const hp_meta *meta) {
    PyObject *list = PyList_New(meta->warning_count);
    for (uint32_t i = 0; list && i < meta->warning_count; i++) {
        PyObject *text = hp_text_to_unicode(meta->warnings[i]);
        if (!text)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, text);
    }
    return list;
}

static PyObject *id_text(const uint8_t id[16]) {
    char text[33];
    for (unsigned i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    return PyUnicode_FromString(text);
}

/* ISO 8601, UTC: 2026-01-31T12:30:00.123456Z. */
static PyObject *time_text(int64_t ns) {
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm parts;
    char text[64] = "";
    if (ns < 0 || !gmtime_r(&seconds, &parts) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        return PyUnicode_FromString("");
    return PyUnicode_FromFormat("%s.%06dZ", text, (int)(ns % 1000000000 / 1000));
}

PyObject *hp_causes_dict(const uint64_t counts[HP_CAUSES]) {
    static const char *const names[HP_CAUSES] = HP_CAUSE_NAMES;
    PyObject *dict = PyDict_New();
    for (int i = 0; dict && i < HP_CAUSES; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(counts[i]);
        if (!count || PyDict_SetItemString(dict, names[i], count) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(count);
    }
    return dict;
}

static PyObject *samples_dict(const hp_meta *meta) {
    return Py_BuildValue("{sK sK sK sK sK sK sK sN}", "kept", (unsigned long long)meta->samples_kept, "retried",
                         (unsigned long long)meta->samples_retried, "unresolved", (unsigned long long)meta->samples_unresolved, "missed",
                         (unsigned long long)meta->ticks_missed, "ticks", (unsigned long long)meta->ticks, "lowered",
                         (unsigned long long)meta->ticks_lowered, "remote", (unsigned long long)meta->samples_remote, "unresolved_by",
                         hp_causes_dict(meta->unresolved_by));
}

static PyObject *tracing_dict(const hp_meta *meta) {
    return Py_BuildValue("{sK sK sK sK sK sK sK}", "targets", (unsigned long long)meta->tracing_targets, "calls",
                         (unsigned long long)meta->tracing_calls, "events", (unsigned long long)meta->tracing_events, "gated",
                         (unsigned long long)meta->tracing_gated, "overhead_ns", (unsigned long long)meta->tracing_overhead_ns,
                         "overhead_error_ns", (unsigned long long)meta->tracing_overhead_error_ns, "truncated",
                         (unsigned long long)meta->tracing_truncated);
}

static PyObject *source_dict(const hp_meta *meta) {
    return Py_BuildValue("{sN sN sN sN sK sN sN sK sd sK ss}", "profile_id", id_text(meta->id), "python", hp_text_to_unicode(meta->python),
                         "implementation", hp_text_to_unicode(meta->implementation), "platform", hp_text_to_unicode(meta->platform), "pid",
                         (unsigned long long)meta->pid, "argv", split_program(meta->program), "started", time_text(meta->started_ns),
                         "duration_ns", (unsigned long long)meta->duration_ns, "rate_hz", meta->rate_hz, "samples_kept",
                         (unsigned long long)meta->samples_kept, "clock", clock_name(meta));
}

PyObject *hp_profile_source_list(const hp_profile *profile) {
    uint32_t count;
    const hp_meta *sources = hp_profile_sources(profile, &count);
    PyObject *list = PyList_New(count);
    for (uint32_t i = 0; list && i < count; i++) {
        PyObject *item = source_dict(&sources[i]);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, item);
    }
    return list;
}

PyObject *hp_profile_meta(hp_profile_object *self, PyObject *Py_UNUSED(none)) {
    const hp_meta *meta = &self->profile->meta;
    return Py_BuildValue("{sN sN sN sN sK sN sN sK ss sd sN sK sN sN sL sN sN sN sN}", "profile_id", id_text(meta->id), "python",
                         hp_text_to_unicode(meta->python), "implementation", hp_text_to_unicode(meta->implementation), "platform",
                         hp_text_to_unicode(meta->platform), "pid", (unsigned long long)meta->pid, "argv", split_program(meta->program),
                         "started", time_text(meta->started_ns), "duration_ns", (unsigned long long)meta->duration_ns, "clock",
                         clock_name(meta), "rate_hz", meta->rate_hz, "samples", samples_dict(meta), "sampler_cpu_ns",
                         (unsigned long long)meta->sampler_cpu_ns, "tracing", tracing_dict(meta), "threads", hp_profile_threads(self, NULL),
                         "residual_ns", (long long)hp_profile_residual_ns(self->profile), "warnings", warning_list(meta), "sampler_method",
                         hp_text_to_unicode(meta->sampler_method), "tracer_hook", hp_text_to_unicode(meta->tracer_hook), "tracing_spared",
                         hp_text_to_unicode(meta->tracing_spared));
}
