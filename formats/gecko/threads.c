/* SPDX-License-Identifier: MIT */
/* A thread is its name and its samples. They lie one after the other: their order is the tree's, not that of time, but where there is a
 * timeline. */
#include "formats/gecko/writer.h"

#include <inttypes.h>
#include <stdio.h>

static void put_sample_stack(hp_gecko_writer *w, uint32_t i) {
    uint32_t stack = w->tables.samples[w->thread->first_sample + i].stack;
    if (stack == HP_GECKO_NONE)
        hp_json_raw(&w->json, "null", 4);
    else
        hp_json_u64(&w->json, stack);
}

static void put_sample_weight(hp_gecko_writer *w, uint32_t i) {
    hp_json_ms(&w->json, w->tables.samples[w->thread->first_sample + i].ns);
}

static void put_sample_time(hp_gecko_writer *w, uint32_t i) {
    hp_json_ms(&w->json, w->thread->in_time ? w->tables.samples[w->thread->first_sample + i].begin_ns : w->elapsed);
    w->elapsed += w->tables.samples[w->thread->first_sample + i].ns;
}

static uint32_t sample_count(const hp_gecko_thread *thread) {
    return thread[1].first_sample - thread->first_sample;
}

static void put_samples(hp_gecko_writer *w) {
    uint32_t count = sample_count(w->thread);
    w->elapsed = 0;
    hp_gecko_begin_table(w, "samples", count);
    hp_gecko_text(w, "weightType", "tracing-ms");
    hp_gecko_put_column(w, "stack", count, put_sample_stack);
    hp_gecko_put_column(w, "weight", count, put_sample_weight);
    hp_gecko_put_column(w, "time", count, put_sample_time);
    hp_json_close(&w->json, '}');
}

static const hp_profile_thread *known_thread(const hp_gecko_writer *w, const hp_gecko_thread *thread) {
    return thread->thread != HP_GECKO_NONE ? &w->profile->threads[thread->thread] : NULL;
}

static void put_thread_name(hp_gecko_writer *w) {
    const hp_profile_thread *known = known_thread(w, w->thread);
    const char *name = known != NULL ? known->name : w->labels[w->profile->tree.nodes[w->thread->root].function];
    hp_json_key(&w->json, "name");
    hp_json_joined(&w->json, name, w->thread->in_time ? ", in the order of time" : "");
    uint64_t id = known != NULL && known->native_id != 0 ? known->native_id : w->thread->root;
    if (w->thread->in_time) { /* as Firefox writes the second thread of an id */
        char text[32];
        snprintf(text, sizeof text, "%" PRIu64 ".1", id);
        hp_gecko_text(w, "tid", text);
    } else {
        hp_gecko_number(w, "tid", id);
    }
}

static void put_thread(hp_gecko_writer *w, bool is_main) {
    char pid[32];
    snprintf(pid, sizeof pid, "\"%" PRIu64 "\"", w->profile->meta.pid);
    hp_json_break(&w->json);
    hp_json_open(&w->json, '{');
    put_thread_name(w);
    hp_gecko_word(w, "pid", pid);
    hp_gecko_word(w, "isMainThread", is_main ? "true" : "false");
    hp_gecko_text(w, "processType", "default");
    hp_gecko_text(w, "processName", w->profile->meta.program);
    hp_gecko_word(w, "processStartupTime", "0,\"processShutdownTime\":null,\"registerTime\":0,\"unregisterTime\":null,\"pausedRanges\":[]");
    hp_gecko_word(w, "markers", "{\"length\":0,\"data\":[],\"name\":[],\"startTime\":[],\"endTime\":[],\"phase\":[],\"category\":[]}");
    put_samples(w);
    hp_json_close(&w->json, '}');
}

uint32_t hp_gecko_main_thread(const hp_gecko_writer *w) {
    uint32_t found = 0;
    for (uint32_t i = w->tables.thread_count; i-- > 0;) {
        const hp_profile_thread *known = known_thread(w, &w->tables.threads[i]);
        found = known != NULL && known->native_id == w->profile->meta.pid && !w->tables.threads[i].in_time ? i : found;
    }
    return found;
}

void hp_gecko_put_threads(hp_gecko_writer *w) {
    uint32_t main = hp_gecko_main_thread(w);
    hp_json_break(&w->json);
    hp_json_key(&w->json, "threads");
    hp_json_open(&w->json, '[');
    for (uint32_t i = 0; i < w->tables.thread_count; i++) {
        w->thread = &w->tables.threads[i];
        put_thread(w, i == main);
    }
    hp_json_close(&w->json, ']');
}
