/* SPDX-License-Identifier: MIT */
/* Following a chain of frames that another thread owns. */
#include <string.h>

#include "frame/description.h"
#include "frame/frame.h"
#include "frame/load.h"
#include "frame/ranges.h"

enum { FRAME_BYTES = 256 };

/* One walk. `range` is the known range last hit: neighbours on a stack lie in one chunk. */
typedef struct walk {
    const hp_description *d;
    const hp_bounds *bounds;
    bool trust;
    hp_range range;
    uintptr_t generator; /* innermost frame that a generator owns, or 0 */
    uint8_t last_owner;
    uintptr_t copy[FRAME_BYTES / sizeof(uintptr_t)];
} walk;

typedef struct raw_frame {
    uintptr_t executable, previous, instruction;
    uint8_t owner, is_entry;
} raw_frame;

/* Where `size` bytes at `address` can be read without a fault: in place, or in the walk's copy; 0 if nowhere. */
static uintptr_t readable(walk *w, uintptr_t address, size_t size) {
    if (address >= w->range.low && address < w->range.high && w->range.high - address >= size)
        return address;
    if ((address & (sizeof(uintptr_t) - 1)) != 0)
        return 0;
    if (address >= w->bounds->low && address < w->bounds->high && w->bounds->high - address >= size)
        return address;
    if (w->trust && hp_range_find(address, size, &w->range))
        return address;
    return hp_memory_copy(w->copy, address, size) ? (uintptr_t)w->copy : 0;
}

static bool frame_load(walk *w, uintptr_t frame, raw_frame *raw) {
    const hp_description *d = w->d;
    uintptr_t at = readable(w, frame, d->frame_size);
    if (at == 0 || (at & (sizeof(uintptr_t) - 1)) != 0)
        return false;
    raw->executable = hp_load_word(at + d->frame_executable) & ~d->executable_tag;
    raw->previous = hp_load_word(at + d->frame_previous);
    raw->instruction = hp_load_word(at + d->frame_instruction);
    raw->owner = hp_load_byte(at + d->frame_owner);
    raw->is_entry = hp_load_byte(at + d->frame_is_entry);
    return raw->owner <= d->owner_last;
}

static bool chain_top(walk *w, const hp_state *state, uintptr_t *top) {
    const hp_description *d = w->d;
    uintptr_t address = hp_load_word(state->address + d->state_top);
    if (d->state_top_in_cframe) {
        uintptr_t at = address + d->cframe_top;
        if (at - state->address >= d->state_size && (at = readable(w, at, sizeof(uintptr_t))) == 0)
            return false;
        address = hp_load_word(at);
    }
    *top = address;
    return true;
}

/* The stack is deeper than we keep: the inner half makes room, the part that hangs at the base matters more. */
static void drop_inner_half(hp_stack *stack) {
    uint32_t half = stack->capacity / 2;
    memmove(stack->frames, stack->frames + half, (stack->count - half) * sizeof *stack->frames);
    stack->count -= half;
    stack->cut = true;
}

/* False if no function can stand like this. */
static bool frame_keep(walk *w, hp_stack *stack, uintptr_t frame, const raw_frame *raw) {
    if (raw->owner >= w->d->owner_shim) {
        if (stack->shim_count < HP_STACK_SHIMS)
            stack->shims[stack->shim_count++] = frame;
        return true;
    }
    uintptr_t first = raw->executable + w->d->code_instructions;
    if (raw->executable == 0 || (raw->executable & (sizeof(uintptr_t) - 1)) != 0 || raw->instruction < first - w->d->instruction_lead)
        return false;
    if (stack->count == stack->capacity)
        drop_inner_half(stack);
    if (raw->owner == w->d->owner_generator) {
        w->generator = w->generator == 0 ? frame : w->generator;
        stack->outer_generator = frame;
    }
    w->last_owner = raw->owner;
    stack->frames[stack->count++] = (hp_frame){frame, raw->executable, raw->instruction};
    return true;
}

