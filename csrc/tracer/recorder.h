/* SPDX-License-Identifier: MIT */
/* The recorder: interpreter events -> shadow stack -> call tree.
 *
 * The shadow stack is a CACHE OF THE REAL STACK. Each entry names a frame that was seen to start; where an event's caller is not the entry
 * on top, the real chain of frames decides, entries whose end was missed are closed and frames that were never seen are put in. So greenlet
 * switches, throw() through `yield from`, frames that were active when tracing began and events that got lost need no code of their own.
 *
 * An *extent* is what a thread does between the entry of a target and its exit. Outside extents a thread's gate is closed and an event
 * costs one thread-local load. Time is accounted by difference: each event gives the ticks since the last one to whoever was on top, so
 * the sum over a thread's nodes is the time of its extents, exactly.
 *
 * Guarded by: GIL, all of it. */
#ifndef HP_TRACER_RECORDER_H
#define HP_TRACER_RECORDER_H

#include "base/clock.h"
#include "frame/current.h"
#include "tracer/budget.h"
#include "tracer/choices.h"
#include "tracer/code_states.h"
#include "tracer/discovery.h"
#include "tracer/hook.h"
#include "tracer/tracer.h"

#define HP_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

typedef struct _PyInterpreterFrame hp_python_frame;

typedef enum hp_entry_kind {
    HP_ENTRY_CALL = 0, /* its start was seen */
    HP_ENTRY_CONTEXT,  /* read from the real chain: no call is counted */
    HP_ENTRY_UNSEEN,   /* the same, and its end will not be seen: the budget took its events, so the real chain tells whether it is there */
    HP_ENTRY_THROWN,   /* the same, and linked only by a throw() into what it delegates to: suspended again when that yields */
    HP_ENTRY_C,        /* a C function called by `frame`; detail: its PyMethodDef */
    HP_ENTRY_BLOCK,    /* a block open in `frame`; detail: its token */
} hp_entry_kind;

typedef struct hp_entry {
    hp_python_frame *frame; /* compared, never followed: it may be gone */
    PyCodeObject *code;     /* of `frame`: tells it from a later frame at the same address. Never followed */
    uintptr_t detail;
    uint32_t node;
    uint32_t time_node; /* whose time it is while this is on top: a frame whose end will not be seen gives it to its caller */
    uint32_t kind;
} hp_entry;

/* A stack. `entries[0]` belongs to the frame where the extent began. */
typedef struct hp_shadow {
    hp_entry *entries;
    uint32_t depth;
    uint32_t capacity;
    uint32_t node_flags; /* HP_NODE_PARTIAL where the target's rate is below 1 */
    uint64_t events;     /* while it is parked: how many its extent had */
} hp_shadow;

/* A target's activation that its rate left out, or that came to its limit of events: calls of the same target beneath it are not asked
 * again. */
typedef struct hp_skip {
    hp_python_frame *frame;
    PyCodeObject *code;
    bool limited;
} hp_skip;

/* A wrapped call of a target that runs without its thread's hook, as its rate left it out: no event tells its end, but the wrapper does. */
typedef struct hp_left_out {
    uint64_t id;           /* no two of a tracer share it: greenlets end in any order */
    hp_python_frame *host; /* that called it. Compared, and good for as long as the call lasts */
    PyCodeObject *code;
} hp_left_out;

/* A piece of the real chain of frames, innermost first. */
typedef struct hp_link {
    hp_python_frame *frame;
    PyCodeObject *code;
} hp_link;
typedef struct hp_chain {
    hp_link *links;
    uint32_t count;
    uint32_t capacity;
} hp_chain;

enum {
    HP_GATE_CLOSED = 0,
    HP_GATE_WATCHING, /* closed, but the end of a skipped activation is waited for */
    HP_GATE_OPEN,     /* the stack has entries, or stacks are parked */
};

/* What a thread's own hook costs where there are no events; see hook_setprofile_tax.c. */
typedef struct hp_tax {
    uint64_t began_ticks;              /* when it went on; 0: it is not charged */
    uint64_t began_units;              /* of the budget, then */
    int64_t began_cpu_ns;              /* the thread's, then; 0: not read */
    uint32_t expected;                 /* rounds for which the CPU clock is read */
    uint64_t short_ticks, short_units; /* of short rounds, not charged yet: how long, and what events have paid */
} hp_tax;

