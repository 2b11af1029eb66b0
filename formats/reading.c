/* SPDX-License-Identifier: MIT */
#include "formats/reading.h"

#include <stdlib.h>
#include <string.h>

#include "formats/text.h"

const char *hp_reading_text(hp_profile *profile, const void *text, size_t size, uint64_t *left) {
    if (size == 0)
        return hp_profile_string_sized(profile, "", 0);
    bool sound = memchr(text, '\0', size) == NULL && hp_text_is_utf8(text, size);
    size_t made_size = sound ? size : hp_text_escaped_size(text, size, 0);
    if (left != NULL && *left < made_size)
        return NULL;
    if (left != NULL)
        *left -= made_size;
    if (sound)
        return hp_profile_string_sized(profile, text, size);
    char *escaped = malloc(made_size + 1);
    if (escaped == NULL)
        return "";
    size_t length = hp_text_escape(escaped, text, size, 0);
    const char *made = hp_profile_string_sized(profile, escaped, length);
    free(escaped);
    return made;
}

void hp_reading_identify(hp_profile *profile, const void *bytes, size_t size) {
    const uint8_t *next = bytes;
    uint64_t a = UINT64_C(0xcbf29ce484222325), b = size;
    for (size_t i = 0; i < size; i++) {
        a = (a ^ next[i]) * UINT64_C(0x100000001b3);
        b = (b ^ a >> 29) * UINT64_C(0x9e3779b97f4a7c15);
    }
    memcpy(profile->meta.id, &a, sizeof a);
    memcpy(profile->meta.id + sizeof a, &b, sizeof b);
}

static void thread_add(hp_profile_thread *thread, const hp_node *node) {
    thread->samples += node->samples;
    thread->sampled_ns += node->sampled;
    thread->exact_ns += node->exact;
    thread->overhead_ns += node->overhead;
    thread->measured_ns += node->sampled + node->exact + node->overhead;
}

hp_status hp_reading_settle_threads(hp_profile *profile) {
    const hp_tree *tree = &profile->tree;
    uint32_t *thread_of = malloc(tree->count * sizeof *thread_of); /* by node */
    if (thread_of == NULL)
        return HP_NO_MEMORY;
    memset(thread_of, 0xff, tree->count * sizeof *thread_of);
    for (uint32_t i = 0; i < profile->thread_count; i++)
        thread_of[profile->threads[i].root] = i;
    for (uint32_t i = 1; i < tree->count; i++) { /* parents come before their children */
        const hp_node *node = &tree->nodes[i];
        if (node->parent != 0)
            thread_of[i] = thread_of[node->parent];
        if (thread_of[i] != UINT32_MAX)
            thread_add(&profile->threads[thread_of[i]], node);
    }
    free(thread_of);
    return HP_OK;
}

const char *hp_reading_last_part(const char *qualname) {
    const char *dot = strrchr(qualname, '.');
    return dot == NULL ? qualname : dot + 1;
}

/* "cart" of "/srv/shop/cart.py", "shop" of "/srv/shop/__init__.py"; the size is 0 for what is no Python file. */
static const char *python_stem(const char *file, size_t *size) {
    static const char suffix[] = ".py", package[] = "/__init__.py";
    size_t length = strlen(file);
    *size = 0;
    if (length < sizeof suffix || strcmp(file + length - sizeof suffix + 1, suffix) != 0)
        return file;
    const char *end = file + length - sizeof suffix + 1;
    if (length >= sizeof package && strcmp(file + length - sizeof package + 1, package) == 0)
        end = file + length - sizeof package + 1;
    const char *start = end;
    while (start > file && start[-1] != '/')
        start--;
    *size = (size_t)(end - start);
    return start;
}

static bool part_is(const char *part, size_t size, const char *text, size_t text_size) {
    return size == text_size && memcmp(part, text, size) == 0;
}

