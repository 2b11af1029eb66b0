/* SPDX-License-Identifier: MIT */
/* Text for KCachegrind, callgrind_annotate, gprof2dot and speedscope; graph.h says why its costs may be trusted in each. SPEC.md has the
 * form. Names are written once, as `(id) name`, ids dense from 1: speedscope refuses an id used before or defined twice. */
#include "formats/callgrind/callgrind.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/callgrind/graph.h"
#include "formats/text.h"

#define ALL_THREADS "<all threads>"

/* Dense ids for strings by address: strings of a profile are interned, and two ids for one text would do no harm. */
typedef struct ids {
    const char **texts;
    uint32_t *of;
    uint32_t mask, count;
} ids;

typedef struct writer {
    hp_sink *sink;
    const hp_profile *profile;
    const hp_graph *graph;
    const char **labels;
    uint32_t *function_ids; /* 0: not written yet */
    uint32_t function_count;
    ids files, modules;
    bool columns[HP_EVENT_COUNT];
    bool both; /* sampled and exact: their sum goes first */
} writer;

static bool ids_init(ids *all, uint32_t functions) {
    uint32_t capacity = 64;
    while (capacity / 2 < functions + 2)
        capacity *= 2;
    all->texts = calloc(capacity, sizeof *all->texts);
    all->of = malloc(capacity * sizeof *all->of);
    all->mask = capacity - 1;
    return all->texts != NULL && all->of != NULL;
}

static void ids_fini(ids *all) {
    free(all->texts);
    free(all->of);
}

