/* SPDX-License-Identifier: MIT */
/* The samples of a pprof file, into the tree. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "formats/pprof/reading.h"
#include "formats/pprof/samples.h"

typedef struct sample {
    uint64_t values[HP_PPROF_TYPE_LIMIT];
    uint32_t value_count;
    uint64_t thread; /* a string, 0: none */
    hp_thread_state state;
    bool mixed;
} sample;

static hp_status take_place(hp_pprof_reading *r, uint64_t id) {
    uint32_t place = hp_pprof_place(&r->location_ids, id);
    if (place == HP_PPROF_NONE)
        return hp_pprof_bad(r, "a sample has a location that is none of its table");
    uint32_t frames = r->first_frame[place + 1] - r->first_frame[place];
    if (r->stack_count >= HP_PPROF_ENTRIES_FREE || !hp_pprof_may(&r->frames_left, frames))
        return hp_pprof_unfolds(r);
    uint32_t *stack = hp_array_grow(r->stack, &r->stack_capacity, r->stack_count + 1, sizeof *stack);
    if (stack == NULL)
        return hp_pprof_no_memory(r);
    r->stack = stack;
    stack[r->stack_count++] = place;
    return HP_OK;
}

static hp_status take_value(hp_pprof_reading *r, sample *s, uint64_t value) {
    if (s->value_count >= r->type_count)
        return hp_pprof_bad(r, "a sample has more values than there are types");
    s->values[s->value_count++] = value;
    return HP_OK;
}

/* Numbers of a repeated field: many in one (packed), or one each. */
static hp_status take_numbers(hp_pprof_reading *r, sample *s, const hp_wire_field *field) {
    hp_wire inside = hp_wire_inside(field);
    bool locations = field->number == SAMPLE_LOCATION;
    hp_status status = HP_OK;
    if (field->type != HP_WIRE_BYTES)
        return locations ? take_place(r, field->value) : take_value(r, s, field->value);
    while (status == HP_OK && inside.at < inside.end) {
        uint64_t number = hp_wire_varint(&inside);
        if (inside.bad)
            return hp_pprof_bad(r, "the numbers of a sample are malformed");
        status = locations ? take_place(r, number) : take_value(r, s, number);
    }
    return status;
}

static hp_thread_state state_named(const hp_pprof_reading *r, uint64_t text) {
    static const char *const names[] = HP_STATE_NAMES;
    for (unsigned i = 0; i < HP_STATES; i++) {
        if (hp_pprof_is(r, text, names[i]))
            return (hp_thread_state)i;
    }
    return HP_STATE_UNKNOWN;
}

static hp_status take_label(hp_pprof_reading *r, sample *s, const hp_wire_field *field) {
    hp_wire inside = hp_wire_inside(field);
    hp_wire_field part;
    uint64_t key = 0, text = 0;
    while (hp_wire_next(&inside, &part)) {
        key = part.number == LABEL_KEY ? part.value : key;
        text = part.number == LABEL_STRING ? part.value : text;
    }
    if (inside.bad || key >= r->string_count || text >= r->string_count)
        return hp_pprof_bad(r, inside.bad ? "a label is malformed" : "a label is no string of its table");
    if (hp_pprof_is(r, key, HP_PPROF_THREAD) || hp_pprof_is(r, key, "thread name"))
        s->thread = text;
    else if (hp_pprof_is(r, key, HP_PPROF_STATE))
        s->state = state_named(r, text);
    else if (hp_pprof_is(r, key, HP_PPROF_MEASURED))
        s->mixed = hp_pprof_is(r, text, HP_PPROF_MIXED);
    return HP_OK;
}

static hp_status parse(hp_pprof_reading *r, const hp_wire_field *field, sample *s) {
    hp_wire inside = hp_wire_inside(field);
    hp_wire_field part;
    hp_status status = HP_OK;
    r->stack_count = 0;
    while (status == HP_OK && hp_wire_next(&inside, &part)) {
        if (part.number == SAMPLE_LOCATION || part.number == SAMPLE_VALUE)
            status = take_numbers(r, s, &part);
        else if (part.number == SAMPLE_LABEL)
            status = take_label(r, s, &part);
    }
    if (status == HP_OK && (inside.bad || s->value_count != r->type_count))
        status = hp_pprof_bad(r, inside.bad ? "a sample is malformed" : "a sample has fewer values than there are types");
    return status;
}

static uint32_t thread_new(hp_pprof_reading *r, const char *name, uint32_t *known) {
    if (*known == HP_PPROF_NONE)
        *known = hp_profile_add_thread(r->profile, name, 0);
    return *known == HP_NO_NODE ? HP_PPROF_NONE : r->profile->threads[*known].root;
}

