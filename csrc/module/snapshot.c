/* SPDX-License-Identifier: MIT */
/* Copies of both trees are taken first; names are looked up afterwards, for every slot that the copies can hold. No Python code runs in
 * between and the GIL is not given up, so all of it is of one moment. */
#include "module/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "frame/tasks.h"

void hp_gathered_fini(hp_gathered *gathered) {
    if (gathered->has_sampled)
        hp_sampled_fini(&gathered->sampled);
    if (gathered->has_traced)
        hp_traced_fini(&gathered->traced);
    for (uint32_t i = 0; i < gathered->thread_count; i++)
        free(gathered->threads[i].name);
    for (uint32_t i = 0; i < gathered->hidden_count; i++)
        free(gathered->hidden[i]);
    for (uint32_t i = 0; i < gathered->root_count; i++)
        free(gathered->roots[i]);
    for (uint32_t i = 0; i < gathered->warning_count; i++)
        free(gathered->warnings[i]);
    free(gathered->threads);
    free(gathered->hidden);
    free(gathered->roots);
    free(gathered->warnings);
    free(gathered->python);
    free(gathered->platform);
    free(gathered->program);
    free(gathered->rates);
    *gathered = (hp_gathered){0};
}

static hp_status copy_texts(char *const *from, uint32_t count, char ***to, uint32_t *copied) {
    *to = calloc((size_t)count + 1, sizeof **to);
    if (!*to)
        return HP_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        if (!((*to)[i] = strdup(from[i])))
            return HP_NO_MEMORY;
        *copied = i + 1;
    }
    return HP_OK;
}

/* The stopped session keeps its original. */
static hp_status copy_traced(const hp_traced *from, hp_traced *to) {
    *to = *from;
    hp_status status = hp_tree_copy(&to->tree, &from->tree);
    to->whole_slots = malloc(((size_t)from->whole_count + 1) * sizeof *to->whole_slots);
    to->reported_slots = malloc(((size_t)from->reported_count + 1) * sizeof *to->reported_slots);
    to->spared = malloc(((size_t)from->spared_count + 1) * sizeof *to->spared);
    to->threads = malloc(((size_t)from->thread_count + 1) * sizeof *to->threads);
    if (status != HP_OK || !to->threads || !to->spared || !to->whole_slots || !to->reported_slots) {
        hp_traced_fini(to);
        return HP_NO_MEMORY;
    }
    if (from->thread_count > 0)
        memcpy(to->threads, from->threads, from->thread_count * sizeof *to->threads);
    if (from->whole_count > 0)
        memcpy(to->whole_slots, from->whole_slots, from->whole_count * sizeof *to->whole_slots);
    if (from->spared_count > 0)
        memcpy(to->spared, from->spared, from->spared_count * sizeof *to->spared);
    if (from->reported_count > 0)
        memcpy(to->reported_slots, from->reported_slots, from->reported_count * sizeof *to->reported_slots);
    return HP_OK;
}

static hp_status gather_trees(hp_session *session, uint64_t first_moment, hp_gathered *gathered) {
    hp_status status = HP_OK;
    if (session->tracer || session->has_traced) {
        status = session->tracer ? hp_tracer_collect(session->tracer, &gathered->traced) : copy_traced(&session->traced, &gathered->traced);
        gathered->has_traced = status == HP_OK;
    }
    int64_t now;
    if (status == HP_OK && session->running) /* after the tracer's books: a life that ends before what it holds would be too short */
        status = hp_session_see_threads(session, false, &now);
    if (status == HP_OK && session->sampler) {
        status = hp_sampler_collect(session->sampler, first_moment, &gathered->sampled);
        gathered->has_sampled = status == HP_OK;
    }
    return status;
}

/* When each thread was last seen, by index: where it was sampled, as far as its time was counted and not a tick later. */
static int64_t *list_ends(hp_session *session, const hp_gathered *gathered, uint32_t count) {
    int64_t *ends = calloc((size_t)count + 1, sizeof *ends);
    for (uint32_t i = 0; ends && i < count; i++) /* a number that stands for itself */
        ends[i] = atomic_load_explicit(&hp_threads_at(session->threads, i)->last_seen_ns, memory_order_relaxed);
    for (uint32_t i = 0; ends && gathered->clock == HP_CLOCK_WALL && i < gathered->sampled.thread_count; i++)
        if (gathered->sampled.threads[i].thread < count)
            ends[gathered->sampled.threads[i].thread] = gathered->sampled.threads[i].until_ns;
    return ends;
}

