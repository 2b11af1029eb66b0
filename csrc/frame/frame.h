/* SPDX-License-Identifier: MIT */
/* Reading Python's threads and stacks from a thread that does not hold the GIL.
 *
 * Addresses are numbers here: nothing of CPython is dereferenced outside this folder, and code objects are never read by address
 * except through a copy that cannot fault. What differs between versions is one constant description (layout below).
 *
 * Lock order of the whole sampler: collect mutex > runtime head lock > memory gate > code table. None of these waits for the GIL:
 * the head lock is only ever tried, because its owner may run Python code or wait for the gate. */
#ifndef HP_FRAME_FRAME_H
#define HP_FRAME_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/code_table.h"
#include "base/status.h"

/* NULL where stacks can be read, else one sentence that says why not (free-threaded builds). */
const char *hp_frame_unsupported(void);

/* --- threads ------------------------------------------------------------------------------------------------------------- */

/* One PyThreadState. Valid while the head lock is held; afterwards only the ids mean something. */
typedef struct hp_state {
    uintptr_t address;
    uintptr_t interpreter;
    uintptr_t gil; /* the GIL that this state's interpreter uses */
    uint64_t interpreter_id;
    uint64_t id; /* PyThreadState.id, never reused */
    uint64_t pthread;
    uint64_t native_id;
} hp_state;

/* While held, no thread state or interpreter in the lists is freed. Only tried, never waited for. Safe without the GIL. */
bool hp_states_try_lock(void);
void hp_states_unlock(void);
/* Head lock held. Writes up to `capacity` states and returns how many there are. */
uint32_t hp_states_list(hp_state *states, uint32_t capacity);
/* Asks the processor to fetch what a list will read if these are still the states: see hp_stack_prefetch. */
void hp_states_prefetch(const hp_state *states, uint32_t count);
/* Where a thread may run in a state that another one made, which then bears that one's ids (3.11, 3.12): an address on the C stack of the
 * thread that runs in it now, or 0 if it runs nothing. Elsewhere 0. The number alone is used. Head lock held. */
uintptr_t hp_state_on_stack(const hp_state *state);
/* The runtime is being torn down: touch nothing any more. */
bool hp_runtime_finalizing(void);

/* --- GIL ----------------------------------------------------------------------------------------------------------------- */

typedef struct hp_gil {
    uintptr_t last_holder; /* state that holds it or held it last */
    uint64_t switches;     /* raised each time another state takes it: equal numbers mean that nobody but last_holder ran between */
    bool locked;
    bool handed_on; /* a thread may go from one state to another without a switch: then equal numbers mean nothing */
} hp_gil;
/* Head lock held. Relaxed loads between acquire fences: ordered against reads of the stack before and after it. */
hp_gil hp_gil_read(uintptr_t gil);
/* Whether an address lies inside a GIL: who waits there waits for it. The number alone is used. */
bool hp_gil_holds(uintptr_t gil, uintptr_t address);
/* Head lock held. The interpreter is collecting garbage. */
bool hp_is_collecting(uintptr_t interpreter);

/* --- memory -------------------------------------------------------------------------------------------------------------- */

/* [GIL] Wraps the arena allocator, from which data-stack chunks come, and registers the chunks that exist. Once per process, for ever:
 * other allocators may wrap ours, so it cannot be taken off again. */
hp_status hp_memory_watch(hp_error *error);
/* [GIL] Only its part in forks. Once per process. */
hp_status hp_memory_watch_forks(hp_error *error);
/* While held, no known range is unmapped. Frees wait for it: hold it for one walk. */
void hp_memory_lock(void);
void hp_memory_unlock(void);
/* Our allocator is still the one in force, so known ranges can be trusted. Checked at each tick; the gate is not held. */
bool hp_memory_watched(void);
/* The same without any consequence, for one walk: the gate may be held. */
bool hp_memory_outermost(void);
/* Known ranges now, and how often ranges came and went: for tests. */
void hp_memory_counts(uint64_t *known, uint64_t *added, uint64_t *removed);
/* Copies through the kernel, which answers with false where a plain read would fault. About 1.3 us. */
bool hp_memory_copy(void *to, uintptr_t from, size_t size);
/* In a forked child. */
void hp_memory_after_fork(void);

