/* SPDX-License-Identifier: MIT */
/* speedscope's own JSON: the functions once, then for each thread and kind of measurement a "sampled" profile, which is a list of stacks
 * and one of weights. SPEC.md says why these and not the "evented" ones.
 *
 * A stack is written for each node that has time, the text of its callers' numbers copied from the node visited before: it lies in one
 * buffer that grows and shrinks with the walk. Stacks repeat their prefix, so the size is added up before the first byte. */
#include "formats/speedscope/speedscope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/speedscope/writer.h"

/* A browser's strings end at half a gigabyte; a disk should not fill because a recursion was deep. */
#define SIZE_LIMIT ((uint64_t)4 << 30)
#define SCHEMA "https://www.speedscope.app/file-format-schema.json"

static uint64_t weight_of(const hp_node *node, kind which) {
    return (which != EXACT ? node->sampled : 0) + (which != SAMPLED ? node->exact : 0);
}

static uint64_t sum_of(const part *thread, kind which) {
    return (which != EXACT ? thread->sampled : 0) + (which != SAMPLED ? thread->exact : 0);
}

/* Where a thread has both kinds, their sum goes first and then each: so one profile shows what hybridprof's table shows. */
static bool is_written(const part *thread, kind which) {
    if (which == BOTH)
        return thread->sampled != 0 && thread->exact != 0;
    return sum_of(thread, which) != 0;
}

static uint32_t digits_of(uint32_t value) {
    uint32_t count = 1;
    for (; value >= 10; value /= 10)
        count++;
    return count;
}

/* Parents come before children, so one pass knows all paths. */
static void number_frames(hp_speedscope *w) {
    const hp_tree *tree = &w->profile->tree;
    memset(w->frames, 0xff, w->profile->function_count * sizeof *w->frames);
    w->paths[0] = 0;
    for (uint32_t i = 1; i < tree->count; i++) {
        uint32_t *frame = &w->frames[tree->nodes[i].function];
        if (*frame == HP_NO_FUNCTION)
            *frame = w->frame_count++;
        w->paths[i] = w->paths[tree->nodes[i].parent] + digits_of(*frame) + 1;
        w->longest = w->paths[i] > w->longest ? w->paths[i] : w->longest;
        w->part_count += tree->nodes[i].parent == 0;
    }
}

/* What the stacks and weights of a thread take, about. Stops where it is enough to be refused. */
static uint64_t measure(hp_speedscope *w, part *thread) {
    const hp_tree *tree = &w->profile->tree;
    uint64_t size[2] = {0};
    for (uint32_t at = thread->root; at != HP_NO_NODE; at = hp_tree_next(tree, thread->root, at)) {
        const hp_node *node = &tree->nodes[at];
        thread->sampled += node->sampled;
        thread->exact += node->exact;
        size[0] += node->sampled != 0 && size[0] <= SIZE_LIMIT ? w->paths[at] + 16 : 0;
        size[1] += node->exact != 0 && size[1] <= SIZE_LIMIT ? w->paths[at] + 16 : 0;
    }
    return (size[0] + size[1]) * (1 + is_written(thread, BOTH));
}

static bool list_parts(hp_speedscope *w) {
    const hp_tree *tree = &w->profile->tree;
    uint64_t size = 0;
    uint32_t count = 0;
    for (uint32_t i = 1; i < tree->count && size <= SIZE_LIMIT; i++) {
        if (tree->nodes[i].parent != 0)
            continue;
        w->parts[count] = (part){.root = i};
        size += measure(w, &w->parts[count++]);
    }
    for (uint32_t i = 0; i < w->profile->timeline.count && size <= SIZE_LIMIT; i++)
        size += 2 * (w->paths[w->profile->timeline.moments[i].node] + 16);
    return size <= SIZE_LIMIT;
}

static hp_status prepare(hp_speedscope *w, hp_error *error) {
    size_t nodes = w->profile->tree.count, functions = w->profile->function_count;
    hp_status status = hp_labels_new(w->profile, &w->labels);
    if (status != HP_OK)
        return status;
    w->frames = malloc((functions + 1) * sizeof *w->frames);
    w->paths = malloc((nodes + 1) * sizeof *w->paths);
    if (w->frames == NULL || w->paths == NULL)
        return HP_NO_MEMORY;
    number_frames(w);
    w->parts = malloc(((size_t)w->part_count + 1) * sizeof *w->parts);
    if (w->parts == NULL || hp_timeline_split(&w->profile->timeline, &w->profile->tree, &w->timeline) != HP_OK)
        return HP_NO_MEMORY;
    if (list_parts(w)) {
        w->stack = malloc(w->longest + 1);
        return w->stack != NULL ? HP_OK : HP_NO_MEMORY;
    }
    return hp_fail(error, HP_UNSUPPORTED, 0,
                   "as a speedscope file this profile would take more than %" PRIu64
                   " GiB, because its stacks are deep and each sample repeats one: export it as callgrind or hyprof",
                   SIZE_LIMIT >> 30);
}