static bool chain_ends_well(const hp_description *d, const raw_frame *last) {
    return d->end == HP_END_ENTRY_FRAME ? last->is_entry != 0 : last->owner >= d->owner_shim;
}

static bool chain_follow(walk *w, hp_stack *stack, uintptr_t frame, uintptr_t base) {
    uintptr_t mark = 0;
    raw_frame raw;
    if (frame == 0)
        return true; /* the thread runs no Python code */
    for (uint64_t steps = 1; frame != base; steps++) {
        if (!frame_load(w, frame, &raw) || !frame_keep(w, stack, frame, &raw))
            return false;
        if (raw.previous == 0)
            return chain_ends_well(w->d, &raw);
        /* Brent: a loop in a chain that changes beneath us meets the frame marked at the last power of two. */
        if (raw.previous == mark)
            return false;
        if ((steps & (steps - 1)) == 0)
            mark = frame;
        frame = raw.previous;
    }
    return true;
}

/* The frame that resumed a generator; 0 where that frame, or the generator's own, is no frame that runs. */
static uintptr_t resumer_of(walk *w, uintptr_t generator, raw_frame *raw) {
    enum { SHIMS = 8 };
    if (!frame_load(w, generator, raw) || raw->owner != w->d->owner_generator || raw->executable == 0)
        return 0;
    uintptr_t frame = raw->previous;
    raw_frame next;
    for (int i = 0; i < SHIMS && frame != 0; i++) {
        if (!frame_load(w, frame, &next))
            return 0;
        if (next.owner < w->d->owner_shim)
            return frame;
        frame = next.previous;
    }
    return 0;
}

/* Puts the generator between the top frame and the frame that resumed it. */
static bool frame_insert(hp_stack *stack, uintptr_t generator, const raw_frame *raw) {
    if (stack->count == stack->capacity)
        return false;
    memmove(stack->frames + 2, stack->frames + 1, (stack->count - 1) * sizeof *stack->frames);
    stack->frames[1] = (hp_frame){generator, raw->executable, raw->instruction};
    stack->count++;
    return true;
}

/* A call stores the new frame's `previous` and the thread's top frame, in an order that the compiler chose. Between the two the new frame
 * still has the `previous` of an earlier life at the same place. Its code has not begun then, so only a top frame at its entry can be met
 * like this. A frame from the data stack is called by its neighbour there, or by a generator, whose frame is elsewhere: so what an earlier
 * life can say wrongly is which generator called. But the thread's exception state belongs to the innermost generator that runs.
 * (Seen once in 17,000 samples of a program that does nothing but call and resume, on 3.11 and 3.12, before this was checked.)
 *
 * Where that generator was resumed by the very frame that the link names, the generator is the caller: had it called another function, that
 * one's frame would lie at this place. Otherwise one has to look again. A thread that gets no CPU stays like this for as long as that
 * lasts, so that patience proves nothing, but where the exception state is no generator's that we know: C code has generators of its own
 * (Cython), and calls from those look the same for ever. */
static hp_doubt doubt_of_entry(walk *w, hp_stack *stack, uintptr_t state) {
    const hp_description *d = w->d;
    if (stack->frames[0].instruction > stack->frames[0].code + d->code_instructions - d->instruction_lead)
        return HP_CERTAIN;
    uintptr_t error = hp_load_word(state + d->state_error), own = state + d->state_own_error;
    if (error == (w->generator == 0 ? own : w->generator - d->generator_error))
        return HP_CERTAIN;
    if (error == own)
        return HP_DOUBTFUL;
    raw_frame raw;
    uintptr_t resumer = resumer_of(w, error + d->generator_error, &raw);
    if (resumer == 0)
        return HP_UNKNOWABLE;
    bool neighbour = stack->count > 1 && stack->frames[1].frame == resumer;
    return neighbour && frame_insert(stack, error + d->generator_error, &raw) ? HP_CERTAIN : HP_DOUBTFUL;
}