/* --- stacks -------------------------------------------------------------------------------------------------------------- */

/* One function on a stack. Three words that say everything a second look has to find unchanged. */
typedef struct hp_frame {
    uintptr_t frame;
    uintptr_t code;
    uintptr_t instruction;
} hp_frame;

enum { HP_STACK_SHIMS = 6 };

/* A thread may stand between two stores that belong together: a moment of one instruction, unless it gets no CPU just then. See stack.c. */
typedef enum hp_doubt {
    HP_CERTAIN,
    HP_DOUBTFUL,   /* look again: the top frame's link to its caller is not to be believed */
    HP_UNKNOWABLE, /* look again, and if it stays like this believe it */
} hp_doubt;

/* Innermost first. Owner: the sampler thread. `capacity` bounds the depth; where a stack is deeper the innermost frames are dropped
 * (`cut`), so that what is left still hangs at the thread's base. */
typedef struct hp_stack {
    hp_frame *frames;
    uint32_t count;
    uint32_t capacity;
    bool cut;
    bool whole; /* the walk ended where a thread's stack must end */
    hp_doubt doubt;
    uintptr_t outer_generator; /* outermost frame that a generator or coroutine owns, or 0 */
    /* The first shims on the way. They say nothing, but the next walk will pass them too: see hp_stack_prefetch. */
    uint32_t shim_count;
    uintptr_t shims[HP_STACK_SHIMS];
} hp_stack;

/* The C stack of a thread, where shim frames lie: [low, high). Zero where unknown; then shims are copied through the kernel. */
typedef struct hp_bounds {
    uintptr_t low, high;
} hp_bounds;

/* Head lock and memory gate held. Follows the chain once and tells whether it was whole: each address was readable, each owner legal,
 * each instruction not before its code's first, the end where the version puts it. Never faults. */
bool hp_stack_read(hp_stack *stack, const hp_state *state, const hp_bounds *bounds, bool trust_ranges);
/* Asks the processor to fetch what a walk of `state` will read if its stack is still `last`. The walk goes from pointer to pointer, one
 * cache miss after the other; a thread that slept since the last tick has all of them. Any address may be prefetched, none can fault. */
void hp_stack_prefetch(const hp_stack *last, uintptr_t state);
/* The same frames, code and instructions; the top frame's instruction may differ if `top_may_move`. */
bool hp_stack_equal(const hp_stack *a, const hp_stack *b, bool top_may_move);
/* Index of the instruction unit. */
uint32_t hp_frame_unit_index(const hp_frame *frame);
/* Is there a code object at this address, by a copy that cannot fault? Its number of instruction units, 0 if there is none, or
 * HP_CODE_TRAMPOLINE: code of the interpreter's own that no frame ever completes (from 3.12 on one stands between a class and its
 * `__init__`), which sys._getframe() does not show either. True only if no code object died since (compare the code table's epoch
 * afterwards). */
#define HP_CODE_TRAMPOLINE UINT32_MAX
uint32_t hp_code_units_at(uintptr_t code);
/* Whether the instruction there calls C code, or may: see instructions.c. By a copy that cannot fault; true only if no code object died
 * since, and for now: the interpreter specialises instructions while they run. */
bool hp_instruction_is_c_call(uintptr_t instruction);

/* --- lifetime of code objects -------------------------------------------------------------------------------------------- */

/* [GIL] From now on deaths of code objects, in every interpreter, go to `table` (NULL: to nobody; do that before you free the table):
 * first hp_code_table_died, then a description of the slot if anybody ever saw it. What it needs is installed once per process. */
hp_status hp_code_life_watch(hp_code_table *table, hp_error *error);
/* [GIL] Describes the slot of a living code object: names, file, a copy of the line table. `code` is a PyCodeObject *. Leaves a raised
 * exception as it is. */
hp_status hp_code_describe(hp_code_table *table, uint32_t slot, void *code);
/* [GIL] A name as the code table has them, malloc'ed, whatever is in it: lone surrogates are no error. `text` is a PyObject *, "" where it
 * is no str; NULL when memory is short. Leaves a raised exception as it is. */
char *hp_code_text(void *text);

#endif
