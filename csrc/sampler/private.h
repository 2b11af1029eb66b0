/* SPDX-License-Identifier: MIT */
/* What the files of the sampler share. Nobody else includes this.
 *
 * Everything in hp_sampler is owned by the sampler thread while it is inside a tick, which it marks by holding `mutex`; others take the
 * mutex. Fields that say otherwise are exceptions. */
#ifndef HP_SAMPLER_PRIVATE_H
#define HP_SAMPLER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "frame/frame.h"
#include "frame/tasks.h"
#include "sampler/beneath.h"
#include "sampler/follow.h"
#include "sampler/intervals.h"
#include "sampler/lines.h"
#include "sampler/moments.h"
#include "sampler/sampler.h"
#include "sampler/stop.h"

enum {
    HP_STACK_LIMIT = 131072,  /* frames kept of one stack; what is deeper loses its inner part */
    HP_WATCHED_LIMIT = 65536, /* threads at a time */
    HP_WATCHED_APART = 1024,  /* from here on a new thread takes over the record of one that has ended, if there is one */
    HP_CALL_CACHE = 512,
    HP_NO_UNIT = 0xfffffff, /* an instruction that no table has a line for */
    HP_LISTS_ALIKE = 1024,  /* of states by native id */
    HP_IDS_KNOWN = 4096,    /* native ids by which one that comes back is found; two that are as far apart are one too many */
};

typedef enum hp_progress {
    HP_TO_READ = 0,
    HP_READ_SAME,  /* verified, equal to the last one: its leaf still stands */
    HP_READ_FRESH, /* verified, in `last` */
    HP_READ_PART,  /* given up: `last` holds the outer part that was stable */
    HP_TOO_DEEP,   /* no room in `last`: grow it outside the locks, then again */
    HP_RECORDED,
} hp_progress;

/* One Python thread. */
typedef struct hp_watched {
    hp_thread *thread;
    uint32_t number; /* its place in `watched` */
    uint64_t interpreter_id, id;
    uint64_t pthread, native_id;
    hp_bounds bounds; /* of its C stack, for this `pthread` */

    /* Time not yet given to a stack. Signed: a clock read a moment before the traced clock may run into debt, which the next tick pays. */
    int64_t t_prev, cpu_prev;
    uint32_t cpu_rest; /* cpu clock: ticks in a row at the same stack without any CPU time */
    uint64_t traced_prev;
    int64_t pending_ns;
    uint64_t traced_word; /* its traced clock when its stack was read: the flag must belong to the stack */
    uint32_t traced_node; /* likewise: which node of the tracer's tree had the time */
    uintptr_t edge_code;  /* likewise: the target that it was on its way into or out of */
    bool running;         /* held the GIL when it was read */
    bool remote;          /* it was read from another CPU while it ran */
    bool collecting;      /* its interpreter was collecting garbage when it was read */
    bool is_new;          /* not sampled yet, and it was not there at the tick before */
    bool borrowed;        /* another thread than the one that made the state runs in it: `native_id` and `pthread` are that one's */
    bool behind;          /* its native thread runs another state's code, in another interpreter */

    hp_thread_state state;
    int64_t state_cpu; /* its CPU clock before the system was last asked for `state`, while it stood still; -1: unknown */
    int syscall_file;  /* /proc/self/task/TID/syscall in the sampler thread's own table of files; -1: not open */
    bool no_syscall;   /* the system does not tell */

    /* The last verified stack. `last_switches`: of its GIL when it was read. */
    hp_stack last;
    uint64_t last_epoch, last_switches;
    bool last_valid;
    bool in_task;            /* the last stack has its chain of tasks */
    bool may_have_run;       /* since then, without a take: it was the last holder, or a take was under way */
    bool same_codes;         /* only instructions differ from the stack before: the same leaf */
    uint32_t leaf;           /* its node; HP_NO_NODE: none yet */
    uint32_t leaf_unit, top; /* top: index of the frame that the leaf stands for */
    hp_thread_state leaf_state;

    /* Samples at `leaf` not yet added to tree, lines and estimates: a thread that stands still costs nothing but this. */
    uint64_t repeats, repeat_ns;

    hp_sampled_thread totals;

    /* Of the last sample that took time: its line, and the time that it stands for by now (open_gap.c). */
    hp_sampled_line open_line;
    uint64_t gap_ns;

    uint64_t proved_tick; /* the last one at which it was proved to rest */
    uint64_t busy_tick;   /* the last one at which it was not where it had been */

    /* Within one tick */
    uint64_t tick;   /* the last one in which it existed */
    uint64_t listed; /* the last list of threads that it was on */
    hp_progress progress;
    uint32_t attempts;
    uint32_t chains_refused; /* attempts whose code could not be confirmed, with a chain of tasks in the stack */
    uint32_t silences;       /* times in a row that it did not answer the signal */
    uint64_t no_stop_until;  /* tick until which it is not asked again */
    hp_cause cause;          /* what made the last attempt fail */
} hp_watched;

