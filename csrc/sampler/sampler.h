/* SPDX-License-Identifier: MIT */
/* The sampler: one native thread that reads every Python thread's stack without the GIL.
 *
 * It owns the sampled tree; hp_sampler_collect is the only way to see it. Functions marked [GIL] are called with the GIL held and
 * never wait for anything that needs it. The sampling path itself never takes the GIL and never calls Python code. */
#ifndef HP_SAMPLER_SAMPLER_H
#define HP_SAMPLER_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/code_table.h"
#include "base/threads.h"
#include "tree/call_tree.h"
#include "tree/profile.h"

typedef enum hp_sampler_method {
    HP_METHOD_AUTO = 0, /* same-CPU where it is possible, else remote; the choice is recorded */
    HP_METHOD_SAME_CPU, /* go to the running thread's CPU: being scheduled there is having stopped it */
    HP_METHOD_SIGNAL,   /* stop the running thread by SIGURG for as long as it is read */
    HP_METHOD_REMOTE,   /* verified copies with retries: marked as biased below about 0.3 us */
} hp_sampler_method;

/* By hp_sampler_method. */
#define HP_METHOD_NAMES {"auto", "same-cpu", "signal", "remote"}

typedef struct hp_sampler_options {
    double rate_hz; /* 0 < rate <= 1,000,000; intervals are random with mean 1/rate */
    hp_clock_kind clock;
    hp_sampler_method method;
    uint64_t seed;       /* of the intervals; 0: from the system */
    uint32_t node_limit; /* 0: the default, 1,000,000 */
    bool timeline;       /* samples are kept in the order of time too */
    bool tasks;          /* stacks of asyncio tasks go on through the tasks that await them: frame/tasks.h */
} hp_sampler_options;

typedef struct hp_sampler_counts {
    uint64_t kept;       /* thread samples in the tree, those beneath targets included */
    uint64_t retried;    /* walks that had to be repeated */
    uint64_t unresolved; /* ended under `<unresolved>`: counted in kept too, never dropped */
    uint64_t unresolved_by[HP_CAUSES];
    uint64_t remote;             /* kept, of a running thread, read from another CPU */
    uint64_t missed;             /* ticks that the sampler was too late for, by more than one mean interval */
    uint64_t lowered;            /* of those: left out, because ticks took too long (pace.h) */
    uint64_t ticks;              /* at which threads were sampled */
    uint64_t cpu_ns;             /* of the sampler's own thread */
    uint64_t in_tasks;           /* kept, of a stack with its chain of tasks */
    uint64_t task_names_refused; /* times that a task's name was one too many */
    uint64_t clocks_refused;     /* looks at a thread's CPU clock that the system refused */
    uint64_t unwatched;          /* times that a thread was not sampled, because there were too many or memory was short */
} hp_sampler_counts;