/* "importlib._bootstrap" of "<frozen importlib._bootstrap>", where the name begins with it. */
static size_t frozen_module_size(const char *name, const char *file) {
    static const char head[] = "<frozen ";
    size_t length = strlen(file), size = length < sizeof head + 1 ? 0 : length - sizeof head;
    bool begins = size > 0 && strncmp(file, head, sizeof head - 1) == 0 && file[length - 1] == '>' &&
                  strncmp(name, file + sizeof head - 1, size) == 0 && name[size] == '.' && name[size + 1] != '\0';
    return begins ? size : 0;
}

/* The size of a name's first parts that are its module: in Python up to the name of the file (or `__main__`), else, as Go writes names, up
 * to the first dot behind the path. 0: not told. */
static size_t module_size(const char *name, const char *file) {
    size_t stem_size = 0;
    const char *stem = python_stem(file, &stem_size);
    const char *slash = strrchr(name, '/');
    const char *part = stem_size == 0 && slash != NULL ? slash + 1 : name;
    size_t frozen = frozen_module_size(name, file);
    if (frozen != 0 || name[0] == '<' || name[0] == '(')
        return frozen;
    for (const char *dot = strchr(part, '.'); dot != NULL && dot[1] != '\0'; part = dot + 1, dot = strchr(part, '.')) {
        size_t size = (size_t)(dot - part);
        if (stem_size == 0 ? size != 0 : part_is(part, size, stem, stem_size) || part_is(part, size, "__main__", 8))
            return (size_t)(dot - name);
    }
    return 0;
}

/* Up to the last dot before `.<locals>`: wherever it is cut, the label is the same. */
static size_t module_size_at_least(const char *label) {
    const char *end = strstr(label, ".<locals>");
    size_t size = end == NULL ? strlen(label) : (size_t)(end - label);
    for (size_t at = size; at-- > 1;) {
        if (label[at] == '.' && label[at + 1] != '\0')
            return at;
    }
    return 0;
}

void hp_reading_name(hp_profile *profile, const char *label, bool whole, hp_function *function) {
    size_t module = module_size(label, function->file);
    if (module == 0 && whole)
        module = module_size_at_least(label);
    function->kind = HP_CODE_PYTHON;
    function->module = module == 0 ? "" : hp_profile_string_sized(profile, label, module);
    function->qualname = module == 0 ? label : label + module + 1;
    function->name = hp_reading_last_part(function->qualname);
}

static bool is_between(const char *text, const char *before, const char *after) {
    size_t size = strlen(text), head = strlen(before), tail = strlen(after);
    return size >= head + tail && memcmp(text, before, head) == 0 && memcmp(text + size - tail, after, tail) == 0;
}

void hp_reading_name_unfiled(hp_profile *profile, const char *name, hp_function *function) {
    static const char *const ours[] = {"<unresolved>", "<overflow>", "<unknown>"};
    function->kind = HP_CODE_C;
    function->module = function->file = "";
    function->name = name;
    if (is_between(name, "<block ", ">")) {
        function->kind = HP_CODE_BLOCK;
        function->name = hp_profile_string_sized(profile, name + 7, strlen(name) - 8);
    }
    if (is_between(name, "<thread ", ">"))
        function->kind = HP_CODE_SYNTHETIC;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (strcmp(name, ours[i]) == 0)
            function->kind = HP_CODE_SYNTHETIC;
    }
    function->qualname = function->name;
}

static const char thread_head[] = "<thread ";

bool hp_reading_is_thread(const char *name) {
    const char *number = strrchr(name, '#');
    if (!is_between(name, thread_head, ">") || number == NULL || number < name + sizeof thread_head - 1 || number[1] == '>')
        return false;
    const char *end = number + 1 + strspn(number + 1, "0123456789");
    return end[0] == '>' && end[1] == '\0';
}

uint32_t hp_reading_add_thread(hp_profile *profile, const char *name) {
    const char *start = name + sizeof thread_head - 1, *number = strrchr(name, '#');
    size_t size = number > start ? (size_t)(number - start) - 1 : 0; /* without the space; a thread may have no name */
    return hp_profile_add_thread(profile, hp_profile_string_sized(profile, start, size), 0);
}
