/* SPDX-License-Identifier: MIT */
/* One line for each node that has self time: `root;…;leaf N`, N in ns. SPEC.md says why frames look as they do.
 *
 * The path of the node being visited lies in one buffer that grows and shrinks with the walk, so a line is one write and no depth
 * costs C stack. Lines repeat their prefix: a deep tree may need far more bytes than it has nodes, so the size is added up first. */
#include "formats/collapsed/collapsed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/collapsed/reader.h"
#include "formats/text.h"

/* No viewer reads more, and a disk should not fill because a recursion was deep. */
#define SIZE_LIMIT ((uint64_t)4 << 30)

typedef struct frames {
    char *bytes;
    size_t used;
    size_t capacity;
    size_t *start; /* function i is bytes[start[i] .. start[i + 1]) */
} frames;

static bool frames_reserve(frames *all, size_t more) {
    if (all->capacity - all->used >= more)
        return true;
    size_t capacity = all->capacity * 2 > all->used + more ? all->capacity * 2 : all->used + more + 4096;
    char *bytes = realloc(all->bytes, capacity);
    if (bytes == NULL)
        return false;
    all->bytes = bytes;
    all->capacity = capacity;
    return true;
}

static void frames_escaped(frames *all, const char *text, size_t size) {
    if (hp_text_is_plain(text, size, HP_TEXT_SEMICOLON)) {
        memcpy(all->bytes + all->used, text, size);
        all->used += size;
    } else {
        all->used += hp_text_escape(all->bytes + all->used, text, size, HP_TEXT_SEMICOLON);
    }
}

