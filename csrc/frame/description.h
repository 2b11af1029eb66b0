/* SPDX-License-Identifier: MIT */
/* What the walk has to know of one CPython version: offsets, taken from its own headers by frame_3NN.c. Constant. */
#ifndef HP_FRAME_DESCRIPTION_H
#define HP_FRAME_DESCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a thread's chain of frames ends. */
typedef enum hp_chain_end {
    HP_END_ENTRY_FRAME, /* 3.11: a frame whose `is_entry` is set */
    HP_END_SHIM,        /* 3.12 on: the shim of the outermost entry from C */
} hp_chain_end;

typedef struct hp_description {
    const char *unsupported;
    /* _PyInterpreterFrame */
    size_t frame_size; /* bytes up to and including the last field named here */
    size_t frame_executable, frame_previous, frame_instruction, frame_owner, frame_is_entry;
    uintptr_t executable_tag;
    uint8_t owner_shim; /* owners from here on are shims */
    uint8_t owner_last; /* owners above this are illegal */
    uint8_t owner_generator;
    size_t generator_error; /* from a generator's `exc_state` to its frame */
    /* Generators and coroutines: their frame within them, and which states of it say that they are suspended, and that they await another.
     */
    uintptr_t coroutine_type, generator_type, async_generator_type;
    size_t generator_frame, generator_state;
    int suspended_first, suspended_last, awaiting_first, awaiting_last;
    bool only_coroutines_await; /* of others the state does not tell */
    size_t frame_stack;         /* of the frame's stack pointer, or of the number of its locals and stack items: */
    bool frame_stack_is_index;
    hp_chain_end end;
    /* PyCodeObject */
    size_t code_instructions, code_first_traceable;
    size_t instruction_lead; /* bytes that a frame's instruction may lie before the first one */
    uintptr_t code_type;
    size_t object_type, variable_size;
    /* PyThreadState */
    size_t state_next, state_interpreter, state_id, state_pthread, state_native_id;
    size_t state_top; /* of the top frame, or of the C frame that points at it */
    bool state_top_in_cframe;
    size_t cframe_top;
    size_t state_base;                   /* of the pointer to the base frame, or 0 */
    size_t state_size;                   /* a C frame inside the state itself needs no further check */
    size_t state_error, state_own_error; /* `exc_info` and `exc_state` */
    size_t state_task;                   /* of the pointer to the asyncio task that runs, or 0: */
    /* PyDictObject and its keys, instance attributes: only where tasks are found through them */
    size_t dict_keys, dict_values, keys_index_bytes, keys_kind, keys_count, keys_indices;
    size_t dict_before;   /* the pointer to an instance's dict lies that far before it, */
    size_t values_before; /* the one to its attributes where it has none so far before it, */
    uintptr_t values_tag; /* or in place of the dict's, less this, which makes it odd, */
    size_t values_inline; /* or they lie within it: from its start to the first */
    size_t values_first;  /* from what a dict points at to the first */
    size_t state_chunk;
    size_t chunk_previous, chunk_size;
    /* PyInterpreterState */
    size_t interpreter_next, interpreter_id, interpreter_threads, interpreter_collecting;
    size_t interpreter_breaker; /* 3.11: of the int that makes the evaluation loop look up; else adding a pending call is enough */
    uintptr_t gil;              /* of the process, or 0: */
    size_t interpreter_gil;     /* of the pointer to it */
    /* struct _gil_runtime_state */
    size_t gil_last_holder, gil_locked, gil_switches, gil_size;
    /* Where a thread enters another interpreter without giving up the GIL: address of the pointer to the state that runs, or 0 */
    uintptr_t current_state;
    /* The object allocator of an interpreter: its arenas. arena_size 0: they cannot be found (3.11 keeps them to itself). */
    size_t allocator; /* in the interpreter, or of the pointer to it: */
    bool allocator_is_pointer;
    size_t arenas, arena_count; /* of the pointer to the list, and of its length */
    size_t arena_size, arena_step, arena_address;
    /* _PyRuntime */
    uintptr_t first_interpreter; /* address of the pointer */
    uintptr_t finalizing;        /* address of the pointer */
} hp_description;

extern const hp_description hp_description_here;

#endif
