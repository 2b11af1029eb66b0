/* SPDX-License-Identifier: MIT */
/* asyncio: the tasks that await the one which runs, put into its thread's stack.
 *
 * The running task's coroutine stands on the stack; the tasks that wait for it stand nowhere but in the heap. From the outside in, a stack
 * becomes: the event loop's frames, then for each task, the outermost awaiting one first, a *marker* with the task's name and the frames
 * of its suspended coroutines, last the running task's marker and what it runs. Only a stack that holds the running task's coroutine is
 * changed, and only by putting frames in: what was read stays as it is.
 *
 * The fields of a task are in no header. Their offsets are found once, with the GIL, in objects made for the purpose (tasks_learn.c); what
 * cannot be found there is not guessed: then no chain is read.
 *
 * Every read is a copy that cannot fault, every object is recognised by its type before a field of it counts, and every loop is bounded. A
 * chain is read between two equal copies of its stack: while a task runs, nobody wakes who awaits it. */
#ifndef HP_FRAME_TASKS_H
#define HP_FRAME_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame/frame.h"
#include "frame/ranges.h"

enum {
    HP_TASK_NAMES = 512,      /* different names of one session */
    HP_TASK_NAME_BYTES = 136, /* "<task NAME>" with its end */
    HP_TASK_NAME_TEXT = 120,  /* bytes kept of a name */
    HP_TASK_DEPTH = 32,       /* tasks in a chain */
    HP_TASK_FRAMES = 256,     /* frames of a chain */
};

/* Names by number. Owner: the sampler thread; nothing is allocated, so that names can be put in under the gate. */
typedef struct hp_task_names {
    uint32_t count;
    uint16_t index[HP_TASK_NAMES * 2]; /* open addressing: number + 1 */
    char text[HP_TASK_NAMES][HP_TASK_NAME_BYTES];
} hp_task_names;
enum {
    HP_TASK_NUMBERED = 0, /* "<task Task-*>": asyncio's own names, which count through */
    HP_TASK_OTHERS = 1,   /* "<task ...>": the names past the bound */
};

typedef enum hp_tasks_found {
    HP_TASKS_NONE,    /* no task runs on this stack */
    HP_TASKS_FOUND,   /* its chain is read */
    HP_TASKS_UNKNOWN, /* one may run, and how tasks look is not known yet: ask for hp_tasks_learn */
} hp_tasks_found;

/* Pages that the kernel copied for the chain in hand: objects lie beside each other, and a copy of a page takes little longer than one of a
 * word. */
enum { HP_PAGES = 32, HP_PAGE_BYTES = 4096 };
typedef struct hp_pages {
    uint32_t count;
    uint32_t copied; /* times that the kernel was asked for one */
    uintptr_t address[HP_PAGES];
    uintptr_t words[HP_PAGES][HP_PAGE_BYTES / sizeof(uintptr_t)];
} hp_pages;

/* What reading chains needs. Owner: the sampler thread. */
typedef struct hp_tasks {
    hp_pages pages;
    hp_task_names names;
    uint64_t names_refused;         /* times a name was one too many */
    uintptr_t wakeup;               /* definition of the C function that wakes an awaiting task, once met */
    uint32_t length, at;            /* 0: no chain. at: index in the stack of the running task's coroutine, as it was read */
    hp_frame chain[HP_TASK_FRAMES]; /* innermost first */
} hp_tasks;

void hp_tasks_init(hp_tasks *tasks);
/* Head lock and memory gate held, `stack` just read from `state` and whole. Leaves the chain in `tasks`. */
hp_tasks_found hp_tasks_read(hp_tasks *tasks, const hp_stack *stack, const hp_state *state, bool trust_ranges);
/* Puts the chain, if there is one, into the stack that it was read for. */
void hp_tasks_insert(const hp_tasks *tasks, hp_stack *stack);

/* A marker stands in a stack like a frame: its `frame` is the task's address, its `code` an odd number. */
static inline bool hp_frame_is_task(const hp_frame *frame) {
    return (frame->code & 1) != 0;
}
static inline uint32_t hp_frame_task_name(const hp_frame *frame) {
    return (uint32_t)(frame->code >> 1);
}

/* [GIL] Finds out how tasks look if the program has imported asyncio; never imports it. Runs a few lines of Python. Once per process. False
 * with an exception set if one of the program's signal handlers raised it meanwhile. */
bool hp_tasks_learn(void);
/* The same without the GIL, from any thread that holds no lock of the runtime's: by the thread that runs Python code next, in 3.11 by the
 * main thread as soon as it does. */
