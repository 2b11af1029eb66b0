/* SPDX-License-Identifier: MIT */
/* From a stack and its running task to the chain. */
#include "frame/tasks.h"

#include <string.h>

#include "frame/description.h"
#include "frame/load.h"

enum { COPIES = 512 }; /* of one chain: three or four for each task, and its coroutines */

void hp_tasks_init(hp_tasks *tasks) {
    *tasks = (hp_tasks){0};
    strcpy(tasks->names.text[HP_TASK_NUMBERED], "<task Task-*>");
    strcpy(tasks->names.text[HP_TASK_OTHERS], "<task ...>");
    tasks->names.count = 2;
}

static bool put(hp_tasks *tasks, const hp_frame *frame) {
    if (tasks->length == HP_TASK_FRAMES)
        return false;
    tasks->chain[tasks->length++] = *frame;
    return true;
}

static bool put_marker(hp_tasks *tasks, hp_reader *reader, const hp_future *task) {
    uint32_t name = hp_task_name(reader, hp_future_word(task, reader->layout->name), tasks);
    return put(tasks, &(hp_frame){task->address, (uintptr_t)name << 1 | 1, 0});
}

/* The frames of an awaiting task, innermost first as in a stack. False: it does not wait, so it is nobody's awaiting task; or there is more
 * than can be read of it. With a part of its frames the innermost would seem to await what another does, and with copies at an end its name
 * would seem to be asyncio's own: the chain ends before it. */
static bool put_awaiting(hp_tasks *tasks, hp_reader *reader, const hp_future *task) {
    hp_frame frames[HP_TASK_FRAMES];
    uint32_t length = tasks->length;
    uint32_t count = hp_coroutine_frames(reader, hp_future_word(task, reader->layout->coroutine), frames, HP_TASK_FRAMES);
    if (count == 0 || length + count + 1 > HP_TASK_FRAMES)
        return false;
    while (count > 0)
        put(tasks, &frames[--count]);
    bool whole = put_marker(tasks, reader, task) && reader->left > 0;
    tasks->length = whole ? tasks->length : length;
    return whole;
}

static bool is_in_chain(const hp_tasks *tasks, uintptr_t task) {
    for (uint32_t i = 0; i < tasks->length; i++)
        if (tasks->chain[i].frame == task && hp_frame_is_task(&tasks->chain[i]))
            return true;
    return false;
}

static void follow(hp_tasks *tasks, hp_reader *reader, const hp_future *running) {
    hp_future task = *running, next;
    tasks->length = 0;
    put_marker(tasks, reader, running);
    for (int depth = 1; depth < HP_TASK_DEPTH; depth++) {
        if (!hp_future_awaiting(reader, &task, &tasks->wakeup, &next) || is_in_chain(tasks, next.address))
            return;
        if (!put_awaiting(tasks, reader, &next))
            return;
        task = next;
    }
}

/* Behind the running task's coroutine, which hides nothing that is further out. */
void hp_tasks_insert(const hp_tasks *tasks, hp_stack *stack) {
    hp_frame *behind = stack->frames + tasks->at + 1;
    if (tasks->length == 0)
        return;
    if (stack->capacity - stack->count < tasks->length) {
        stack->cut = true; /* room is made as for what is deeper, and then it fits */
        return;
    }
    memmove(behind + tasks->length, behind, (stack->count - tasks->at - 1) * sizeof *behind);
    memcpy(behind, tasks->chain, tasks->length * sizeof *behind);
    stack->count += tasks->length;
}

/* Whether the outermost object with a frame of its own is a coroutine: then this may be a task of an asyncio that was imported after we
 * looked. */
static bool may_run_task(const hp_stack *stack, const hp_state *state, hp_reader *reader) {
    const hp_description *d = &hp_description_here;
    uintptr_t type = 0;
    if (d->state_task != 0)
        return hp_load_word(state->address + d->state_task) != 0;
    return hp_reader_word(reader, stack->outer_generator - d->generator_frame + d->object_type, &type) && type == d->coroutine_type;
}

hp_tasks_found hp_tasks_read(hp_tasks *tasks, const hp_stack *stack, const hp_state *state, bool trust_ranges) {
    const hp_task_layout *layout = hp_task_layout_now();
    hp_reader reader = {.layout = layout, .pages = &tasks->pages, .left = COPIES, .trust = trust_ranges};
    hp_future running;
    tasks->pages.count = 0;
    tasks->length = 0;
    if (stack->outer_generator == 0 || stack->cut)
        return HP_TASKS_NONE;
    if (layout == NULL)
        return may_run_task(stack, state, &reader) ? HP_TASKS_UNKNOWN : HP_TASKS_NONE;
    if (layout->interpreter != state->interpreter || !hp_task_running(&reader, state, stack, &running, &tasks->at))
        return HP_TASKS_NONE;
    follow(tasks, &reader, &running);
    return HP_TASKS_FOUND;
}