/* One thread's. Owner: the tracer's list. */
typedef struct hp_recorder {
    struct hp_recorder *next;
    struct hp_exit_note *exit_note;
    hp_thread *thread;
    int gate; /* HP_GATE_...: here and not in the thread-local, because other threads may end an extent */
    hp_shadow stack;
    uint64_t events;       /* handled beneath targets */
    uint64_t events_began; /* of them when the present extent began */
    uint64_t last;         /* ticks of the last event in this extent */
    uint64_t began;        /* when the present stretch began */
    uint64_t inside;       /* ticks in finished stretches of extents */
    uint32_t root;         /* this thread's node */
    /* Stacks of extents that another greenlet left standing. */
    hp_shadow *parked;
    uint32_t parked_count;
    uint32_t parked_capacity;
    hp_skip *skips;
    uint32_t skip_count;
    uint32_t skip_capacity;
    hp_left_out *left_out;
    uint32_t left_out_count;
    uint32_t left_out_capacity;
    PyCodeObject *drawn; /* whose wrapped call was chosen and has not started yet: its start is not asked again. Compared only */
    uint32_t entered;    /* wrapped calls and blocks within which the thread's own hook is on, those of all its greenlets */
    uint32_t wrapped;    /* calls that have been entered and not left, those for which it is not on any more included */
    uint64_t round;      /* since it went on for the first of them; no two of a tracer share it */
    hp_chain scratch;
    /* The last chain above an extent and the tree node it led to: the next extent mostly begins in the same place. */
    hp_chain context;
    uint32_t context_node;
    uint64_t context_epoch;
    hp_tax tax;
    hp_entered block_hook;    /* what this thread's own hook was switched on with for a block */
    uint64_t failed_switches; /* since a stack was parked or left: old stacks that nobody comes back to are given up */
} hp_recorder;

/* Suspended frames with open blocks, whose extent goes on when they are resumed. Few. */
typedef struct hp_suspended {
    hp_python_frame *frame;
    PyCodeObject *code;
    uintptr_t token;
    uint32_t slot; /* of the block */
} hp_suspended;

struct hp_tracer {
    uint64_t id; /* no two tracers of a process share it: what thread-locals remember is of this tracer or stale */
    const hp_hook *hook;
    void *hook_data;
    uint32_t holders; /* see hp_tracer_hold */
    bool ended;       /* nothing of it may be used any more, but by whoever holds it, to let go */
    hp_code_table *code;
    hp_threads *threads;
    hp_code_states states;
    hp_tree tree;
    hp_recorder *recorders;
    hp_tracer_counts counts;
    hp_discovery discovery;
    bool everything;
    bool wants_rest;  /* the last target is gone, but its call may still run */
    bool by_function; /* everything, but each function has events of its own, which the budget may take: it does not use global ones */
    bool c_calls;
    bool calibrated;
    bool calibrating;
    bool session_began;
    bool ids_taken;          /* the hook is setprofile only because other tools hold the monitoring tool ids */
    int64_t refreshed_at_ns; /* by adding targets; CLOCK_MONOTONIC, 0: never */
    hp_budget budget;
    uint32_t replacements;      /* targets that stand in for others, so far */
    uint32_t generator_targets; /* targets that run in pieces now: a throw() somewhere may continue an extent */
    uint64_t random;            /* of chance.h */
    uint64_t left_out;          /* ids given to calls that were left out */
    uint64_t rounds;            /* in which a thread's own hook was on */
    hp_suspended *suspended;
    uint32_t suspended_count;
    uint32_t suspended_capacity;
    hp_choices choices;
    uintptr_t last_token;
    double inside_ticks_per_call;  /* of the recording of one activation, what lands in its own interval */
    double outside_ticks_per_call; /* and what lands in its caller's */
    hp_thread calibration_thread;
    struct hp_calibration *calibration; /* NULL: nothing was armed so far */
    int64_t interpreter_id;
    const char *warnings[8];
    uint32_t warning_count;
};

