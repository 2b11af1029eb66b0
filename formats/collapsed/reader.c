/* SPDX-License-Identifier: MIT */
/* Collapsed stacks, anybody's, into a tree. What a line's number counts is not in the file: in ours, whose lines all begin with a thread,
 * ns; in Austin's, which says so in its comments, us; in all others samples, which stand for 10 ms each, and a warning says so. */
#include "formats/collapsed/reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "formats/reading.h"
#include "formats/text.h"

/* What a sample of nobody knows what rate stands for: most samplers' default. */
#define SAMPLE_NS UINT64_C(10000000)
enum { LOOKED_AT = 10 };

typedef struct line {
    const uint8_t *text;
    const uint8_t *end;   /* of the stack */
    uint64_t value;       /* rounded */
    const uint8_t *after; /* where the line ends, its end not included */
} line;

typedef struct reading {
    hp_error *error;
    hp_collapsed_frames frames;
    const uint8_t *at, *end;
    uint64_t number;   /* of the line in hand */
    uint64_t ns;       /* that 1 stands for */
    uint64_t interval; /* us between two samples of Austin's; 0: another's */
    uint64_t sum;
    uint32_t nameless; /* the thread of stacks that tell none */
    bool deep, cut;    /* some stack has two frames; the last line has no end */
} reading;

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

/* `stack N` or `stack N.M`, rounded; false for anything else and for what is above 2^63. */
static bool split(line *l) {
    const uint8_t *digit = l->after;
    while (digit > l->text && (is_digit(digit[-1]) || digit[-1] == '.'))
        digit--;
    if (digit == l->text || digit[-1] != ' ' || digit == l->after || !is_digit(*digit))
        return false;
    l->end = digit - 1;
    for (l->value = 0; digit < l->after && is_digit(*digit); digit++) {
        if (l->value > (INT64_MAX - 9) / 10)
            return false;
        l->value = l->value * 10 + (uint64_t)(*digit - '0');
    }
    if (digit < l->after)
        l->value += digit + 1 < l->after && digit[1] >= '5' && is_digit(digit[1]);
    for (digit += digit < l->after; digit < l->after; digit++) {
        if (!is_digit(*digit))
            return false;
    }
    return true;
}

/* The next line that is not empty, from `*at` on. */
static bool next_line(const uint8_t **at, const uint8_t *end, line *l, uint64_t *number) {
    while (*at < end) {
        const uint8_t *stop = memchr(*at, '\n', (size_t)(end - *at));
        l->text = *at;
        l->after = stop == NULL ? end : stop;
        *at = stop == NULL ? end : stop + 1;
        ++*number;
        while (l->after > l->text && (l->after[-1] == '\r' || l->after[-1] == ' '))
            l->after--;
        if (l->after > l->text)
            return true;
    }
    return false;
}

static bool is_comment(const line *l) {
    return l->after - l->text > 1 && l->text[0] == '#' && l->text[1] == ' ';
}

/* Whether the line before `at` is the last and has no end. */
static bool is_cut(const uint8_t *at, const uint8_t *end) {
    return at == end && end[-1] != '\n';
}

/* A byte order mark is no part of the first frame. */
static const uint8_t *behind_mark(const uint8_t *bytes, size_t size) {
    return size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? bytes + 3 : bytes;
}

/* Text, and its first lines are stacks. Whether all are, and whether any holds two frames, is for the reader to say in a sentence. */
bool hp_collapsed_recognize(const uint8_t *bytes, size_t size) {
    const uint8_t *at = behind_mark(bytes, size), *end = bytes + size;
    uint64_t number = 0;
    unsigned stacks = 0;
    line l = {0};
    while (stacks < LOOKED_AT && next_line(&at, end, &l, &number)) {
        size_t length = (size_t)(l.after - l.text);
        if (memchr(l.text, '\0', length) != NULL || (!is_comment(&l) && !split(&l) && (stacks == 0 || !is_cut(at, end))))
            return false;
        stacks += !is_comment(&l);
    }
    return stacks != 0;
}

static hp_status no_memory(reading *r) {
    return hp_fail(r->error, HP_NO_MEMORY, 0, "not enough memory to read collapsed stacks");
}

/* With the line itself, as far as it is text. */
static hp_status bad_line(reading *r, const line *l, const char *what) {
    char shown[HP_TEXT_SHOWN_ROOM];
    hp_text_shown(shown, l->text, (size_t)(l->after - l->text));
    return hp_fail(r->error, HP_BAD_FORMAT, 0, "these are no collapsed stacks: line %" PRIu64 ", \"%s\", %s", r->number, shown, what);
}