static size_t put_decimal(char *out, uint32_t value) {
    char digits[10];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

/* `label (file:line)`: a leaf must not end in a space and digits, which flamegraph.pl takes for a second value. What has no file ends in
 * '>' already, or gets `(~)`. */
static bool frames_add(frames *all, const char *label, const hp_function *function) {
    size_t label_size = strlen(label), file_size = strlen(function->file);
    if (!frames_reserve(all, hp_text_escaped_limit(label_size) + hp_text_escaped_limit(file_size) + 16))
        return false;
    frames_escaped(all, label, label_size);
    if (file_size != 0) {
        memcpy(all->bytes + all->used, " (", 2);
        all->used += 2;
        frames_escaped(all, function->file, file_size);
        all->bytes[all->used++] = ':';
        all->used += put_decimal(all->bytes + all->used, function->first_line);
        all->bytes[all->used++] = ')';
    } else if (label_size == 0 || label[label_size - 1] != '>') {
        memcpy(all->bytes + all->used, " (~)", 4);
        all->used += 4;
    }
    return true;
}

static hp_status frames_make(frames *all, const hp_profile *profile) {
    const char **labels = NULL;
    hp_status status = hp_labels_new(profile, &labels);
    if (status != HP_OK)
        return status;
    status = HP_NO_MEMORY;
    all->start = malloc(((size_t)profile->function_count + 1) * sizeof *all->start);
    if (all->start == NULL)
        goto done;
    for (uint32_t i = 0; i < profile->function_count; i++) {
        all->start[i] = all->used;
        if (!frames_add(all, labels[i], &profile->functions[i]))
            goto done;
    }
    all->start[profile->function_count] = all->used;
    status = HP_OK;
done:
    hp_labels_free(labels);
    return status;
}

static inline uint64_t self_ns(const hp_node *node) {
    return node->sampled + node->exact;
}

/* Bytes the file will have, and in `longest` the longest path: parents come before children, so one pass does it. */
static uint64_t measure(const hp_tree *tree, const frames *all, uint64_t *path, uint64_t *longest) {
    uint64_t total = 0;
    path[0] = 0;
    for (uint32_t i = 1; i < tree->count; i++) {
        const hp_node *node = &tree->nodes[i];
        path[i] = path[node->parent] + all->start[node->function + 1] - all->start[node->function] + 1;
        if (path[i] > *longest)
            *longest = path[i];
        if (self_ns(node) != 0 && total <= SIZE_LIMIT)
            total += path[i] + 24;
    }
    return total;
}

typedef struct walk {
    const hp_tree *tree;
    const frames *all;
    const uint64_t *path; /* by node: length of its path, with a `;` at its end */
    char *line;
    bool both; /* two numbers: sampled and exact */
} walk;

static void visit(const walk *w, hp_sink *sink, uint32_t index) {
    const hp_node *node = &w->tree->nodes[index];
    size_t end = w->path[index];
    size_t size = w->all->start[node->function + 1] - w->all->start[node->function];
    memcpy(w->line + end - 1 - size, w->all->bytes + w->all->start[node->function], size);
    w->line[end - 1] = ' ';
    if (self_ns(node) != 0) {
        hp_sink_write(sink, w->line, end);
        hp_sink_u64(sink, w->both ? node->sampled : self_ns(node));
        if (w->both) {
            hp_sink_byte(sink, ' ');
            hp_sink_u64(sink, node->exact);
        }
        hp_sink_byte(sink, '\n');
    }
    w->line[end - 1] = ';';
}

static void walk_all(const walk *w, hp_sink *sink) {
    const hp_node *nodes = w->tree->nodes;
    uint32_t at = nodes[0].first_child;
    while (at != HP_NO_NODE) {
        visit(w, sink, at);
        if (nodes[at].first_child != HP_NO_NODE) {
            at = nodes[at].first_child;
            continue;
        }
        while (at != 0 && nodes[at].next_sibling == HP_NO_NODE)
            at = nodes[at].parent;
        at = at != 0 ? nodes[at].next_sibling : HP_NO_NODE;
    }
}

static hp_status refuse_size(hp_error *error) {
    return hp_fail(error, HP_UNSUPPORTED, 0,
                   "as collapsed stacks this profile would take more than %" PRIu64
                   " GiB, because its stacks are deep and each line repeats one: "
                   "export it as callgrind or hyprof",
                   SIZE_LIMIT >> 30);
}

static hp_status write_tree(hp_sink *sink, const hp_tree *tree, const frames *all, bool both, hp_error *error) {
    hp_status status = HP_NO_MEMORY;
    uint64_t longest = 0;
    char *line = NULL;
    uint64_t *path = malloc((size_t)tree->count * sizeof *path);
    if (path == NULL)
        goto done;
    if (measure(tree, all, path, &longest) > SIZE_LIMIT) {
        status = refuse_size(error);
        goto done;
    }
    line = malloc(longest + 1);
    if (line == NULL)
        goto done;
    walk_all(&(walk){tree, all, path, line, both}, sink);
    status = hp_sink_flush(sink, error);
done:
    free(line);
    free(path);
    return status;
}

static hp_status write_stacks(hp_sink *sink, const hp_profile *profile, bool both, hp_error *error) {
    frames all = {0};
    if (profile->tree.count <= 1 && profile->row_count != 0)
        return hp_fail(
            error, HP_UNSUPPORTED, 0,
            "collapsed stacks need whole stacks, and this profile has only functions and their callers (it was read from a pstats file): "
            "export it as pstats or callgrind");
    hp_status status = frames_make(&all, profile);
    if (status == HP_OK && profile->tree.count != 0)
        status = write_tree(sink, &profile->tree, &all, both, error);
    if (status == HP_NO_MEMORY)
        hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to write collapsed stacks");
    free(all.start);
    free(all.bytes);
    return status;
}

static hp_status write_collapsed(hp_sink *sink, const hp_profile *profile, hp_error *error) {
    return write_stacks(sink, profile, false, error);
}

hp_status hp_collapsed_write_both(hp_sink *sink, const hp_profile *profile, hp_error *error) {
    return write_stacks(sink, profile, true, error);
}

static const char *const suffixes[] = {".collapsed", ".folded", NULL};

const hp_format hp_format_collapsed = {
    .name = "collapsed",
    .suffixes = suffixes,
    .readers = "flamegraph.pl, inferno, gprof2dot",
    .keeps = HP_KEEPS_CALLERS | HP_KEEPS_STACKS | HP_KEEPS_THREADS,
    .is_text = true,
    .write = write_collapsed,
    .recognize = hp_collapsed_recognize,
    .read = hp_collapsed_read,
};