/* Whose recorder this thread has, and whether it is beneath a target.
 * A static: thread-locals can live nowhere else. A stale one is told by the tracer's id and the thread state's. */
typedef struct hp_gate {
    uint64_t tracer_id;
    uint64_t state_id;
    hp_recorder *recorder; /* alive while `tracer_id` is its tracer's id */
} hp_gate;
extern _Thread_local hp_gate hp_gate_here __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* --- events, for hooks. The GIL is held; no Python error is set by them, one that is set stays. --- */

/* How a frame came to run. */
typedef enum hp_start_kind { HP_START_CALL = 0, HP_START_RESUME, HP_START_THROW } hp_start_kind;

/* Whether `frame` is on top, and beneath it what the stack says: functions whose ends are not seen may have ended, and others like them
 * been called in their places. The stack is not empty. */
bool hp_shadow_top_stands(const hp_shadow *stack, hp_python_frame *frame);

void hp_record_start_slow(hp_tracer *tracer, PyThreadState *thread, PyCodeObject *code, hp_start_kind kind);
void hp_record_end_slow(hp_tracer *tracer, PyThreadState *thread, PyCodeObject *code, bool suspended);
void hp_record_c_call(hp_tracer *tracer, PyThreadState *thread, PyObject *function);
void hp_record_c_return(hp_tracer *tracer, PyThreadState *thread, PyObject *function);

/* True when this thread is beneath a target of this tracer, or may be (stacks are parked). */
static inline bool hp_gate_open(const hp_tracer *tracer, const PyThreadState *thread) {
    return hp_gate_here.tracer_id == tracer->id && hp_gate_here.recorder->gate == HP_GATE_OPEN && hp_gate_here.state_id == thread->id;
}

/* left_out.c */
/* Calls beneath this activation of a target are not asked whether they are traced. */
void hp_recorder_skip(hp_recorder *recorder, hp_python_frame *frame, PyCodeObject *code, bool limited);
/* It has ended. True: it had come to its limit. */
bool hp_recorder_unskip(hp_recorder *recorder, const hp_python_frame *frame, const PyCodeObject *code);
bool hp_recorder_skipped(const hp_recorder *recorder, const hp_python_frame *frame, const PyCodeObject *code);
/* All have ended, seen or not. */
void hp_recorder_forget_skips(hp_recorder *recorder);
/* Whether a call of this target from `host` lies beneath one that is skipped. */
bool hp_recorder_skips(const hp_recorder *recorder, hp_python_frame *host, const PyCodeObject *code);
/* Chance decides, and the budget's share. */
bool hp_target_draw(hp_tracer *tracer, const hp_code_state *state);
/* Whether a call of this target from `host` lies beneath a wrapped one that was left out. */
bool hp_left_out_holds(const hp_recorder *recorder, hp_python_frame *host, const PyCodeObject *code);
/* A wrapped call of a target begins. Whether it is traced is decided here, before its thread's hook is on. 0: it is; else what to end it
 * with. */
uint64_t hp_left_out_begin(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *host, PyCodeObject *code);
void hp_left_out_end(hp_recorder *recorder, uint64_t id);

static inline bool hp_code_runs_in_pieces(const PyCodeObject *code) {
    return (code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)) != 0;
}

static inline bool hp_target_is_whole(const hp_tracer *tracer, const hp_code_state *state) {
    return state->threshold > UINT32_MAX && tracer->budget.chosen == HP_BUDGET_ALL;
}

/* The node of a call beneath `parent`. What did not fit in the tree is not remembered: it is counted each time. */
static inline uint32_t hp_recorder_child(hp_tracer *tracer, hp_code_state *state, uint32_t parent) {
    if (state->last_parent == parent)
        return state->last_node;
    uint32_t child = hp_tree_child(&tracer->tree, parent, state->slot);
    if (tracer->tree.nodes[child].function == state->slot) {
        state->last_parent = parent;
        state->last_node = child;
    }
    return child;
}

/* Tells the sampler whose time it is now. */
static inline void hp_shadow_publish(const hp_recorder *recorder) {
    const hp_shadow *stack = &recorder->stack;
    atomic_store_explicit(&recorder->thread->traced_node, stack->entries[stack->depth - 1].time_node, memory_order_relaxed);
}

