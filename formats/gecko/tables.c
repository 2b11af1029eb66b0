/* SPDX-License-Identifier: MIT */
/* One walk per thread, so that its samples lie together; stacks are made on the way, callers before callees. */
#include "formats/gecko/tables.h"

#include <stdlib.h>

#include "base/array.h"

/* The work in hand. */
typedef struct builder {
    hp_gecko_tables *tables;
    const hp_profile *profile;
    uint32_t *line_start; /* by node, and one more */
    uint32_t *lines;      /* places in profile->lines, by node */
    uint32_t *inner;      /* by node: the stack that its callees stand on */
    hp_pairs threads;     /* (root, 0) -> thread of the profile */
} builder;

static void index_lines(builder *b) {
    const hp_profile *p = b->profile;
    uint32_t nodes = p->tree.count;
    for (uint32_t i = 0; i < p->line_count; i++)
        b->line_start[p->lines[i].node + 1]++;
    for (uint32_t i = 0; i < nodes; i++)
        b->line_start[i + 1] += b->line_start[i];
    for (uint32_t i = 0; i < p->line_count; i++)
        b->lines[b->line_start[p->lines[i].node]++] = i;
    /* Placing moved each start to its end, which is where the next one starts. */
    for (uint32_t i = nodes; i > 0; i--)
        b->line_start[i] = b->line_start[i - 1];
    b->line_start[0] = 0;
}