static void put_frame(hp_speedscope *w, uint32_t function) {
    const hp_function *f = &w->profile->functions[function];
    hp_json_break(&w->json);
    hp_json_open(&w->json, '{');
    hp_json_key(&w->json, "name");
    hp_json_string(&w->json, w->labels[function]);
    if (f->file[0] != '\0') {
        hp_json_key(&w->json, "file");
        hp_json_string(&w->json, f->file);
    }
    if (f->first_line != 0) {
        hp_json_key(&w->json, "line");
        hp_json_u64(&w->json, f->first_line);
    }
    hp_json_close(&w->json, '}');
}

/* Frames are numbered in order of first appearance in the tree, so the tree is gone through once more. */
static void put_frames(hp_speedscope *w) {
    const hp_tree *tree = &w->profile->tree;
    uint32_t next = 0;
    hp_json_key(&w->json, "shared");
    hp_json_open(&w->json, '{');
    hp_json_key(&w->json, "frames");
    hp_json_open(&w->json, '[');
    for (uint32_t i = 1; i < tree->count; i++) {
        if (w->frames[tree->nodes[i].function] == next) {
            put_frame(w, tree->nodes[i].function);
            next++;
        }
    }
    hp_json_close(&w->json, ']');
    hp_json_close(&w->json, '}');
}

/* Adds the node's number to its caller's stack, which is in the buffer: the walk comes from there. */
void hp_speedscope_extend_stack(hp_speedscope *w, uint32_t at) {
    uint32_t frame = w->frames[w->profile->tree.nodes[at].function];
    uint64_t place = w->paths[at] - 1;
    w->stack[place] = ',';
    do {
        w->stack[--place] = (char)('0' + frame % 10);
        frame /= 10;
    } while (frame != 0);
}

static void put_stacks(hp_speedscope *w, uint32_t root, kind which) {
    const hp_tree *tree = &w->profile->tree;
    hp_json_key(&w->json, "samples");
    hp_json_open(&w->json, '[');
    for (uint32_t at = root; at != HP_NO_NODE; at = hp_tree_next(tree, root, at)) {
        hp_speedscope_extend_stack(w, at);
        if (weight_of(&tree->nodes[at], which) == 0)
            continue;
        hp_json_break(&w->json);
        hp_json_open(&w->json, '[');
        hp_json_raw(&w->json, w->stack, w->paths[at] - 1);
        hp_json_close(&w->json, ']');
    }
    hp_json_close(&w->json, ']');
}

static void put_weights(hp_speedscope *w, uint32_t root, kind which) {
    const hp_tree *tree = &w->profile->tree;
    hp_json_break(&w->json);
    hp_json_key(&w->json, "weights");
    hp_json_open(&w->json, '[');
    for (uint32_t at = root; at != HP_NO_NODE; at = hp_tree_next(tree, root, at)) {
        uint64_t weight = weight_of(&tree->nodes[at], which);
        if (weight != 0)
            hp_json_u64(&w->json, weight);
    }
    hp_json_close(&w->json, ']');
}

void hp_speedscope_begin(hp_speedscope *w, const char *name, const char *what, uint64_t sum) {
    hp_json_break(&w->json);
    hp_json_open(&w->json, '{');
    hp_json_key(&w->json, "type");
    hp_json_string(&w->json, "sampled");
    hp_json_key(&w->json, "name");
    hp_json_joined(&w->json, name, what);
    hp_json_key(&w->json, "unit");
    hp_json_string(&w->json, "nanoseconds");
    hp_json_key(&w->json, "startValue");
    hp_json_u64(&w->json, 0);
    hp_json_key(&w->json, "endValue");
    hp_json_u64(&w->json, sum);
}

static void put_part(hp_speedscope *w, const part *thread) {
    static const char *const names[] = {[BOTH] = ", sampled and exact", [SAMPLED] = ", sampled", [EXACT] = ", exact"};
    for (kind which = BOTH; which <= EXACT; which++) {
        if (!is_written(thread, which))
            continue;
        hp_speedscope_begin(w, w->labels[w->profile->tree.nodes[thread->root].function], names[which], sum_of(thread, which));
        put_stacks(w, thread->root, which);
        put_weights(w, thread->root, which);
        hp_json_close(&w->json, '}');
    }
}