static inline void hp_shadow_push(hp_tracer *tracer, hp_recorder *recorder, hp_entry entry, uint64_t now) {
    hp_shadow *stack = &recorder->stack;
    tracer->tree.nodes[stack->entries[stack->depth - 1].time_node].exact += now - recorder->last;
    recorder->last = now;
    /* Field by field: as one, the compiler would make it elsewhere first, and reading that back waits for each of its writes. */
    hp_entry *place = &stack->entries[stack->depth++];
    place->frame = entry.frame;
    place->code = entry.code;
    place->detail = entry.detail;
    place->node = entry.node;
    place->time_node = entry.time_node;
    place->kind = entry.kind;
    hp_shadow_publish(recorder);
}

/* A frame starts or goes on. */
static inline void hp_record_start(hp_tracer *tracer, PyCodeObject *code, hp_start_kind kind) {
    hp_code_state *state = hp_code_states_find(&tracer->states, (uintptr_t)code, hp_code_table_epoch(tracer->code));
    bool here = hp_gate_here.tracer_id == tracer->id && hp_gate_here.recorder->gate == HP_GATE_OPEN;
    /* The case that untargeted code pays for when it shares a function with a target. */
    if (!here && state != NULL && !(state->flags & (HP_CODE_TARGET | HP_CODE_HOLDS_BLOCK)) && kind != HP_START_THROW &&
        !tracer->everything) {
        tracer->counts.gated++;
        state->units += HP_UNITS_GATED;
        if (HP_UNLIKELY(hp_budget_spend(&tracer->budget, tracer->budget.gated_units) || hp_budget_pause_is_due(&tracer->budget)))
            hp_budget_look(tracer);
        return;
    }
    PyThreadState *thread = PyThreadState_Get();
    if (HP_UNLIKELY(!here || hp_gate_here.state_id != thread->id)) {
        hp_record_start_slow(tracer, thread, code, kind);
        return;
    }
    hp_recorder *recorder = hp_gate_here.recorder;
    hp_shadow *stack = &recorder->stack;
    hp_python_frame *frame = hp_frame_top(thread), *caller = frame->previous;
    if (HP_UNLIKELY(state == NULL || stack->depth == 0 || stack->depth == stack->capacity ||
                    stack->entries[stack->depth - 1].frame != caller || stack->entries[stack->depth - 1].code != hp_frame_code(caller) ||
                    (stack->entries[stack->depth - 1].kind == HP_ENTRY_UNSEEN && !hp_shadow_top_stands(stack, caller)) ||
                    (state->flags & (HP_CODE_HOLDS_BLOCK | HP_CODE_DROPPED)))) {
        hp_record_start_slow(tracer, thread, code, kind);
        return;
    }
    uint32_t child = hp_recorder_child(tracer, state, stack->entries[stack->depth - 1].node);
    hp_node *node = &tracer->tree.nodes[child];
    node->calls += kind == HP_START_CALL;
    node->overhead++; /* activations, until collection turns them into ticks */
    node->flags |= stack->node_flags;
    recorder->events++;
    uint64_t now = hp_ticks();
    hp_shadow_push(tracer, recorder, (hp_entry){.frame = frame, .code = code, .node = child, .time_node = child}, now);
    state->units += HP_UNITS_TRACED;
    if (HP_UNLIKELY(hp_budget_spend_at(&tracer->budget, HP_UNITS_TRACED, now)))
        hp_budget_look(tracer); /* last: it may end the extent */
}