static hp_status builder_init(builder *b) {
    const hp_profile *p = b->profile;
    b->line_start = calloc((size_t)p->tree.count + 1, sizeof *b->line_start);
    b->lines = malloc(((size_t)p->line_count + 1) * sizeof *b->lines);
    b->inner = malloc(((size_t)p->tree.count + 1) * sizeof *b->inner);
    if (b->line_start == NULL || b->lines == NULL || b->inner == NULL)
        return HP_NO_MEMORY;
    index_lines(b);
    for (uint32_t i = 0; i < p->thread_count; i++) {
        if (p->threads[i].root != HP_NO_NODE && hp_pairs_put(&b->threads, p->threads[i].root, 0, i) == HP_NO_PAIR)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

static void builder_fini(builder *b) {
    free(b->line_start);
    free(b->lines);
    free(b->inner);
    hp_pairs_fini(&b->threads);
}

uint32_t hp_gecko_frame_of(hp_gecko_tables *t, uint32_t function, uint32_t line, uint32_t category) {
    uint32_t frame = hp_pairs_put(&t->frame_index, function, line << 4 | category, t->frame_count);
    if (frame != t->frame_count)
        return frame; /* known, or memory is short */
    hp_gecko_frame *frames = hp_array_grow(t->frames, &t->frame_capacity, frame + 1, sizeof *frames);
    if (frames == NULL)
        return HP_GECKO_NONE;
    t->frames = frames;
    t->frames[t->frame_count++] = (hp_gecko_frame){function, line, category};
    return frame;
}

uint32_t hp_gecko_add_stack(hp_gecko_tables *t, uint32_t frame, uint32_t prefix) {
    if (frame == HP_GECKO_NONE)
        return HP_GECKO_NONE;
    hp_gecko_stack *stacks = hp_array_grow(t->stacks, &t->stack_capacity, t->stack_count + 1, sizeof *stacks);
    if (stacks == NULL)
        return HP_GECKO_NONE;
    t->stacks = stacks;
    t->stacks[t->stack_count] = (hp_gecko_stack){frame, prefix};
    return t->stack_count++;
}

static uint32_t prefix_of(const builder *b, uint32_t at) {
    uint32_t parent = b->profile->tree.nodes[at].parent;
    return parent == 0 ? HP_GECKO_NONE : b->inner[parent];
}

bool hp_gecko_add_sample(hp_gecko_tables *t, const hp_gecko_sample *sample) {
    hp_gecko_sample *samples = hp_array_grow(t->samples, &t->sample_capacity, t->sample_count + 1, sizeof *samples);
    hp_gecko_thread *thread = &t->threads[t->thread_count - 1];
    if (samples == NULL)
        return false;
    t->samples = samples;
    t->samples[t->sample_count++] = *sample;
    thread->sum_ns += sample->ns;
    thread->end_ns = thread->in_time ? sample->begin_ns + sample->ns : thread->sum_ns;
    thread[1].first_sample = t->sample_count;
    return true;
}

hp_gecko_thread *hp_gecko_add_thread(hp_gecko_tables *t, uint32_t root, uint32_t thread) {
    hp_gecko_thread *threads = hp_array_grow(t->threads, &t->thread_capacity, t->thread_count + 2, sizeof *threads);
    if (threads == NULL)
        return NULL;
    t->threads = threads;
    threads[t->thread_count] = (hp_gecko_thread){.root = root, .thread = thread, .first_sample = t->sample_count};
    threads[t->thread_count + 1].first_sample = t->sample_count;
    return &threads[t->thread_count++];
}

/* Time of a node at a line, if any. It stands where the node's callees do if that is the same frame. */
static bool add_sample(builder *b, uint32_t at, uint32_t line, uint32_t category, uint64_t ns) {
    hp_gecko_tables *t = b->tables;
    if (ns == 0)
        return true;
    uint32_t frame = hp_gecko_frame_of(t, b->profile->tree.nodes[at].function, line, category), stack = b->inner[at];
    if (stack == HP_GECKO_NONE || t->stacks[stack].frame != frame)
        stack = hp_gecko_add_stack(t, frame, prefix_of(b, at));
    return stack != HP_GECKO_NONE && hp_gecko_add_sample(t, &(hp_gecko_sample){.stack = stack, .ns = ns});
}

/* The lines never hold more than the node has, whatever a damaged profile claims; what no line is known of goes last. */
static bool add_samples(builder *b, uint32_t at) {
    const hp_node *node = &b->profile->tree.nodes[at];
    uint64_t left = node->sampled;
    bool fine = add_sample(b, at, 0, HP_GECKO_EXACT, node->exact);
    for (uint32_t i = b->line_start[at]; fine && i < b->line_start[at + 1]; i++) {
        const hp_line *line = &b->profile->lines[b->lines[i]];
        uint64_t ns = line->sampled < left ? line->sampled : left;
        left -= ns;
        fine = add_sample(b, at, line->line, HP_GECKO_SAMPLED + line->state, ns);
    }
    return fine && add_sample(b, at, 0, HP_GECKO_SAMPLED + HP_STATE_UNKNOWN, left);
}

/* How the node's own time is known, most of it. The reader colors a function by it that calls others, unless its samples say otherwise. */
static uint32_t category_of(const builder *b, uint32_t at) {
    const hp_node *node = &b->profile->tree.nodes[at];
    uint64_t most = 0;
    uint32_t category = node->sampled != 0 ? HP_GECKO_SAMPLED + HP_STATE_UNKNOWN : HP_GECKO_OTHER;
    for (uint32_t i = b->line_start[at]; i < b->line_start[at + 1]; i++) {
        const hp_line *line = &b->profile->lines[b->lines[i]];
        if (line->sampled > most) {
            most = line->sampled;
            category = HP_GECKO_SAMPLED + line->state;
        }
    }
    bool traced = (node->calls | node->exact) != 0;
    return traced && node->exact >= node->sampled ? HP_GECKO_EXACT : category;
}

static bool add_node(builder *b, uint32_t at) {
    const hp_node *node = &b->profile->tree.nodes[at];
    b->inner[at] = HP_GECKO_NONE;
    if (node->first_child != HP_NO_NODE) {
        b->inner[at] = hp_gecko_add_stack(b->tables, hp_gecko_frame_of(b->tables, node->function, 0, category_of(b, at)), prefix_of(b, at));
        if (b->inner[at] == HP_GECKO_NONE)
            return false;
    }
    return add_samples(b, at);
}

static bool add_thread(builder *b, uint32_t root) {
    if (hp_gecko_add_thread(b->tables, root, hp_pairs_get(&b->threads, root, 0)) == NULL)
        return false;
    for (uint32_t at = root; at != HP_NO_NODE; at = hp_tree_next(&b->profile->tree, root, at)) {
        if (!add_node(b, at))
            return false;
    }
    return true;
}

hp_status hp_gecko_tables_init(hp_gecko_tables *tables, const hp_profile *profile) {
    builder b = {.tables = tables, .profile = profile};
    hp_status status = builder_init(&b);
    for (uint32_t i = 1; status == HP_OK && i < profile->tree.count; i++) {
        if (profile->tree.nodes[i].parent == 0 && !add_thread(&b, i))
            status = HP_NO_MEMORY;
    }
    if (status == HP_OK && profile->timeline.count > 0)
        status = hp_gecko_add_timeline(tables, profile, b.inner);
    builder_fini(&b);
    return status;
}

void hp_gecko_tables_fini(hp_gecko_tables *tables) {
    free(tables->frames);
    free(tables->stacks);
    free(tables->samples);
    free(tables->threads);
    hp_pairs_fini(&tables->frame_index);
    *tables = (hp_gecko_tables){0};
}