/* Where the chain's end is no shim (3.11), a generator that is being suspended may look like the outermost frame; one that C code runs in a
 * thread of its own is the outermost frame, for as long as it runs. */
static hp_doubt doubt_of(walk *w, hp_stack *stack, uintptr_t state) {
    if (stack->count == 0 || stack->cut)
        return HP_CERTAIN;
    if (w->d->end == HP_END_ENTRY_FRAME && w->last_owner == w->d->owner_generator)
        return HP_UNKNOWABLE;
    return doubt_of_entry(w, stack, state);
}

bool hp_stack_read(hp_stack *stack, const hp_state *state, const hp_bounds *bounds, bool trust_ranges) {
    walk w = {.d = &hp_description_here, .bounds = bounds, .trust = trust_ranges};
    stack->count = 0;
    stack->shim_count = 0;
    stack->outer_generator = 0;
    stack->cut = false;
    stack->whole = false;
    stack->doubt = HP_CERTAIN;
    uintptr_t top, top_again, base = w.d->state_base == 0 ? 0 : hp_load_word(state->address + w.d->state_base);
    if (!chain_top(&w, state, &top) || !chain_follow(&w, stack, top, base))
        return false;
    /* The fence keeps this load behind the chain's. A generator in a fast loop could otherwise be met twice in the same wrong state. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    stack->whole = chain_top(&w, state, &top_again) && top_again == top;
    stack->doubt = doubt_of(&w, stack, state->address);
    return stack->whole;
}

static void prefetch(uintptr_t address) {
    __builtin_prefetch((const void *)address); // NOLINT(performance-no-int-to-ptr)
}

void hp_stack_prefetch(const hp_stack *last, uintptr_t state) {
    enum { DEPTH = 24 };
    const hp_description *d = &hp_description_here;
    prefetch(state + d->state_top);
    for (uint32_t i = 0; i < last->shim_count; i++) {
        prefetch(last->shims[i]);
        prefetch(last->shims[i] + d->frame_owner);
    }
    for (uint32_t i = 0; i < last->count && i < DEPTH; i++) {
        prefetch(last->frames[i].frame);
        prefetch(last->frames[i].frame + d->frame_owner);
    }
}

bool hp_stack_equal(const hp_stack *a, const hp_stack *b, bool top_may_move) {
    if (a->count != b->count || a->cut != b->cut || a->count == 0)
        return a->count == b->count && a->cut == b->cut;
    if (top_may_move)
        return a->frames[0].frame == b->frames[0].frame && a->frames[0].code == b->frames[0].code &&
               memcmp(a->frames + 1, b->frames + 1, (a->count - 1) * sizeof *a->frames) == 0;
    return memcmp(a->frames, b->frames, a->count * sizeof *a->frames) == 0;
}

uint32_t hp_frame_unit_index(const hp_frame *frame) {
    uintptr_t first = frame->code + hp_description_here.code_instructions;
    return frame->instruction < first ? 0 : (uint32_t)((frame->instruction - first) / 2);
}

uint32_t hp_code_units_at(uintptr_t code) {
    enum { BYTES = 512 };
    const hp_description *d = &hp_description_here;
    uintptr_t words[BYTES / sizeof(uintptr_t)], copy = (uintptr_t)words;
    if (d->code_instructions > BYTES || !hp_memory_copy(words, code, d->code_instructions))
        return 0;
    if (hp_load_word(copy + d->object_type) != d->code_type)
        return 0;
    uintptr_t units = hp_load_word(copy + d->variable_size);
    if (units == 0 || units >= UINT32_MAX)
        return 0;
    int first = hp_load_int(copy + d->code_first_traceable);
    return first > 0 && (uintptr_t)first >= units ? HP_CODE_TRAMPOLINE : (uint32_t)units;
}