/* A frame ends (returns, yields, is left by an exception). */
static inline void hp_record_end(hp_tracer *tracer, PyCodeObject *code, bool suspended) {
    if (hp_gate_here.tracer_id != tracer->id || hp_gate_here.recorder->gate == HP_GATE_CLOSED) {
        tracer->counts.gated++;
        return;
    }
    PyThreadState *thread = PyThreadState_Get();
    if (HP_UNLIKELY(!hp_gate_open(tracer, thread))) {
        hp_record_end_slow(tracer, thread, code, suspended);
        return;
    }
    hp_recorder *recorder = hp_gate_here.recorder;
    hp_shadow *stack = &recorder->stack;
    hp_entry *top = stack->entries + stack->depth - 1;
    /* Below depth 2 the extent ends; what a throw() went through is suspended with what it reached. */
    if (HP_UNLIKELY(stack->depth < 2 || top->frame != hp_frame_top(thread) || top->code != code || top->kind != HP_ENTRY_CALL ||
                    (suspended && top[-1].kind == HP_ENTRY_THROWN))) {
        hp_record_end_slow(tracer, thread, code, suspended);
        return;
    }
    uint64_t now = hp_ticks();
    tracer->tree.nodes[top->time_node].exact += now - recorder->last;
    recorder->last = now;
    stack->depth--;
    hp_shadow_publish(recorder);
    recorder->events++;
}

/* --- the inside --- */

/* Finds this thread's recorder, or makes it. NULL when memory is short or the thread belongs to another interpreter. */
hp_recorder *hp_recorder_here(hp_tracer *tracer, PyThreadState *thread);
void hp_recorder_free(hp_recorder *recorder);
/* Drops recorders of threads that have ended; of all. */
void hp_recorders_reap(hp_tracer *tracer);
void hp_recorders_forget(hp_tracer *tracer);
void hp_gate_update(hp_recorder *recorder);

/* The state of a frame's function, described at first sight. NULL when memory is short. */
hp_code_state *hp_tracer_state(hp_tracer *tracer, PyCodeObject *code, hp_python_frame *frame);
/* Its state and slot for a C function. */
hp_code_state *hp_c_function_state(hp_tracer *tracer, PyObject *function);
/* Address of its PyMethodDef; 0 for what is no builtin function or method. */
uintptr_t hp_c_function_address(PyObject *function);
/* A function without events of its own was met beneath a target: gives it some. */
void hp_tracer_found(hp_tracer *tracer, PyCodeObject *code, hp_python_frame *frame);
/* Gives a function events of its own. Where another tool took the hook from us since the last look, it is looked after first. -1 with an
 * exception. */
int hp_tracer_arm(hp_tracer *tracer, PyCodeObject *code);
/* A function is no longer reported to discovery: from now on, until a window has it reported anew, targets may call it unseen.
 * One of them may be running, or suspended: then its counts are lower bounds from here on. */
/* Where no call of the last target runs any more: nothing keeps events, and no code costs anything. True: so it is now. */
bool hp_tracer_rest(hp_tracer *tracer);
void hp_tracer_let_go(hp_tracer *tracer, hp_code_state *state);
/* Whether no thread is in a call of a target or in a block, and none can be suspended. */
bool hp_tracer_is_idle(const hp_tracer *tracer);
void hp_tracer_warn(hp_tracer *tracer, const char *sentence);
/* replaced.c */
/* Whether this code object, which nobody armed, has become a target in the place of another that it was made from. Asked once. Moves
 * states. */
bool hp_tracer_take_over(hp_tracer *tracer, PyCodeObject *code);
/* Those that stand in for this one are no targets any more. -1 with an exception. */
int hp_tracer_remove_replacements(hp_tracer *tracer, const PyCodeObject *code);
/* Drops all that was recorded; targets stay. -1 with MemoryError. */
int hp_tracer_start_anew(hp_tracer *tracer);
/* -1 with MemoryError. */
int hp_tracer_no_memory(void);

/* shadow_stack.c */
bool hp_shadow_reserve(hp_shadow *stack);
/* Counts one activation of the state's function beneath the top of the stack, and puts it there. */
void hp_shadow_enter(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_entry entry, bool is_call);
/* Closes all above the lowest `depth` entries; the time up to `now` goes to whoever is on top. */
void hp_shadow_close_to(hp_tracer *tracer, hp_recorder *recorder, uint32_t depth, uint64_t now);
/* The ends of this function's activations will not be seen: from now on their time is their callers'. */
void hp_shadows_leave_to_caller(hp_tracer *tracer, const PyCodeObject *code);
/* Index of the frame's own entry; stack->depth if there is none. */
uint32_t hp_shadow_find(const hp_shadow *stack, const hp_python_frame *frame, const PyCodeObject *code);
/* The same, or the lowest entry of a block or C function that the frame holds. */
uint32_t hp_shadow_find_lowest(const hp_shadow *stack, const hp_python_frame *frame, const PyCodeObject *code);
/* Puts `caller` on top: closes what has ended, puts in what was never seen (as `context_kind`). False, and nothing changed, when `caller`
 * is not beneath this stack or any parked one. */