static const uint8_t *frame_end(const uint8_t *from, const uint8_t *end) {
    const uint8_t *semicolon = memchr(from, ';', (size_t)(end - from));
    return semicolon == NULL ? end : semicolon;
}

static uint32_t nameless_root(reading *r) {
    hp_profile *profile = r->frames.profile;
    if (r->nameless == HP_NO_NODE)
        r->nameless = hp_profile_add_thread(profile, "unknown", 0);
    return r->nameless == HP_NO_NODE ? HP_NO_NODE : profile->threads[r->nameless].root;
}

/* HP_NO_NODE when memory is short. */
static uint32_t find_node(reading *r, const line *l, uint32_t *where) {
    hp_tree *tree = &r->frames.profile->tree;
    uint32_t node = HP_NO_NODE;
    for (const uint8_t *from = l->text; from < l->end;) {
        size_t thread = from == l->text && !r->frames.ours ? hp_collapsed_thread_size(from, (size_t)(l->end - from)) : 0;
        const uint8_t *end = thread != 0 ? from + thread : frame_end(from, l->end);
        r->deep |= end < l->end;
        if (end > from) { /* an empty frame is none */
            const hp_collapsed_frame *frame = hp_collapsed_frame_of(&r->frames, from, (size_t)(end - from));
            bool root = frame != NULL && node == HP_NO_NODE && frame->thread != HP_NO_NODE;
            if (frame != NULL && node == HP_NO_NODE)
                node = root ? r->frames.profile->threads[frame->thread].root : nameless_root(r);
            if (frame == NULL || node == HP_NO_NODE)
                return HP_NO_NODE;
            *where = frame->line;
            node = root ? node : hp_tree_child(tree, node, frame->function);
        }
        from = end + (end < l->end);
    }
    return node == HP_NO_NODE ? nameless_root(r) : node; /* py-spy writes an empty stack now and then */
}

static hp_status take_stack(reading *r, const line *l) {
    hp_profile *profile = r->frames.profile;
    uint32_t where = 0, index = find_node(r, l, &where);
    if (index == HP_NO_NODE || profile->tree.overflowed != 0)
        return no_memory(r);
    uint64_t ns = l->value > INT64_MAX / r->ns ? INT64_MAX : l->value * r->ns;
    uint64_t samples = r->frames.ours ? 0 : r->interval == 0 ? l->value : (l->value + r->interval / 2) / r->interval;
    r->sum = hp_add_saturated(r->sum, ns);
    if (r->sum >= INT64_MAX)
        return bad_line(r, l, "makes the sum 2^63 ns or more");
    hp_node *node = &profile->tree.nodes[index];
    node->samples += samples;
    node->sampled += ns;
    profile->meta.samples_kept += samples;
    if (where == 0 || (samples | ns) == 0)
        return HP_OK;
    return hp_profile_add_line(profile, &(hp_line){.node = index, .line = where, .samples = samples, .sampled = ns}) == HP_OK
               ? HP_OK
               : no_memory(r);
}

static bool begins(const line *l, const char *text) {
    size_t size = strlen(text);
    return (size_t)(l->after - l->text) >= size && memcmp(l->text, text, size) == 0;
}

/* Austin's: `# mode: wall`, `# interval: 100`. */
static hp_status take_comment(reading *r, const line *l) {
    static const char interval[] = "# interval: ";
    if (begins(l, "# mode: memory"))
        return bad_line(r, l, "says that they count memory: hybridprof reads profiles of time");
    if (begins(l, "# mode: cpu"))
        r->frames.profile->meta.clock = HP_CLOCK_CPU;
    if (!begins(l, interval))
        return HP_OK;
    uint64_t value = 0;
    for (const uint8_t *digit = l->text + sizeof interval - 1; digit < l->after && is_digit(*digit) && value < 1000000000; digit++)
        value = value * 10 + (uint64_t)(*digit - '0');
    r->interval = value;
    r->ns = value == 0 ? r->ns : 1000;
    return HP_OK;
}

static hp_status take_lines(reading *r) {
    hp_status status = HP_OK;
    line l = {0};
    while (status == HP_OK && next_line(&r->at, r->end, &l, &r->number)) {
        r->cut = is_cut(r->at, r->end);
        if (is_comment(&l))
            status = take_comment(r, &l);
        else if (split(&l))
            status = take_stack(r, &l);
        else if (!r->cut)
            status = bad_line(r, &l, "does not end in a space and a number");
    }
    return status;
}

typedef struct thread_text {
    uint64_t number;
    const uint8_t *text;
    size_t size;
} thread_text;

typedef struct thread_texts {
    thread_text *items;
    uint32_t count, capacity;
} thread_texts;

static int thread_order(const void *left, const void *right) {
    const thread_text *a = left, *b = right;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->text < b->text ? -1 : a->text > b->text;
}