/* The root of the thread that a label tells; HP_PPROF_NONE when memory is short, or text_left. */
static uint32_t labelled_root(hp_pprof_reading *r, uint64_t text) {
    if (text == 0)
        return thread_new(r, "unknown", &r->nameless);
    if (r->thread_of == NULL) {
        r->thread_of = malloc(r->string_count * sizeof *r->thread_of);
        if (r->thread_of == NULL)
            return HP_PPROF_NONE;
        memset(r->thread_of, 0xff, r->string_count * sizeof *r->thread_of);
    }
    if (r->thread_of[text] != HP_PPROF_NONE)
        return thread_new(r, "", &r->thread_of[text]);
    const char *name = hp_pprof_text_of(r, r->strings[text]);
    return r->text_over ? HP_PPROF_NONE : thread_new(r, name, &r->thread_of[text]);
}

static hp_status no_root(hp_pprof_reading *r) {
    return r->text_over ? hp_pprof_unfolds(r) : hp_pprof_no_memory(r);
}

/* From the outermost frame to the leaf. The first may be the thread itself. */
static hp_status find_node(hp_pprof_reading *r, const sample *s, uint32_t *node) {
    uint32_t at = HP_PPROF_NONE, before = r->profile->tree.count;
    for (uint32_t i = r->stack_count; i-- > 0;) {
        uint32_t first = r->first_frame[r->stack[i]];
        for (uint32_t frame = r->first_frame[r->stack[i] + 1]; frame-- > first;) {
            bool begins = at == HP_PPROF_NONE;
            uint32_t thread = begins ? r->frames[frame].thread : HP_PPROF_NONE;
            if (begins)
                at = thread != HP_PPROF_NONE ? r->profile->threads[thread].root : labelled_root(r, s->thread);
            if (at == HP_PPROF_NONE)
                return no_root(r);
            if (thread == HP_PPROF_NONE)
                at = hp_tree_child(&r->profile->tree, at, r->frames[frame].function);
        }
        if (r->profile->tree.count - before > r->entries_left)
            return hp_pprof_unfolds(r);
    }
    if (r->profile->tree.overflowed != 0)
        return hp_pprof_no_memory(r);
    r->entries_left -= r->profile->tree.count - before;
    *node = at == HP_PPROF_NONE ? labelled_root(r, s->thread) : at;
    return *node == HP_PPROF_NONE ? no_root(r) : HP_OK;
}

/* A difference of two profiles has negative values: they count as none. */
static uint64_t value_of(hp_pprof_reading *r, const sample *s, const hp_pprof_column *column) {
    uint64_t value = column->at == HP_PPROF_NONE ? 0 : s->values[column->at];
    if (value > INT64_MAX) {
        r->negative++;
        return 0;
    }
    return value > INT64_MAX / column->scale ? INT64_MAX : value * column->scale;
}

/* Of others: as many as they say, else as many as the period makes of the time, else one. */
static uint64_t samples_of(hp_pprof_reading *r, const sample *s, uint64_t ns) {
    double rate = r->profile->meta.rate_hz;
    if (r->samples.at != HP_PPROF_NONE)
        return value_of(r, s, &r->samples);
    uint64_t made = rate > 0 ? (uint64_t)((double)ns * 1e-9 * rate + 0.5) : 0;
    return ns != 0 && made == 0 ? 1 : made > INT64_MAX ? INT64_MAX : made;
}

static bool sum(uint64_t *total, uint64_t value) {
    *total = hp_add_saturated(*total, value);
    return *total < INT64_MAX;
}

static hp_status add_values(hp_pprof_reading *r, const sample *s, uint32_t index) {
    hp_node *node = &r->profile->tree.nodes[index];
    uint64_t sampled = value_of(r, s, &r->sampled), exact = value_of(r, s, &r->exact);
    uint64_t calls = value_of(r, s, &r->calls), overhead = value_of(r, s, &r->overhead);
    uint64_t samples = samples_of(r, s, sampled);
    uint32_t line = r->stack_count == 0 ? 0 : r->frames[r->first_frame[r->stack[0]]].line;
    if (!sum(&r->time_sum, sampled) || !sum(&r->time_sum, exact) || !sum(&r->call_sum, calls) || !sum(&r->sample_sum, samples) ||
        !sum(&r->overhead_sum, overhead))
        return hp_pprof_bad(r, "the times or counts add up to 2^63 or more");
    node->samples += samples;
    node->sampled += sampled;
    node->calls += calls;
    node->exact += exact;
    node->overhead += overhead;
    node->flags |= s->mixed ? HP_NODE_PARTIAL : 0;
    if ((line == 0 && s->state == HP_STATE_UNKNOWN) || (samples | sampled) == 0)
        return HP_OK;
    if (!hp_pprof_may(&r->entries_left, 1))
        return hp_pprof_unfolds(r);
    hp_line told = {.node = index, .line = line, .state = s->state, .samples = samples, .sampled = sampled};
    return hp_profile_add_line(r->profile, &told) == HP_OK ? HP_OK : hp_pprof_no_memory(r);
}

hp_status hp_pprof_take_sample(hp_pprof_reading *r, const hp_wire_field *field) {
    sample s = {.value_count = 0};
    uint32_t node = 0;
    hp_status status = parse(r, field, &s);
    if (status == HP_OK)
        status = find_node(r, &s, &node);
    return status == HP_OK ? add_values(r, &s, node) : status;
}