bool hp_shadow_resolve(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *caller, hp_entry_kind context_kind);
/* Puts entries for links[count-1] .. links[0] on top. */
void hp_shadow_enter_chain(hp_tracer *tracer, hp_recorder *recorder, const hp_link *links, uint32_t count, hp_entry_kind kind);
/* The frames from `from` up; stops at the frame of `base` (which is included) and says whether it was met. NULL: reads all. */
bool hp_chain_read(hp_chain *chain, hp_python_frame *from, const hp_entry *base);

/* extent.c */
/* Begins one: `above` is the caller of the first entry's frame. The stack must be empty, and stays so when memory is short. */
void hp_extent_begin(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *above, uint32_t node_flags, const hp_code_state *state,
                     hp_entry entry, bool is_call);
/* Everything is traced and the stack is empty: entries for `caller` and all frames above. */
void hp_extent_begin_everything(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *caller);
/* The stack has become empty. */
void hp_extent_end(hp_recorder *recorder);
/* The same, beneath nothing, where everything is traced. */
void hp_extent_begin_outermost(hp_tracer *tracer, hp_recorder *recorder, const hp_code_state *state, hp_entry entry, bool is_call);
/* Ends it in the midst of its target. */
void hp_extent_cut(hp_tracer *tracer, hp_recorder *recorder);
/* The same, and what is left of the target's call is not traced; `limited`: as it came to its limit of events. */
void hp_extent_truncate(hp_tracer *tracer, hp_recorder *recorder, bool limited);
/* Ends it with its last event, since when others had its thread's events: what has happened since is not known. */
void hp_extent_abandon(hp_tracer *tracer, hp_recorder *recorder);
/* Whether an extent that is open began with this function. */
bool hp_extents_begin_with(const hp_tracer *tracer, uintptr_t code);
/* Puts the present stack aside, as another greenlet runs; takes one up again; gives one up. */
void hp_extent_park(hp_tracer *tracer, hp_recorder *recorder);
void hp_extent_unpark(hp_tracer *tracer, hp_recorder *recorder, uint32_t index);
void hp_extent_forget(hp_tracer *tracer, hp_recorder *recorder, uint32_t index);
/* Takes up the one that has `frame` on top, if there is one: another greenlet has been switched to. */
void hp_extent_switch_to(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame, const PyCodeObject *code);
/* Ends those of all threads where they are. What they were in is not begun anew by calls beneath it. */
/* A target's events go away: an extent that began with it would never end. Whether there was one. */
bool hp_extents_end_of(hp_tracer *tracer, const PyCodeObject *code);
/* All of all threads. */
void hp_extents_end(hp_tracer *tracer);
void hp_extents_truncate(hp_tracer *tracer);

/* calibrate.c */
double hp_tracer_cost_spread(const hp_tracer *tracer);

/* blocks.c */
/* Remembers the frame's open blocks, which lie at `from` and above. */
void hp_blocks_suspend(hp_tracer *tracer, const hp_shadow *stack, hp_python_frame *frame, uint32_t from);
/* Opens them again. */
void hp_blocks_resume(hp_tracer *tracer, hp_recorder *recorder, hp_python_frame *frame, PyCodeObject *code);
/* The calling thread's extent has ended: its hook goes off if a block had it on. */
void hp_block_hook_leave(hp_tracer *tracer, hp_recorder *recorder);
/* Whether one is open whose host is a generator or coroutine, running or suspended. */
bool hp_blocks_in_pieces(hp_tracer *tracer);
/* Whether a suspended frame is remembered as one with open blocks. */
bool hp_suspended_holds_block(const hp_tracer *tracer, const hp_python_frame *frame, const PyCodeObject *code);
/* Another call has the frame now: forgets what was remembered of the one before. */
void hp_suspended_forget(hp_tracer *tracer, const hp_python_frame *frame);

#endif