/* `fl=(3) name` the first time, `fl=(3)` after that. */
static void put_name(hp_sink *sink, ids *all, const char *key, const char *text) {
    if (text[0] == '\0')
        text = "~";
    uint32_t slot = (uint32_t)(((uint64_t)(uintptr_t)text * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & all->mask;
    while (all->texts[slot] != NULL && all->texts[slot] != text)
        slot = (slot + 1) & all->mask;
    bool is_new = all->texts[slot] == NULL;
    if (is_new) {
        all->texts[slot] = text;
        all->of[slot] = ++all->count;
    }
    hp_sink_text(sink, key);
    hp_sink_u64(sink, all->of[slot]);
    hp_sink_byte(sink, ')');
    if (is_new) {
        hp_sink_byte(sink, ' ');
        hp_text_write(sink, text, 0);
    }
    hp_sink_byte(sink, '\n');
}

static void put_function(writer *w, const char *key, uint32_t function) {
    bool is_new = w->function_ids[function] == 0;
    if (is_new)
        w->function_ids[function] = ++w->function_count;
    hp_sink_text(w->sink, key);
    hp_sink_u64(w->sink, w->function_ids[function]);
    hp_sink_byte(w->sink, ')');
    if (is_new) {
        hp_sink_byte(w->sink, ' ');
        hp_sink_text(w->sink, function == w->graph->root ? ALL_THREADS : w->labels[function]);
    }
    hp_sink_byte(w->sink, '\n');
}

static const char *file_of(const writer *w, uint32_t function) {
    return function < w->graph->root ? w->profile->functions[function].file : "";
}

static const char *module_of(const writer *w, uint32_t function) {
    return function < w->graph->root ? w->profile->functions[function].module : "";
}

static uint32_t line_of(const writer *w, uint32_t function) {
    return function < w->graph->root ? w->profile->functions[function].first_line : 0;
}

static void put_values(const writer *w, const hp_cost *cost) {
    if (w->both) {
        hp_sink_byte(w->sink, ' ');
        hp_sink_u64(w->sink, cost->of[HP_EVENT_SAMPLED] + cost->of[HP_EVENT_EXACT]);
    }
    for (int event = 0; event < HP_EVENT_COUNT; event++) {
        if (!w->columns[event])
            continue;
        hp_sink_byte(w->sink, ' ');
        hp_sink_u64(w->sink, cost->of[event]);
    }
    hp_sink_byte(w->sink, '\n');
}

static void put_cost(const writer *w, uint32_t line, const hp_cost *cost) {
    hp_sink_u64(w->sink, line);
    put_values(w, cost);
}

/* Sampled self cost by line; all else, and what no line is known of, at the first line. The lines never add up to more than the function
 * has, whatever a damaged profile claims: edges would not conserve. */
static void put_self(const writer *w, uint32_t function) {
    const hp_graph *graph = w->graph;
    hp_cost rest = graph->self[function];
    for (uint32_t i = graph->line_start[function]; i < graph->line_start[function + 1]; i++) {
        uint64_t left = rest.of[HP_EVENT_SAMPLED];
        hp_cost here = {{graph->lines[i].sampled < left ? graph->lines[i].sampled : left, 0, 0}};
        rest.of[HP_EVENT_SAMPLED] -= here.of[HP_EVENT_SAMPLED];
        if (!hp_cost_is_zero(&here))
            put_cost(w, graph->lines[i].line, &here);
    }
    if (!hp_cost_is_zero(&rest))
        put_cost(w, line_of(w, function), &rest);
}

static void put_call(writer *w, const hp_graph_edge *edge) {
    put_name(w->sink, &w->modules, "cob=(", module_of(w, edge->callee));
    put_name(w->sink, &w->files, "cfi=(", file_of(w, edge->callee));
    put_function(w, "cfn=(", edge->callee);
    hp_sink_text(w->sink, "calls=");
    /* calls=0 would make callgrind_annotate take the next line for self cost; the true count is an event of its own. */
    hp_sink_u64(w->sink, edge->calls != 0 ? edge->calls : 1);
    hp_sink_byte(w->sink, ' ');
    hp_sink_u64(w->sink, line_of(w, edge->callee));
    hp_sink_byte(w->sink, '\n');
    put_cost(w, line_of(w, edge->caller), &edge->cost);
}

static void put_one(writer *w, uint32_t function) {
    const hp_graph *graph = w->graph;
    bool any = !hp_cost_is_zero(&graph->self[function]);
    for (uint32_t i = graph->edge_start[function]; i < graph->edge_start[function + 1]; i++)
        any = any || !hp_cost_is_zero(&graph->edges[i].cost);
    if (!any)
        return;
    hp_sink_byte(w->sink, '\n');
    put_name(w->sink, &w->modules, "ob=(", module_of(w, function));
    put_name(w->sink, &w->files, "fl=(", file_of(w, function));
    put_function(w, "fn=(", function);
    put_self(w, function);
    for (uint32_t i = graph->edge_start[function]; i < graph->edge_start[function + 1]; i++) {
        if (!hp_cost_is_zero(&graph->edges[i].cost))
            put_call(w, &graph->edges[i]);
    }
}

typedef struct event {
    const char *suffix;
    const char *meaning;
} event;

/* First comes what clients that show one event should show (gprof2dot, speedscope at first sight): all time. */
static const event all_time = {"_ns", " time in ns: estimated and exact"};
static const event events[HP_EVENT_COUNT] = {
    [HP_EVENT_SAMPLED] = {"_est_ns", " time in ns: estimated by sampling"},
    [HP_EVENT_EXACT] = {"_exact_ns", " time in ns: exact, from traced calls"},
    [HP_EVENT_CALLS] = {"Calls_exact", "Traced calls, exact"},
};

/* Wall_est_ns or Cpu_est_ns by the clock of the session; calls belong to none. */
static void put_event_name(const writer *w, const event *shown, bool meaning) {
    static const char *const clocks[] = {"Wall", "Cpu", "Wait"};
    const char *clock = shown == &events[HP_EVENT_CALLS] ? "" : clocks[w->profile->meta.clock];
    hp_sink_text(w->sink, clock);
    hp_sink_text(w->sink, meaning ? shown->meaning : shown->suffix);
}

static void put_events(const writer *w) {
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            hp_sink_text(w->sink, "events:");
        for (int i = -1; i < HP_EVENT_COUNT; i++) {
            const event *shown = i < 0 ? &all_time : &events[i];
            if (i < 0 ? !w->both : !w->columns[i])
                continue;
            hp_sink_text(w->sink, pass == 0 ? "event: " : " ");
            put_event_name(w, shown, false);
            if (pass == 1)
                continue;
            hp_sink_text(w->sink, " : ");
            put_event_name(w, shown, true);
            hp_sink_byte(w->sink, '\n');
        }
    }
    hp_sink_byte(w->sink, '\n');
}

static void put_header(const writer *w) {
    const hp_meta *meta = &w->profile->meta;
    hp_sink_text(w->sink, "# callgrind format\nversion: 1\ncreator: hybridprof\n");
    if (meta->pid != 0)
        hp_sink_format(w->sink, "pid: %" PRIu64 "\n", meta->pid);
    if (meta->program != NULL && meta->program[0] != '\0') {
        hp_sink_text(w->sink, "cmd: ");
        hp_text_write(w->sink, meta->program, 0);
        hp_sink_byte(w->sink, '\n');
    }
    hp_sink_text(w->sink, "part: 1\n");
    if (w->columns[HP_EVENT_SAMPLED])
        hp_sink_format(w->sink, "desc: Samples: %" PRIu64 "\n", meta->samples_kept);
    hp_sink_text(w->sink, "positions: line\n");
    put_events(w);
    hp_sink_text(w->sink, "summary:");
    put_values(w, &w->graph->total);
}

/* One row above the threads where there are several roots, or where the only one is also called: a function that is both is shown wrongly
 * by all clients. */
static bool needs_root(const hp_graph *graph) {
    uint32_t roots = 0, only = 0;
    for (uint32_t i = graph->edge_start[graph->root]; i < graph->edge_start[graph->root + 1]; i++) {
        if (!hp_cost_is_zero(&graph->edges[i].cost)) {
            roots++;
            only = graph->edges[i].callee;
        }
    }
    for (uint32_t i = 0; roots == 1 && i < graph->edge_start[graph->root]; i++) {
        if (graph->edges[i].callee == only && !hp_cost_is_zero(&graph->edges[i].cost))
            return true;
    }
    return roots > 1;
}

static void put_all(writer *w) {
    const hp_cost *total = &w->graph->total;
    for (int i = 0; i < HP_EVENT_COUNT; i++)
        w->columns[i] = total->of[i] != 0;
    w->both = w->columns[HP_EVENT_SAMPLED] && w->columns[HP_EVENT_EXACT];
    /* Nothing measured still is a file that opens, and one that does not say that anything was estimated. */
    if (!w->columns[HP_EVENT_SAMPLED] && !w->columns[HP_EVENT_CALLS])
        w->columns[HP_EVENT_EXACT] = true;
    put_header(w);
    if (needs_root(w->graph))
        put_one(w, w->graph->root);
    for (uint32_t function = 0; function < w->graph->root; function++)
        put_one(w, function);
    hp_sink_text(w->sink, "\ntotals:");
    put_values(w, total);
}

static hp_status write_callgrind(hp_sink *sink, const hp_profile *profile, hp_error *error) {
    hp_graph graph = {0};
    writer w = {.sink = sink, .profile = profile, .graph = &graph};
    hp_status status = hp_graph_init(&graph, profile);
    if (status == HP_OK)
        status = hp_labels_new(profile, &w.labels);
    if (status != HP_OK)
        goto done;
    w.function_ids = calloc((size_t)profile->function_count + 1, sizeof *w.function_ids);
    if (w.function_ids == NULL || !ids_init(&w.files, profile->function_count) || !ids_init(&w.modules, profile->function_count)) {
        status = HP_NO_MEMORY;
        goto done;
    }
    put_all(&w);
    status = hp_sink_flush(sink, error);
done:
    if (status == HP_NO_MEMORY)
        hp_fail(error, status, 0, "not enough memory to write a callgrind file");
    ids_fini(&w.files);
    ids_fini(&w.modules);
    free(w.function_ids);
    hp_labels_free(w.labels);
    hp_graph_fini(&graph);
    return status;
}

static bool recognize(const uint8_t *bytes, size_t size) {
    static const char *const beginnings[] = {"# callgrind format", "version: 1\ncreator:"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        if (size >= strlen(beginnings[i]) && memcmp(bytes, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    }
    return false;
}

static const char *const suffixes[] = {".callgrind", NULL};

const hp_format hp_format_callgrind = {
    .name = "callgrind",
    .suffixes = suffixes,
    .prefix = "callgrind.out",
    .readers = "KCachegrind, callgrind_annotate, gprof2dot",
    .keeps = HP_KEEPS_CALLERS | HP_KEEPS_CALLS | HP_KEEPS_APART | HP_KEEPS_LINES | HP_KEEPS_THREADS,
    .is_text = true,
    .write = write_callgrind,
    .recognize = recognize,
};