/* A copy, owned by the caller; hp_sampled_fini frees it. Keys are code-table slots; times ns. */
typedef struct hp_sampled_line {
    uint32_t node;
    uint32_t unit : 28; /* index of the instruction within the code object; the line is decoded later */
    uint32_t state : 4; /* hp_thread_state */
    uint64_t samples, sampled;
} hp_sampled_line;
typedef struct hp_sampled_thread {
    uint32_t thread; /* index in hp_threads */
    uint32_t root;   /* node; HP_NO_NODE if it was never sampled outside targets */
    uint64_t samples, traced_samples;
    uint64_t measured_ns;   /* what the samples' intervals cover, first to last sight */
    uint64_t sampled_ns;    /* in the tree */
    uint64_t divided;       /* samples that divided a node's time: added when a profile is made, as they stand for no gap of their own */
    double squares, cubes;  /* sums over its samples of the ns that each stands for, squared and cubed: how uneven they are */
    uint64_t unresolved_ns; /* part of sampled_ns that lies under `<unresolved>` */
    int64_t until_ns;       /* CLOCK_MONOTONIC: so far its time is counted */
    uint64_t pending_ns;    /* outside targets, and there was no stack yet to give it to: the next sample's, until then the residual */
    uint32_t open_leaf;     /* where its last sample ended; HP_NO_NODE: none yet */
    uint64_t open_ns;       /* part of sampled_ns that no sample stands for: went to open_leaf when numbers were asked for (open_gap.c) */
    uint64_t hook_ns;       /* not in the tree: the thread was on its way into or out of a target, with a hook that is on for that call */
    uint64_t aside_ns;      /* it ran nothing and its native thread served another interpreter, which has the time: part of nothing here */
} hp_sampled_thread;
/* Samples beneath targets: see beneath.h. */
typedef struct hp_sampled_beneath {
    uint32_t leaf;        /* node of the sampled tree */
    uint32_t traced_node; /* of the tracer's tree: where time went when they were taken */
    uint64_t samples;
} hp_sampled_beneath;
typedef struct hp_sampled {
    hp_tree tree; /* children of the root: one per thread, whose `function` is the thread's INDEX, not a slot */
    hp_sampled_line *lines;
    uint32_t line_count;
    uint64_t left_out_of_lines; /* samples of the tree that have none: their table was full */
    uint64_t left_out_beneath;  /* samples beneath targets that have no entry in `beneath` */
    hp_estimate *estimates;     /* thread = index in hp_threads, function = slot */
    uint32_t estimate_count;
    hp_sampled_thread *threads;
    uint32_t thread_count;
    hp_sampled_beneath *beneath;
    uint32_t beneath_count;
    hp_sampled_line *beneath_lines; /* `node`: index in `beneath` */
    uint32_t beneath_line_count;
    hp_sampler_counts counts;
    hp_sampler_method method;  /* the one in force */
    const char *method_reason; /* static text: why not the preferred one, or "" */
    uint32_t *task_slots; /* slots that are names of tasks: what lies between the outermost and the innermost of them on a path awaits */
    uint32_t task_slot_count;
    hp_timeline timeline; /* by nodes of `tree` */
} hp_sampled;
void hp_sampled_fini(hp_sampled *sampled);

typedef struct hp_sampler hp_sampler;

/* [GIL] Its part in forks, and code lifetimes (once per process, for ever). Whoever may give up the GIL inside a fork, where nothing of
 * ours may be locked yet, asks for this before it watches forks itself. */
hp_status hp_sampler_watch_forks(hp_code_table *code, hp_error *error);
/* [GIL] Checks the options (HP_BAD_VALUE with a sentence), installs what must watch memory and code lifetimes (once per process, for ever),
 * starts nothing. */
hp_status hp_sampler_new(hp_sampler **out, const hp_sampler_options *options, hp_code_table *code, hp_threads *threads, hp_error *error);
/* [GIL] Frees a stopped sampler. */
void hp_sampler_free(hp_sampler *sampler);
/* [GIL] Starts or resumes the thread (all signals blocked, named "hybridprof"). Running already: HP_OK. */
hp_status hp_sampler_start(hp_sampler *sampler, hp_error *error);
/* [GIL] Ends the thread and joins it: a tick is finished first, a sleep is cut short. What was gathered stays. Not running: HP_OK. */
hp_status hp_sampler_stop(hp_sampler *sampler);
/* When the threads that were there were met by the last start: from then on they are measured. */
hp_timebase hp_sampler_met(const hp_sampler *sampler);
bool hp_sampler_running(const hp_sampler *sampler);
/* [GIL] Copies what was gathered, between two ticks; a thread's time goes as far as it was last seen. Sampling goes on. Of a timeline what
 * comes from sample `first_moment` on; HP_NO_MOMENTS: nothing of it. */
#define HP_NO_MOMENTS UINT64_MAX
hp_status hp_sampler_collect(hp_sampler *sampler, uint64_t first_moment, hp_sampled *out);
/* [GIL] What it has cost so far: no copy is made, so that it may be asked often. */
typedef struct hp_sampler_costs {
    uint64_t cpu_ns; /* of its threads */
    uint64_t bytes;  /* of what grows with the program: tree, lines, tallies, records of threads */
} hp_sampler_costs;
hp_sampler_costs hp_sampler_costs_now(hp_sampler *sampler);
/* [GIL] The rate from the next tick on. */
hp_status hp_sampler_set_rate(hp_sampler *sampler, double rate_hz, hp_error *error);

/* In a forked child: there is no thread; locks are made anew and all data is dropped. */
void hp_sampler_after_fork_child(hp_sampler *sampler);

#endif