/* The app refuses a file without profiles: where nothing was measured an empty one says so. */
static void put_nothing(hp_speedscope *w) {
    hp_speedscope_begin(w, "nothing was measured", "", 0);
    hp_json_key(&w->json, "samples");
    hp_json_raw(&w->json, "[]", 2);
    hp_json_key(&w->json, "weights");
    hp_json_raw(&w->json, "[]", 2);
    hp_json_close(&w->json, '}');
}

static uint32_t longest_part(const hp_speedscope *w) {
    uint32_t longest = 0;
    for (uint32_t i = 1; i < w->timeline.count; i++)
        if (w->timeline.starts[i + 1] - w->timeline.starts[i] > w->timeline.starts[longest + 1] - w->timeline.starts[longest])
            longest = i;
    return longest;
}

/* Shown first: the first profile of the thread with the most time; where there is a timeline, of the thread with the most samples in it. */
static void put_profiles(hp_speedscope *w) {
    uint64_t most = 0;
    uint32_t written = 0, shown = 0;
    hp_json_break(&w->json);
    hp_json_key(&w->json, "profiles");
    hp_json_open(&w->json, '[');
    for (uint32_t i = 0; i < w->part_count; i++) {
        const part *thread = &w->parts[i];
        if (sum_of(thread, BOTH) > most) {
            most = sum_of(thread, BOTH);
            shown = written;
        }
        put_part(w, thread);
        written += (uint32_t)is_written(thread, BOTH) + is_written(thread, SAMPLED) + is_written(thread, EXACT);
    }
    for (uint32_t i = 0; i < w->timeline.count; i++)
        hp_speedscope_put_timeline(w, i);
    shown = w->timeline.count > 0 ? written + longest_part(w) : shown;
    if (written + w->timeline.count == 0)
        put_nothing(w);
    hp_json_close(&w->json, ']');
    hp_json_key(&w->json, "activeProfileIndex");
    hp_json_u64(&w->json, shown);
}

static void put_all(hp_speedscope *w) {
    const hp_meta *meta = &w->profile->meta;
    hp_json_open(&w->json, '{');
    hp_json_key(&w->json, "$schema");
    hp_json_string(&w->json, SCHEMA);
    hp_json_key(&w->json, "exporter");
    hp_json_string(&w->json, "hybridprof");
    hp_json_key(&w->json, "name");
    hp_json_joined(&w->json, meta->program[0] != '\0' ? meta->program : "hybridprof",
                   meta->clock == HP_CLOCK_CPU    ? " (CPU time)"
                   : meta->clock == HP_CLOCK_WALL ? " (wall time)"
                                                  : " (time of waits)");
    hp_json_break(&w->json);
    put_frames(w);
    put_profiles(w);
    hp_json_close(&w->json, '}');
    hp_sink_byte(w->json.sink, '\n');
}

static hp_status write_speedscope(hp_sink *sink, const hp_profile *profile, hp_error *error) {
    hp_speedscope w = {.json = {.sink = sink}, .profile = profile};
    if (profile->tree.count <= 1 && profile->row_count != 0)
        return hp_fail(error, HP_UNSUPPORTED, 0,
                       "a speedscope file needs whole stacks, and this profile has only functions and their callers (it was read from a "
                       "pstats file): export it as pstats or callgrind");
    hp_status status = prepare(&w, error);
    if (status == HP_OK) {
        put_all(&w);
        status = hp_sink_flush(sink, error);
    } else if (status == HP_NO_MEMORY) {
        hp_fail(error, status, 0, "not enough memory to write a speedscope file");
    }
    free(w.parts);
    hp_timeline_parts_fini(&w.timeline);
    free(w.stack);
    free(w.paths);
    free(w.frames);
    hp_labels_free(w.labels);
    return status;
}

/* Anybody's: exporters put `$schema` first or last. */
static bool recognize(const uint8_t *bytes, size_t size) {
    return hp_json_recognize(bytes, size, SCHEMA);
}

static const char *const suffixes[] = {".speedscope.json", NULL};

const hp_format hp_format_speedscope = {
    .name = "speedscope",
    .suffixes = suffixes,
    .readers = "speedscope",
    .keeps = HP_KEEPS_CALLERS | HP_KEEPS_STACKS | HP_KEEPS_APART | HP_KEEPS_THREADS | HP_KEEPS_TIMELINE,
    .is_text = true,
    .write = write_speedscope,
    .recognize = recognize,
};