/* The number in `<thread NAME #n>`. */
static uint64_t thread_number(const uint8_t *text, size_t size) {
    const uint8_t *digit = text + size - 1;
    uint64_t number = 0;
    while (is_digit(digit[-1]))
        digit--;
    for (; is_digit(*digit); digit++)
        number = number * 10 + (uint64_t)(*digit - '0');
    return number;
}

/* The thread that a stack begins with, if it is another than that of the stack before. HP_BAD_FORMAT: it begins with none. */
static hp_status take_thread(thread_texts *all, const line *l) {
    size_t size = (size_t)(frame_end(l->text, l->end) - l->text);
    const thread_text *last = all->count == 0 ? NULL : &all->items[all->count - 1];
    if (last != NULL && last->size == size && memcmp(last->text, l->text, size) == 0)
        return HP_OK;
    if (!hp_collapsed_is_thread(l->text, size))
        return HP_BAD_FORMAT;
    thread_text *items = hp_array_grow(all->items, &all->capacity, all->count + 1, sizeof *items);
    if (items == NULL)
        return HP_NO_MEMORY;
    all->items = items;
    items[all->count++] = (thread_text){thread_number(l->text, size), l->text, size};
    return HP_OK;
}

/* Threads come back in the order of their numbers, whatever the order of the lines. */
static hp_status add_threads(reading *r, thread_texts *all) {
    qsort(all->items, all->count, sizeof *all->items, thread_order);
    for (uint32_t i = 0; i < all->count; i++) {
        if (hp_collapsed_frame_of(&r->frames, all->items[i].text, all->items[i].size) == NULL)
            return HP_NO_MEMORY;
    }
    return HP_OK;
}

/* The file is ours only if every stack begins with a thread. */
static hp_status take_threads(reading *r) {
    const uint8_t *at = r->at;
    uint64_t number = 0;
    thread_texts all = {0};
    line l = {0};
    hp_status status = HP_OK;
    while (status == HP_OK && next_line(&at, r->end, &l, &number)) {
        if (!is_comment(&l) && split(&l))
            status = take_thread(&all, &l);
    }
    r->frames.ours = status == HP_OK && all.count != 0;
    if (r->frames.ours)
        status = add_threads(r, &all);
    free(all.items);
    return status == HP_NO_MEMORY ? no_memory(r) : HP_OK;
}

static hp_status warn(reading *r) {
    hp_profile *profile = r->frames.profile;
    hp_status status = HP_OK;
    if (!r->frames.ours && r->interval == 0) {
        profile->meta.rate_hz = 1e9 / (double)SAMPLE_NS;
        status = hp_profile_add_warning(profile,
                                        "collapsed stacks do not say what they count: each was taken for a sample of 10 ms (100 Hz), so "
                                        "that shares are right and times may not be");
    }
    if (status == HP_OK && r->cut)
        status = hp_profile_add_warning(profile, "the last line of the collapsed stacks has no end: it may have been cut short");
    return status;
}

static hp_status settle(reading *r) {
    hp_profile *profile = r->frames.profile;
    if (!r->deep)
        return hp_fail(r->error, HP_BAD_FORMAT, 0,
                       "these are no collapsed stacks: of %" PRIu64 " lines none holds two frames with a `;` between", r->number);
    if (r->interval != 0)
        profile->meta.rate_hz = 1e6 / (double)r->interval;
    profile->meta.duration_ns = r->sum;
    hp_status status = hp_reading_settle_threads(profile);
    if (status == HP_OK)
        status = warn(r);
    if (status == HP_OK)
        status = hp_profile_summarize(profile);
    return status == HP_OK ? hp_profile_check(profile, r->error) : no_memory(r);
}

hp_status hp_collapsed_read(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error) {
    const uint8_t *at = behind_mark(bytes, size);
    reading r = {.error = error, .at = at, .end = bytes + size, .ns = SAMPLE_NS, .nameless = HP_NO_NODE};
    hp_status status = HP_NO_MEMORY;
    r.frames.texts = hp_strings_new();
    if (r.frames.texts == NULL || hp_profile_new(&r.frames.profile) != HP_OK) {
        no_memory(&r);
        goto done;
    }
    hp_reading_identify(r.frames.profile, bytes, size);
    status = take_threads(&r);
    r.ns = r.frames.ours ? 1 : SAMPLE_NS;
    if (status == HP_OK)
        status = take_lines(&r);
    if (status == HP_OK)
        status = settle(&r);
    if (status == HP_OK) {
        *out = r.frames.profile;
        r.frames.profile = NULL;
    }
done:
    hp_profile_free(r.frames.profile);
    hp_collapsed_frames_fini(&r.frames);
    return status;
}
