/* SPDX-License-Identifier: MIT */
/* From a suspended coroutine through what it awaits, by copies: coroutines, generators, asynchronous generators. Where it awaits something
 * else (a future, an object of C code) its frames end. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "frame/description.h"
#include "frame/load.h"
#include "frame/tasks.h"

enum { WORD = sizeof(uintptr_t), COROUTINE_BYTES = 256, WRAPPER_BYTES = sizeof(PyObject) + WORD, WRAPPERS = 4 };

static uintptr_t load(const uintptr_t *copy, size_t offset) {
    return hp_load_word((uintptr_t)copy + offset);
}

static int generator_state(const uintptr_t *copy) {
    int byte = hp_load_byte((uintptr_t)copy + hp_description_here.generator_state);
    return byte < 128 ? byte : byte - 256;
}

static bool is_suspended(const uintptr_t *copy) {
    const hp_description *d = &hp_description_here;
    uintptr_t type = copy[d->object_type / WORD];
    int state = generator_state(copy);
    return (type == d->coroutine_type || type == d->generator_type || type == d->async_generator_type) && state >= d->suspended_first &&
           state <= d->suspended_last;
}

/* `async for`, `anext()`, `aclose()` and `__await__()` put an object between a coroutine and what it awaits, which is that object's first
 * field in every version. */
static bool is_wrapper(const hp_task_layout *layout, uintptr_t type) {
    for (int i = 0; i < HP_TASK_WRAPPERS; i++)
        if (type != 0 && type == layout->wrapper_types[i])
            return true;
    return false;
}

/* `*coroutine` becomes what it wraps. A wrapper is smaller than what is copied, and may be the last object before the end of memory. */
static bool coroutine_copy(hp_reader *reader, uintptr_t *coroutine, uintptr_t *copy) {
    const hp_description *d = &hp_description_here;
    size_t size = (d->generator_frame + d->frame_size + WORD - 1) & ~(size_t)(WORD - 1);
    for (int i = 0; i < WRAPPERS && size <= COROUTINE_BYTES; i++) {
        bool whole = hp_reader_copy(reader, copy, *coroutine, size);
        if (!whole && !hp_reader_copy(reader, copy, *coroutine, WRAPPER_BYTES))
            return false;
        if (!is_wrapper(reader->layout, copy[d->object_type / WORD]))
            return whole && is_suspended(copy);
        *coroutine = copy[sizeof(PyObject) / WORD];
    }
    return false;
}

/* Before 3.13 a generator's state does not tell whether it yielded, and then what is on top of its stack is something else. The instruction
 * at which it will go on does: RESUME, with 1 behind a `yield`, 2 behind `yield from`, 3 behind `await`. */
static bool resumes_awaiting(hp_reader *reader, const uintptr_t *copy) {
    const hp_description *d = &hp_description_here;
    enum { UNIT = 2, ARGUMENT = 1, YIELD_FROM = 2 };
    uintptr_t word, argument = load(copy, d->generator_frame + d->frame_instruction) + UNIT + ARGUMENT, within = argument & (WORD - 1);
    return hp_reader_word(reader, argument - within, &word) && hp_load_byte((uintptr_t)&word + within) >= YIELD_FROM;
}

static bool is_awaiting(hp_reader *reader, const uintptr_t *copy) {
    const hp_description *d = &hp_description_here;
    int state = generator_state(copy);
    if (state < d->awaiting_first || state > d->awaiting_last)
        return false;
    return !d->only_coroutines_await || copy[d->object_type / WORD] == d->coroutine_type || resumes_awaiting(reader, copy);
}

static uintptr_t awaited_by_copy(hp_reader *reader, uintptr_t coroutine, const uintptr_t *copy) {
    const hp_description *d = &hp_description_here;
    uintptr_t top, back = reader->layout->await_back * WORD, frame = d->generator_frame, awaited;
    if (!is_awaiting(reader, copy))
        return 0;
    if (d->frame_stack_is_index)
        top = coroutine + frame + d->frame_size + (uintptr_t)hp_load_int((uintptr_t)copy + frame + d->frame_stack) * WORD;
    else
        top = load(copy, frame + d->frame_stack);
    return hp_reader_word(reader, top - back, &awaited) ? awaited & ~d->executable_tag : 0;
}

uintptr_t hp_coroutine_awaits(hp_reader *reader, uintptr_t coroutine) {
    uintptr_t copy[COROUTINE_BYTES / WORD];
    return coroutine_copy(reader, &coroutine, copy) ? awaited_by_copy(reader, coroutine, copy) : 0;
}

uint32_t hp_coroutine_frames(hp_reader *reader, uintptr_t coroutine, hp_frame *frames, uint32_t capacity) {
    const hp_description *d = &hp_description_here;
    uintptr_t copy[COROUTINE_BYTES / WORD];
    uint32_t count = 0;
    while (coroutine != 0 && count < capacity && coroutine_copy(reader, &coroutine, copy)) {
        uintptr_t code = load(copy, d->generator_frame + d->frame_executable) & ~d->executable_tag;
        uintptr_t instruction = load(copy, d->generator_frame + d->frame_instruction);
        if (code == 0 || (code & (WORD - 1)) != 0 || instruction < code + d->code_instructions - d->instruction_lead)
            break;
        frames[count++] = (hp_frame){coroutine + d->generator_frame, code, instruction};
        coroutine = awaited_by_copy(reader, coroutine, copy);
    }
    return count;
}
