/* SPDX-License-Identifier: MIT */
/* What is said of the profile as a whole: categories, times, what it is of. */
#include "formats/gecko/writer.h"

enum { FORMAT_VERSION = 60, RECORDER_VERSION = 31 };

typedef struct category {
    const char *name, *color;
} category;

/* The first grey one is what the reader falls back to. None is transparent: that means idle, which it leaves out of its sums. */
static const category categories[HP_GECKO_CATEGORIES] = {
    [HP_GECKO_OTHER] = {"Other", "grey"},
    [HP_GECKO_EXACT] = {"Exact", "blue"},
    [HP_GECKO_SAMPLED + HP_STATE_UNKNOWN] = {"Sampled", "darkgrey"},
    [HP_GECKO_SAMPLED + HP_STATE_PYTHON] = {"Sampled: Python", "yellow"},
    [HP_GECKO_SAMPLED + HP_STATE_C] = {"Sampled: C function", "orange"},
    [HP_GECKO_SAMPLED + HP_STATE_GC] = {"Sampled: garbage collection", "brown"},
    [HP_GECKO_SAMPLED + HP_STATE_NATIVE] = {"Sampled: running without the GIL", "green"},
    [HP_GECKO_SAMPLED + HP_STATE_GIL] = {"Sampled: waiting for the GIL", "red"},
    [HP_GECKO_SAMPLED + HP_STATE_LOCK] = {"Sampled: waiting for a lock", "magenta"},
    [HP_GECKO_SAMPLED + HP_STATE_SLEEP] = {"Sampled: sleeping", "purple"},
    [HP_GECKO_SAMPLED + HP_STATE_IO] = {"Sampled: in a system call", "lightblue"},
};

static void put_categories(hp_gecko_writer *w) {
    hp_json_break(&w->json);
    hp_json_key(&w->json, "categories");
    hp_json_open(&w->json, '[');
    for (uint32_t i = 0; i < HP_GECKO_CATEGORIES; i++) {
        hp_json_break(&w->json);
        hp_json_open(&w->json, '{');
        hp_gecko_text(w, "name", categories[i].name);
        hp_gecko_text(w, "color", categories[i].color);
        hp_gecko_word(w, "subcategories", "[\"Other\"]");
        hp_json_close(&w->json, '}');
    }
    hp_json_close(&w->json, ']');
}

static void put_entry(hp_gecko_writer *w, const char *label, const char *value) {
    hp_json_open(&w->json, '{');
    hp_gecko_text(w, "label", label);
    hp_gecko_text(w, "format", "string");
    hp_gecko_text(w, "value", value);
    hp_json_close(&w->json, '}');
}

static void put_extra(hp_gecko_writer *w) {
    const hp_meta *meta = &w->profile->meta;
    hp_json_break(&w->json);
    hp_json_key(&w->json, "extra");
    hp_json_open(&w->json, '[');
    hp_json_open(&w->json, '{');
    hp_gecko_text(w, "label", "hybridprof");
    hp_json_key(&w->json, "entries");
    hp_json_open(&w->json, '[');
    static const char *const clocks[] = {"wall time", "CPU time", "time of waits"};
    put_entry(w, "Clock", clocks[meta->clock]);
    put_entry(w, "Python", meta->python);
    hp_json_close(&w->json, ']');
    hp_json_close(&w->json, '}');
    hp_json_close(&w->json, ']');
}

enum { TRACKS = 50 }; /* more in view at first would be no view */

/* The main thread; where there is a timeline it is the one to look at. */
static uint32_t first_shown(const hp_gecko_writer *w) {
    uint32_t main = hp_gecko_main_thread(w), first = HP_GECKO_NONE;
    for (uint32_t i = 0; i < w->tables.thread_count; i++) {
        const hp_gecko_thread *thread = &w->tables.threads[i];
        first = thread->in_time && (first == HP_GECKO_NONE || thread->root == w->tables.threads[main].root) ? i : first;
    }
    return first == HP_GECKO_NONE ? main : first;
}

/* The reader would choose by activity, which it knows nothing of here: the first threads with time are to be seen, and the main one. */
static void put_threads_shown(hp_gecko_writer *w) {
    uint32_t main = first_shown(w), tracks = 0;
    if (w->tables.thread_count == 0)
        return;
    bool in_time = w->tables.threads[main].in_time;
    hp_json_key(&w->json, "initialVisibleThreads");
    hp_json_open(&w->json, '[');
    for (uint32_t i = 0; i < w->tables.thread_count; i++) {
        bool seen = w->tables.threads[i].sum_ns != 0 && w->tables.threads[i].in_time == in_time && tracks++ < TRACKS;
        if (seen || i == main)
            hp_json_u64(&w->json, i);
    }
    hp_json_close(&w->json, ']');
    hp_json_key(&w->json, "initialSelectedThreads");
    hp_json_open(&w->json, '[');
    hp_json_u64(&w->json, main);
    hp_json_close(&w->json, ']');
}

/* A file may claim any rate: from one sample in a fortnight to one each ns the interval is a number. */
static uint64_t interval_ns(double rate_hz) {
    return rate_hz >= 1e-6 && rate_hz <= 1e9 ? (uint64_t)(1e9 / rate_hz) : 1000000;
}

/* Samples lie one after the other, so the time range is the longest thread's sum, or where its last moment is. The reader takes an end of 0
 * for none. */
static uint64_t range_ns(const hp_gecko_writer *w) {
    uint64_t longest = 1000000;
    for (uint32_t i = 0; i < w->tables.thread_count; i++)
        longest = w->tables.threads[i].end_ns > longest ? w->tables.threads[i].end_ns : longest;
    return longest;
}

static void put_time(hp_gecko_writer *w, const char *key, uint64_t ns) {
    hp_json_key(&w->json, key);
    hp_json_ms(&w->json, ns);
}

void hp_gecko_put_meta(hp_gecko_writer *w) {
    const hp_meta *meta = &w->profile->meta;
    hp_json_key(&w->json, "meta");
    hp_json_open(&w->json, '{');
    hp_gecko_number(w, "preprocessedProfileVersion", FORMAT_VERSION);
    hp_gecko_number(w, "version", RECORDER_VERSION);
    hp_gecko_text(w, "product", meta->program[0] != '\0' ? meta->program : "Python");
    hp_gecko_text(w, "importedFrom", "hybridprof");
    put_time(w, "interval", interval_ns(meta->rate_hz));
    put_time(w, "startTime", meta->started_ns > 0 ? (uint64_t)meta->started_ns : 0);
    put_time(w, "profilingStartTime", 0);
    put_time(w, "profilingEndTime", range_ns(w));
    hp_gecko_word(w, "processType", "0,\"stackwalk\":0,\"symbolicated\":true,\"symbolicationNotSupported\":true,\"markerSchema\":[]");
    hp_gecko_word(w, "usesOnlyOneStackType", "true,\"sourceCodeIsNotOnSearchfox\":true,\"keepProfileThreadOrder\":true");
    put_threads_shown(w);
    put_categories(w);
    put_extra(w);
    hp_json_close(&w->json, '}');
}