static hp_status gather_threads(hp_session *session, hp_gathered *gathered) {
    hp_status status = HP_NO_MEMORY;
    uint32_t count = hp_threads_count(session->threads);
    hp_pairs served = {0};
    int64_t *ends = list_ends(session, gathered, count);
    gathered->threads = calloc((size_t)count + 1, sizeof *gathered->threads);
    if (!gathered->threads || !ends)
        goto done;
    for (uint32_t i = 0; i < count; i++) {
        const hp_thread *from = hp_threads_at(session->threads, i);
        hp_gathered_thread *to = &gathered->threads[i];
        if (hp_names_thread(session->threads, from, &served, &to->name) != HP_OK)
            goto done;
        gathered->thread_count = i + 1;
        to->native_id = from->native_id;
        int64_t began = from->existed_at_start ? session->began.ns : from->first_seen_ns;
        if (!session->running && ends[i] > session->ended.ns)
            ends[i] = session->ended.ns;
        to->lived_ns = hp_threads_lived_ns(session->threads, from, began, ends[i]);
    }
    status = HP_OK;
done:
    free(ends);
    hp_pairs_fini(&served);
    return status;
}

static void mark_own_threads(const hp_session *session, hp_gathered *gathered) {
    for (uint32_t i = 0; i < session->own_thread_count; i++)
        if (session->own_threads[i] < gathered->thread_count)
            gathered->threads[session->own_threads[i]].is_own = true;
}

static hp_status gather_warnings(hp_session *session, hp_gathered *gathered) {
    const char *warning;
    for (uint32_t i = 0; session->tracer && (warning = hp_tracer_warning(session->tracer, i)) != NULL; i++)
        hp_session_warn(session, warning);
    return copy_texts(session->warnings, session->warning_count, &gathered->warnings, &gathered->warning_count);
}

/* In single quotes unless it needs none; a quote inside becomes '\''. */
static void quote_word(FILE *out, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_";
    if (*word && word[strspn(word, plain)] == '\0') {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    }
    fputc('\'', out);
}

/* sys.orig_argv (what was typed), else sys.argv; "" where the program took both away. */
static char *gather_program(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    PyObject *list = PySys_GetObject("orig_argv");
    if (!list || !PyList_Check(list) || PyList_GET_SIZE(list) == 0)
        list = PySys_GetObject("argv");
    for (Py_ssize_t i = 0; list && PyList_Check(list) && i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        char *word = PyUnicode_Check(item) ? hp_text_from_unicode(item) : NULL;
        if (i > 0)
            fputc(' ', out);
        quote_word(out, word ? word : "");
        free(word);
    }
    PyErr_Clear();
    return fclose(out) == 0 ? text : NULL;
}

static hp_status gather_surroundings(hp_module_state *state, hp_gathered *gathered) {
    const char *version = Py_GetVersion();
    gathered->python = strndup(version, strcspn(version, " "));
    gathered->program = gather_program();
    struct utsname machine;
    char platform[sizeof machine.sysname + sizeof machine.release + sizeof machine.machine + 3] = "unknown";
    if (uname(&machine) == 0)
        snprintf(platform, sizeof platform, "%s-%s-%s", machine.sysname, machine.release, machine.machine);
    gathered->platform = strdup(platform);
    gathered->rates = hp_chance_rates(state);
    return gathered->python && gathered->program && gathered->platform && gathered->rates ? HP_OK : HP_NO_MEMORY;
}

static hp_status gather(hp_module_state *state, hp_session *session, uint64_t first_moment, hp_gathered *gathered) {
    gathered->code = state->code;
    gathered->began = session->began;
    gathered->started_wall_ns = session->started_wall_ns;
    gathered->clock = session->options.sampler.clock;
    gathered->rate_hz = session->options.sampler.rate_hz;
    gathered->hook = session->hook;
    gathered->tasks_impossible = session->options.sampler.tasks && hp_tasks_state_now() == HP_TASKS_IMPOSSIBLE;
    memcpy(gathered->id, session->id, sizeof gathered->id);
    hp_status status = gather_trees(session, first_moment, gathered);
    gathered->ended = session->running ? hp_timebase_now() : session->ended;
    if (status == HP_OK)
        status = gather_warnings(session, gathered);
    if (status == HP_OK)
        status = copy_texts(state->hidden.prefixes, state->hidden.count, &gathered->hidden, &gathered->hidden_count);
    if (status != HP_OK)
        return status;
    if (session->running)
        hp_names_threads(state, session);
    hp_names_describe(state);
    status = gather_threads(session, gathered);
    mark_own_threads(session, gathered);
    return status == HP_OK ? gather_surroundings(state, gathered) : status;
}

hp_status hp_gather(hp_module_state *state, hp_session *session, uint64_t first_moment, hp_gathered *gathered) {
    *gathered = (hp_gathered){0};
    int collecting = PyGC_Disable(); /* or naming could run finalizers, and those anything */
    hp_status status = gather(state, session, first_moment, gathered);
    if (collecting)
        PyGC_Enable();
    if (status != HP_OK)
        hp_gathered_fini(gathered);
    return status;
}