/* Where stacks go on through awaiting tasks. */
typedef struct hp_sampler_tasks {
    hp_tasks reading;
    uint32_t slots[HP_TASK_NAMES]; /* by name; HP_NO_SLOT: none yet */
    bool unknown;                  /* in this tick a task ran, and nobody knows yet how tasks look */
    int64_t ask_after;             /* CLOCK_MONOTONIC, ns */
} hp_sampler_tasks;

/* Per (thread, slot): see hp_estimate. A stamp is the sequence number of the last sample that counted. */
typedef struct hp_tally {
    uint32_t thread, slot;
    uint64_t self_samples, self_runs, self_stamp;
    uint64_t total_samples, total_runs, total_stamp;
} hp_tally;

/* What is known of the takes of one GIL: see rested.c. */
typedef struct hp_takes {
    uintptr_t gil; /* 0: none */
    hp_gil now;
    uint64_t two_from; /* a number: the two takes after it were by the last holder and by one whose stack had changed */
} hp_takes;

struct hp_sampler {
    hp_sampler_options options;
    hp_code_table *code;
    hp_threads *threads;
    pthread_mutex_t mutex;

    pthread_t native;
    bool started;            /* guarded by: GIL. There is a thread to join */
    uint64_t joined_id;      /* its native id, left by the thread as the last thing before it is joined */
    _Atomic uint32_t wanted; /* 1: run, 0: end. The sleep is a futex wait on it; release/acquire: nothing else hangs on it */
    _Atomic bool alive;      /* the loop runs. Cleared by the thread itself when the runtime goes down; relaxed: a hint for status() */
    _Atomic double rate_hz;  /* relaxed: a number on its own */

    hp_intervals intervals;
    hp_follow follow;
    int cpu_count;           /* that the sampler may use */
    bool stops;              /* running threads are stopped by a signal */
    const char *stop_reason; /* why not, or "" */
    hp_takes takes;          /* within one tick */
    hp_timebase begin;
    hp_timebase met;   /* when the last start met the threads that were there */
    int64_t listed_ns; /* when the threads were last listed: whoever is met after it was not there then */
    double ns_per_tick;

    hp_sampler_counts counts;
    uint64_t earlier_cpu_ns; /* of sampler threads that ended */
    uint32_t unresolved_slot;
    bool trust_ranges; /* this tick */
    uint64_t tick, lists;
    uint32_t idle_ticks; /* in a row without anybody holding a GIL */
    hp_bounds main_bounds;
    _Atomic uint64_t native_id; /* of our thread; 0: none. Relaxed: a number on its own */

    hp_state *states;
    hp_watched **present;                              /* parallel to states: who each of them is; NULL: nobody we could add */
    uint32_t state_count, state_capacity, known_count; /* known: entries of `present` from the last list */
    uint32_t *next_alike;                              /* parallel to states, within one round: lists that begin at first_alike */
    uint32_t first_alike[HP_LISTS_ALIKE];
    hp_watched **watched; /* in order of appearance */
    uint32_t watched_count, watched_capacity;
    uint32_t *watched_index; /* open addressing over (interpreter, id); power of two */
    uint32_t watched_mask, watched_used;
    uint32_t last_with_id[HP_IDS_KNOWN]; /* of `watched`, by native id; a hint, to be compared */
    uint32_t *ended;                     /* of `watched`: those that may be taken over */
    uint32_t ended_count, ended_capacity;
    bool short_of_slots; /* the last stack's code objects were given none, because memory is short */
    bool watched_full;   /* this tick. Memory or the limit was reached: who is new is not sampled */

    hp_stack scratch[2];
    hp_sampler_tasks *tasks; /* NULL: not asked for */
    hp_moments *moments;     /* NULL: not asked for */
    uintptr_t *addresses;    /* as many as scratch's capacity */
    uint32_t *slots;
    uint32_t path_capacity;

    hp_tree tree;
    hp_line_table lines;
    hp_beneath_table beneath;
    hp_tally *tallies;
    uint32_t tally_count, tally_capacity;
    uint32_t *tally_of_node; /* parallel to tree.nodes; HP_NO_NODE where not known */
    uint32_t tally_of_node_capacity;
    uint32_t *tally_index;
    uint32_t tally_mask;
    char program_name[32]; /* of the main thread, as the kernel has it; "": not read yet */
    bool own_files;        /* this thread has a table of files of its own */
    int status_file;       /* in it: this thread's own status, -1 where it could not be opened */
    long filters;          /* seccomp filters that were there when the thread began */
    struct hp_call_cache {
        uintptr_t instruction;
        uint64_t epoch, tick; /* when it was read */
        bool is_c_call;
    } calls[HP_CALL_CACHE];  /* by a hash of the instruction's address */
    uint32_t *units_of_slot; /* instruction units of a slot's code, 0 until looked at, or HP_CODE_TRAMPOLINE */
    uint32_t units_capacity;
};

