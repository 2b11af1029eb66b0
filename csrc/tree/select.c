/* SPDX-License-Identifier: MIT */
#include "tree/select.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

typedef struct selection {
    const hp_profile *from;
    hp_profile *to;
    uint32_t states;
    bool *wanted;       /* by node of `from`: it or what is beneath it has samples in these states */
    uint32_t *node_map; /* from `from` to `to` */
} selection;

static bool is_in(const selection *s, const hp_line *line) {
    return (s->states >> (unsigned)line->state & 1u) != 0;
}

static void mark(selection *s) {
    for (uint32_t i = 0; i < s->from->line_count; i++)
        s->wanted[s->from->lines[i].node] |= is_in(s, &s->from->lines[i]);
    for (uint32_t i = s->from->tree.count; i-- > 1;) /* children lie behind their parents */
        s->wanted[s->from->tree.nodes[i].parent] |= s->wanted[i];
}

/* A part is another profile: merging it with the whole, or with what the whole was merged from, must not take it for the same. */
static void change_id(hp_meta *meta, uint32_t states) {
    uint64_t halves[2];
    memcpy(halves, meta->id, sizeof halves);
    halves[0] = hp_hash_u64(halves[0] ^ states);
    halves[1] = hp_hash_u64(halves[1] ^ halves[0]);
    memcpy(meta->id, halves, sizeof halves);
}

static hp_status copy_meta(selection *s) {
    const hp_meta *from = &s->from->meta;
    const char *const *warnings = (const char *const *)from->warnings;
    hp_status status = hp_profile_copy_meta(s->to, &s->to->meta, from);
    change_id(&s->to->meta, s->states);
    for (uint32_t i = 0; i < from->warning_count && status == HP_OK; i++)
        status = hp_profile_add_warning(s->to, warnings[i]);
    if (s->from->timeline.kept && status == HP_OK)
        status = hp_profile_add_warning(s->to, "samples in the order of time were left out: a selection by state has no timeline");
    return status;
}

/* The functions of `from` are all different, so they get the same ids. */
static hp_status copy_functions(selection *s) {
    for (uint32_t i = 1; i < s->from->function_count; i++)
        if (hp_profile_function(s->to, &s->from->functions[i]) != i)
            return HP_NO_MEMORY;
    return HP_OK;
}

static hp_status copy_threads(selection *s) {
    for (uint32_t i = 0; i < s->from->thread_count; i++) {
        const hp_profile_thread *from = &s->from->threads[i];
        uint32_t made = hp_profile_add_thread(s->to, from->name, from->native_id);
        if (made == HP_NO_NODE)
            return HP_NO_MEMORY;
        hp_profile_thread *to = &s->to->threads[made];
        const char *name = to->name;
        uint32_t root = to->root;
        *to = *from;
        to->name = name;
        to->root = root;
        if (from->root != HP_NO_NODE)
            s->node_map[from->root] = root;
    }
    return HP_OK;
}

static void copy_nodes(selection *s) {
    const hp_tree *tree = &s->from->tree;
    s->node_map[0] = 0;
    for (uint32_t i = 1; i < tree->count; i++)
        if (s->wanted[i] && s->node_map[i] == HP_NO_NODE)
            s->node_map[i] = hp_tree_find_or_add(&s->to->tree, s->node_map[tree->nodes[i].parent], tree->nodes[i].function);
}

static hp_status copy_lines(selection *s) {
    hp_status status = HP_OK;
    for (uint32_t i = 0; i < s->from->line_count && status == HP_OK; i++) {
        hp_line line = s->from->lines[i];
        if (!is_in(s, &line))
            continue;
        line.node = s->node_map[line.node];
        s->to->tree.nodes[line.node].samples += line.samples;
        s->to->tree.nodes[line.node].sampled += line.sampled;
        status = hp_profile_add_line(s->to, &line);
    }
    return status;
}

hp_status hp_profile_select(const hp_profile *from, uint32_t states, hp_profile **out) {
    selection s = {.from = from, .states = states};
    hp_status status = hp_profile_new(&s.to);
    if (status != HP_OK)
        goto done;
    status = HP_NO_MEMORY;
    s.wanted = calloc(from->tree.count, sizeof *s.wanted);
    s.node_map = malloc((size_t)from->tree.count * sizeof *s.node_map);
    if (s.wanted == NULL || s.node_map == NULL)
        goto done;
    for (uint32_t i = 0; i < from->tree.count; i++)
        s.node_map[i] = HP_NO_NODE;
    mark(&s);
    status = copy_meta(&s);
    if (status == HP_OK)
        status = copy_functions(&s);
    if (status == HP_OK)
        status = copy_threads(&s);
    if (status != HP_OK)
        goto done;
    copy_nodes(&s);
    status = copy_lines(&s);
    if (status == HP_OK)
        status = hp_profile_summarize(s.to);
done:
    if (status == HP_OK)
        *out = s.to;
    else
        hp_profile_free(s.to);
    free(s.wanted);
    free(s.node_map);
    return status;
}