void hp_tasks_ask(void);
typedef enum hp_tasks_state {
    HP_TASKS_NOT_MET, /* asyncio was not imported yet */
    HP_TASKS_KNOWN,
    HP_TASKS_IMPOSSIBLE, /* this asyncio is not as we know it */
} hp_tasks_state;
hp_tasks_state hp_tasks_state_now(void);

/* --- between the files tasks*.c --- */

enum {
    HP_FUTURE_WORDS = 64,
    HP_TASK_WRAPPERS = 4,
    HP_TUPLE_ITEMS = 16,      /* that are read of a tuple */
    HP_MANAGED_DICT = 1 << 4, /* Py_TPFLAGS_MANAGED_DICT, which 3.11 has in no public header */
};

typedef struct hp_task_layout {
    uintptr_t interpreter;
    uintptr_t future_type, task_type, partial_type;
    uintptr_t group_type, asyncio_tasks;       /* TaskGroup, or 0; the globals of module asyncio.tasks */
    uintptr_t parent_name;                     /* "_parent_task", interned */
    uintptr_t wrapper_types[HP_TASK_WRAPPERS]; /* between a coroutine and what it awaits; 0: none */
    uintptr_t current_tasks;                   /* the dict {loop: task}; 0 where the thread state says what runs */
    size_t future_size, task_size;             /* bytes, at most HP_FUTURE_WORDS words */
    size_t name, coroutine;                    /* offsets in a task */
    size_t callback, callbacks;                /* in a future */
    size_t awaited_by;                         /* in a future; 0 where callbacks are all there is */
    size_t await_back;                         /* words below the stack pointer at which a suspended coroutine keeps what it awaits */
} hp_task_layout;

typedef struct hp_reader {
    const hp_task_layout *layout;
    hp_pages *pages; /* NULL: each copy by itself */
    uint32_t left;   /* copies still allowed: whatever is in memory, a chain ends */
    bool trust;
    hp_range range;
} hp_reader;

typedef struct hp_future {
    uintptr_t address;
    bool is_task;
    uintptr_t words[HP_FUTURE_WORDS];
} hp_future;

/* What is known, or NULL. */
const hp_task_layout *hp_task_layout_now(void);
bool hp_reader_copy(hp_reader *reader, void *to, uintptr_t from, size_t size);
bool hp_reader_word(hp_reader *reader, uintptr_t from, uintptr_t *to);
/* False unless `address` is a future, of a task's class or another. */
bool hp_future_read(hp_reader *reader, uintptr_t address, hp_future *future);
static inline uintptr_t hp_future_word(const hp_future *future, size_t offset) {
    return future->words[offset / sizeof(uintptr_t)];
}
/* The same for a task. */
bool hp_task_read(hp_reader *reader, uintptr_t address, hp_future *task);
/* The first items of a tuple, at most HP_TUPLE_ITEMS; 0 if it is none. */
uint32_t hp_tuple_items(hp_reader *reader, uintptr_t tuple, uintptr_t *items);
/* A dict's entries, those of removed keys included. `at`: address of the pointer to its keys. */
typedef struct hp_keys {
    uintptr_t names, values; /* of the first entry; values: 0 in each where they stand elsewhere */
    uintptr_t count, step;   /* bytes from one to the next */
} hp_keys;
bool hp_keys_read(hp_reader *reader, uintptr_t at, hp_keys *keys);
/* The task that has opened a TaskGroup. */
bool hp_group_task(hp_reader *reader, uintptr_t object, hp_future *task);
/* The first task that waits for `future`, through gather(), shield(), wait(), groups and the like. `wakeup`: see hp_tasks. */
bool hp_future_awaiting(hp_reader *reader, const hp_future *future, uintptr_t *wakeup, hp_future *awaiting);
/* The frames of a suspended coroutine and of those that it awaits, outermost first. */
uint32_t hp_coroutine_frames(hp_reader *reader, uintptr_t coroutine, hp_frame *frames, uint32_t capacity);
/* What a suspended coroutine awaits, or 0: for tasks_learn.c. */
uintptr_t hp_coroutine_awaits(hp_reader *reader, uintptr_t coroutine);
/* The task that runs on `stack`; `*at`: the index of its coroutine's frame. */
bool hp_task_running(hp_reader *reader, const hp_state *state, const hp_stack *stack, hp_future *task, uint32_t *at);
uint32_t hp_task_name(hp_reader *reader, uintptr_t name, hp_tasks *tasks);

#endif