/* --- watched.c --- */
hp_watched *hp_watched_find(hp_sampler *sampler, uint64_t interpreter_id, uint64_t id);
/* `now` and `ticks` are one moment: an extent open since before it must not be on both sides of the books. Allocates: no lock but the mutex
 * may be held. NULL when memory is short or there are too many. */
hp_watched *hp_watched_add(hp_sampler *sampler, const hp_state *state, int64_t now, uint64_t ticks);
/* Head lock held: the thread exists. Finds its C stack. */
void hp_watched_bounds(hp_sampler *sampler, hp_watched *watched, const hp_state *state);
bool hp_watched_grow(hp_watched *watched, uint32_t depth);
void hp_watched_forget_stack(hp_watched *watched);
/* At the end of a tick that listed all threads. Those that have ended keep their numbers, not their stacks, and may be taken over. */
void hp_watched_sweep(hp_sampler *sampler);
void hp_watched_drop_all(hp_sampler *sampler);
/* The mapped part of the main thread's C stack. */
hp_bounds hp_main_stack_bounds(void);

/* --- tick.c --- */
void hp_sampler_tick(hp_sampler *sampler, int64_t now);
/* Adds the threads that exist now, without sampling them. False: they could not be listed. */
bool hp_sampler_meet(hp_sampler *sampler, int64_t now, uint64_t ticks);

/* --- read_thread.c: head lock held --- */
typedef enum hp_read {
    HP_READ_DONE,  /* `progress` says how */
    HP_READ_MOVE,  /* go to *cpu, then again */
    HP_READ_RETRY, /* the world moved: `cause` says how */
} hp_read;
hp_read hp_thread_read(hp_sampler *sampler, hp_watched *watched, const hp_state *state, int *cpu);
/* No more attempts: what is stable of the stack. */
void hp_thread_read_part(hp_sampler *sampler, hp_watched *watched, const hp_state *state);

/* --- borrowed.c: head lock held, several interpreters --- */
/* Gives listed states the ids of the threads that run in them. */
void hp_states_find_threads(hp_sampler *sampler);

/* --- rested.c: head lock held --- */
/* Around the reads of one round. */
void hp_rested_begin(hp_sampler *sampler);
/* False: some that seemed to rest have to be read after all, they are HP_TO_READ again. */
bool hp_rested_end(hp_sampler *sampler);
/* A thread that is not the last holder was read; its stack had been known, `from` was the number then. */
void hp_rested_note(hp_sampler *sampler, const hp_watched *watched, uintptr_t gil, uint64_t from);
/* It is where it was when its stack was read. `now`: its GIL; it is not the last holder. */
bool hp_rested(const hp_sampler *sampler, const hp_watched *watched, const hp_state *state, const hp_gil *now);

/* --- record.c: no lock but the mutex held --- */
/* Slots for the stack just read. False: a code object died meanwhile, read it again. */
bool hp_record_resolve(hp_sampler *sampler, hp_watched *watched);
/* Gives the thread's time to its stack. */
void hp_record_sample(hp_sampler *sampler, hp_watched *watched, const hp_state *known, int64_t now, uint64_t ticks);
/* Adds what `repeats` holds back. */
void hp_record_flush(hp_sampler *sampler, hp_watched *watched);

/* --- open_gap.c: no lock but the mutex held --- */
/* This thread's time without a sample goes to its last sample's stack, if it has one. */
void hp_open_gap_give(hp_sampler *sampler, hp_watched *watched);
/* [GIL] The same for all, with what they lived and used until now. */
void hp_open_gap_close(hp_sampler *sampler, bool measures);

/* --- tally.c --- */
void hp_tally_path(hp_sampler *sampler, const hp_watched *watched, uint32_t leaf, uint64_t count);
void hp_tally_clear(hp_sampler *sampler);

/* --- thread_state.c: no lock but the mutex held, on the sampler's own thread --- */
/* Gives this thread a table of files of its own, so that what it opens is never seen by the program. */
void hp_thread_states_begin(hp_sampler *sampler);
/* Asked before a file is opened while the program runs: a sandbox that it built since, in all its threads, may kill whoever opens one. The
 * one that was there before let us open. */
bool hp_may_open(const hp_sampler *sampler);
/* What the thread was doing when its stack was read: sets `state`. `known` is the state as it was listed at this tick. */
void hp_thread_state_find(hp_sampler *sampler, hp_watched *watched, const hp_state *known);
/* Whether the thread runs user code now, as far as the system tells. A system call. */
bool hp_thread_is_running(hp_sampler *sampler, hp_watched *watched);
/* Closes what is open for a thread that is gone. */
void hp_thread_state_forget(hp_watched *watched);

/* --- cpu_clock.c --- */
/* CPU time of another thread, ns; -1 where it is gone. A system call. */
int64_t hp_other_thread_cpu_ns(uint64_t native_id);

#endif
