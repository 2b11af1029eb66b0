/* SPDX-License-Identifier: MIT */
/* A thread's samples in the order of time, from the session's start on: what "Time Order" shows is then true. Stands beside the profiles
 * that hold the sums, as what was measured exactly has no moments; such time is a stack without frames. */
#include "formats/speedscope/writer.h"

static const hp_moment *moment_at(const hp_speedscope *w, uint32_t place) {
    return &w->profile->timeline.moments[w->timeline.order[place]];
}

static void put_stack_of(hp_speedscope *w, uint32_t node) {
    for (uint32_t at = node; at != 0; at = w->profile->tree.nodes[at].parent)
        hp_speedscope_extend_stack(w, at);
    hp_json_break(&w->json);
    hp_json_open(&w->json, '[');
    hp_json_raw(&w->json, w->stack, w->paths[node] - 1);
    hp_json_close(&w->json, ']');
}

/* Both lists have an item for each moment, and one before it where nothing was sampled for a while. Returns where the last one ends. */
static uint64_t put_list(hp_speedscope *w, uint32_t index,
                         void (*put)(hp_speedscope *w, const hp_moment *moment, uint64_t gap, uint64_t ns)) {
    uint64_t end = 0;
    for (uint32_t i = w->timeline.starts[index]; i < w->timeline.starts[index + 1]; i++) {
        const hp_moment *moment = moment_at(w, i);
        uint64_t begin = hp_moment_begin_ns(moment, end);
        if (put != NULL)
            put(w, moment, begin - end, hp_moment_end_ns(moment) - begin);
        end = hp_moment_end_ns(moment);
    }
    return end;
}

static void put_stack(hp_speedscope *w, const hp_moment *moment, uint64_t gap, uint64_t ns) {
    (void)ns;
    if (gap > 0)
        hp_json_raw(&w->json, "[]", 2);
    put_stack_of(w, moment->node);
}

static void put_weight(hp_speedscope *w, const hp_moment *moment, uint64_t gap, uint64_t ns) {
    (void)moment;
    if (gap > 0)
        hp_json_u64(&w->json, gap);
    hp_json_u64(&w->json, ns);
}

void hp_speedscope_put_timeline(hp_speedscope *w, uint32_t i) {
    hp_speedscope_begin(w, w->labels[w->profile->tree.nodes[w->timeline.roots[i]].function], ", in the order of time",
                        put_list(w, i, NULL));
    hp_json_key(&w->json, "samples");
    hp_json_open(&w->json, '[');
    (void)put_list(w, i, put_stack);
    hp_json_close(&w->json, ']');
    hp_json_break(&w->json);
    hp_json_key(&w->json, "weights");
    hp_json_open(&w->json, '[');
    (void)put_list(w, i, put_weight);
    hp_json_close(&w->json, ']');
    hp_json_close(&w->json, '}');
}
