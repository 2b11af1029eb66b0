/* SPDX-License-Identifier: MIT */
/* The sampler's life: new, start, the loop, stop, fork. */
#include "sampler/pace.h"
#include "sampler/private.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NODE_LIMIT = 1000000, FIRST_DEPTH = 512, FIRST_STATES = 64, THREAD_STACK = 256 * 1024 };

/* The one that forks have to wait for. Static because pthread_atfork takes no argument; one session per process. Guarded by: `forks`, which
 * a fork holds from its first handler to its last: C code forks without the GIL, and the sampler that is let go must be the one that was
 * held. Lock order: forks > a sampler's mutex. */
static pthread_mutex_t forks = PTHREAD_MUTEX_INITIALIZER;
static hp_sampler *forked;
static bool fork_watched; /* guarded by: GIL */

/* --- sleeping --- */

/* Until `deadline` (CLOCK_MONOTONIC) or until `wanted` is not 1 any more. One system call; a condition variable would take three. */
static void sleep_until(hp_sampler *s, int64_t deadline) {
    struct timespec t = {deadline / 1000000000, deadline % 1000000000};
    syscall(SYS_futex, &s->wanted, FUTEX_WAIT_BITSET_PRIVATE, 1, &t, NULL, FUTEX_BITSET_MATCH_ANY);
}

static bool wanted(hp_sampler *s) {
    return atomic_load_explicit(&s->wanted, memory_order_acquire) == 1;
}

/* Where a sleep would be too long. It takes a CPU, which whoever asks for such rates gives. */
static void spin_until(hp_sampler *s, int64_t deadline) {
    while (wanted(s) && hp_now_ns() < deadline)
        hp_pause();
}

static void ask_to_end(hp_sampler *s) {
    atomic_store_explicit(&s->wanted, 0, memory_order_release);
    syscall(SYS_futex, &s->wanted, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* --- the loop --- */

/* The first version of the kernel's struct sched_attr (linux/sched/types.h, which cannot be included beside older glibc's sched.h). */
typedef struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
} scheduling;

/* From Linux 6.12 on a thread may ask for short slices in place of long ones: it gets no more CPU than before, and gets it sooner. Without,
 * a sampler that wakes beside a busy thread often waits for that thread's slice to end, some 3 ms: at 100 Hz the 99th percentile of its
 * delay was 3.4 ms, and is 0.1 ms so. Older kernels take no notice. */
static void ask_for_short_slices(void) {
    enum { NORMAL = 0, SLICE_NS = 100000 }; /* the least that the kernel grants */
    scheduling now = {0};
    if (syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) != 0 || now.policy != NORMAL)
        return;
    now.size = sizeof now;
    now.flags = 0;
    now.runtime = SLICE_NS;
    (void)syscall(SYS_sched_setattr, 0, &now, 0);
}

/* Remote reading was asked for, so we are not on the program's CPU. */
static bool may_spin(const hp_sampler *s, int64_t interval) {
    enum { SHORTEST_SLEEP_NS = 40000 }; /* a sleep and the wake-up after it cost some 15 us of CPU time */
    return s->options.method == HP_METHOD_REMOTE && s->cpu_count > 1 && interval < SHORTEST_SLEEP_NS;
}

static void wait_until(hp_sampler *s, hp_pace *p, int64_t due) {
    int64_t now = hp_now_ns();
    if (!may_spin(s, due - now)) {
        sleep_until(s, due);
        return;
    }
    spin_until(s, due);
    p->waited += due > now ? due - now : 0;
}

static int64_t next_interval(hp_sampler *s, const hp_pace *p) {
    double rate = atomic_load_explicit(&s->rate_hz, memory_order_relaxed);
    return hp_intervals_next(&s->intervals, rate / p->slower);
}

/* Moments that are past by more than a mean interval are missed, not made up for in a burst. Each stands for as many of those that were
 * asked for as we are slower. */
static int64_t skip_missed(hp_sampler *s, const hp_pace *p, int64_t due, int64_t now) {
    int64_t mean = (int64_t)(1e9 * p->slower / atomic_load_explicit(&s->rate_hz, memory_order_relaxed));
    while (due + mean < now) {
        due += next_interval(s, p);
        s->counts.missed += (uint64_t)p->slower;
        s->counts.lowered += (uint64_t)(p->slower - 1);
    }
    return due;
}

static void one_tick(hp_sampler *s, hp_pace *p, int64_t *due) {
    pthread_mutex_lock(&s->mutex);
    int64_t begin = hp_now_ns();
    *due = skip_missed(s, p, *due, begin);
    s->counts.missed += (uint64_t)(p->slower - 1);
    s->counts.lowered += (uint64_t)(p->slower - 1);
    hp_sampler_tick(s, begin);
    pthread_mutex_unlock(&s->mutex);
    hp_pace_ticked(p, hp_now_ns() - begin);
}

static void *loop(void *argument) {
    hp_sampler *s = argument;
    hp_pace p = hp_pace_begin(1);
    prctl(PR_SET_NAME, "hybridprof");
    ask_for_short_slices();
    hp_thread_states_begin(s);
    prctl(PR_SET_TIMERSLACK, 1ul); /* else the kernel groups our moments with the program's own timers */
    atomic_store_explicit(&s->native_id, (uint64_t)syscall(SYS_gettid), memory_order_relaxed);
    int64_t due = hp_now_ns() + next_interval(s, &p);
    while (wanted(s)) {
        wait_until(s, &p, due);
        if (!wanted(s))
            break;
        if (hp_runtime_finalizing())
            break; /* nobody stopped us in time: what is left of the runtime must not be touched */
        if (hp_now_ns() < due)
            continue; /* woken early */
        one_tick(s, &p, &due);
        due += next_interval(s, &p);
    }
    int64_t cpu = hp_thread_cpu_ns();
    s->earlier_cpu_ns += cpu > 0 ? (uint64_t)cpu : 0;
    s->status_file = -1; /* it goes with this thread */
    s->joined_id = atomic_load_explicit(&s->native_id, memory_order_relaxed);
    atomic_store_explicit(&s->native_id, 0, memory_order_relaxed);
    atomic_store_explicit(&s->alive, false, memory_order_relaxed);
    return NULL;
}

/* --- life --- */

static hp_status check_rate(double rate_hz, hp_error *error) {
    if (rate_hz > 0 && rate_hz <= 1e6)
        return HP_OK;
    return hp_fail(error, HP_BAD_VALUE, 0, "the sampling rate is %g Hz; it must be above 0 and at most 1000000", rate_hz);
}

static hp_status check_options(const hp_sampler_options *options, hp_error *error) {
    const char *unsupported = hp_frame_unsupported();
    if (unsupported != NULL)
        return hp_fail(error, HP_UNSUPPORTED, 0, "%s", unsupported);
    if (options->clock != HP_CLOCK_WALL && options->clock != HP_CLOCK_CPU)
        return hp_fail(error, HP_BAD_VALUE, 0, "clock %d is unknown; it must be wall (0) or cpu (1)", (int)options->clock);
    if (options->method < HP_METHOD_AUTO || options->method > HP_METHOD_REMOTE)
        return hp_fail(error, HP_BAD_VALUE, 0, "sampling method %d is unknown; it must be auto (0), same-cpu (1), signal (2) or remote (3)",
                       (int)options->method);
    return check_rate(options->rate_hz, error);
}

/* Everything that a tick needs before it may allocate. */
static bool reserve_first(hp_sampler *s) {
    for (int i = 0; i < 2; i++) {
        s->scratch[i].frames = malloc(FIRST_DEPTH * sizeof(hp_frame));
        s->scratch[i].capacity = FIRST_DEPTH;
    }
    s->addresses = malloc(FIRST_DEPTH * sizeof *s->addresses);
    s->slots = malloc(FIRST_DEPTH * sizeof *s->slots);
    s->path_capacity = FIRST_DEPTH;
    s->states = malloc(FIRST_STATES * sizeof *s->states);
    s->present = malloc(FIRST_STATES * sizeof *s->present);
    s->next_alike = malloc(FIRST_STATES * sizeof *s->next_alike);
    s->state_capacity = FIRST_STATES;
    return s->scratch[0].frames && s->scratch[1].frames && s->addresses && s->slots && s->states && s->present && s->next_alike;
}

static bool tasks_new(hp_sampler *s) {
    s->tasks = malloc(sizeof *s->tasks);
    if (s->tasks == NULL)
        return false;
    *s->tasks = (hp_sampler_tasks){.unknown = false};
    hp_tasks_init(&s->tasks->reading);
    memset(s->tasks->slots, 0xff, sizeof s->tasks->slots); /* HP_NO_SLOT */
    return true;
}

/* Drops what was gathered. */
static void data_fini(hp_sampler *s) {
    hp_watched_drop_all(s);
    hp_tree_fini(&s->tree);
    hp_line_table_fini(&s->lines);
    hp_beneath_fini(&s->beneath);
    hp_tally_clear(s);
    free(s->units_of_slot);
    s->units_of_slot = NULL;
    s->units_capacity = 0;
    s->counts = (hp_sampler_counts){0};
    s->earlier_cpu_ns = 0;
}

static hp_status data_init(hp_sampler *s) {
    s->begin = hp_timebase_now();
    if (s->moments != NULL) {
        s->moments->begin_ns = (uint64_t)s->begin.ns;
        s->moments->count = 0;
    }
    return hp_tree_init(&s->tree, s->options.node_limit == 0 ? NODE_LIMIT : s->options.node_limit, 0);
}

static void fork_prepare(void) {
    pthread_mutex_lock(&forks);
    if (forked != NULL)
        pthread_mutex_lock(&forked->mutex); /* between two ticks it holds no lock of the runtime, of memory or of the code table */
}
static void fork_parent(void) {
    if (forked != NULL)
        pthread_mutex_unlock(&forked->mutex);
    pthread_mutex_unlock(&forks);
}
static void fork_child(void) {
    pthread_mutex_init(&forks, NULL);
    if (forked != NULL)
        hp_sampler_after_fork_child(forked);
}

hp_status hp_sampler_watch_forks(hp_code_table *code, hp_error *error) {
    hp_status status = hp_memory_watch_forks(error);
    if (status == HP_OK)
        status = hp_code_life_watch(code, error);
    /* After the two: handlers run in reverse order before a fork, and our mutex is the outermost lock. */
    if (status == HP_OK && !fork_watched) {
        if (pthread_atfork(fork_prepare, fork_parent, fork_child) != 0)
            return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to watch for forks");
        fork_watched = true;
    }
    return status;
}

static hp_status watch_process(hp_code_table *code, hp_error *error) {
    hp_status status = hp_sampler_watch_forks(code, error);
    return status == HP_OK ? hp_memory_watch(error) : status;
}

hp_status hp_sampler_new(hp_sampler **out, const hp_sampler_options *options, hp_code_table *code, hp_threads *threads, hp_error *error) {
    hp_sampler *s = NULL;
    hp_status status = check_options(options, error);
    if (status != HP_OK)
        goto done;
    s = calloc(1, sizeof *s);
    if (s == NULL || !reserve_first(s) || (options->tasks && !tasks_new(s)) ||
        (options->timeline && (s->moments = calloc(1, sizeof *s->moments)) == NULL)) {
        status = hp_fail(error, HP_NO_MEMORY, 0, "not enough memory for a sampler");
        goto done;
    }
    s->options = *options;
    s->code = code;
    s->threads = threads;
    s->status_file = -1;
    s->follow.pinned = -1;
    s->follow.reason = "";
    pthread_mutex_init(&s->mutex, NULL);
    hp_clock_init();
    hp_intervals_init(&s->intervals, options->seed);
    atomic_store_explicit(&s->rate_hz, options->rate_hz, memory_order_relaxed);
    s->unresolved_slot = hp_code_table_named(code, HP_CODE_SYNTHETIC, "<unresolved>");
    status = data_init(s);
    if (status == HP_OK)
        status = watch_process(code, error);
done:
    if (status == HP_OK)
        *out = s;
    else
        hp_sampler_free(s);
    return status;
}

void hp_sampler_free(hp_sampler *sampler) {
    if (sampler == NULL)
        return;
    pthread_mutex_lock(&forks);
    if (forked == sampler)
        forked = NULL;
    pthread_mutex_unlock(&forks);
    data_fini(sampler);
    free(sampler->scratch[0].frames);
    free(sampler->scratch[1].frames);
    free(sampler->addresses);
    free(sampler->slots);
    free(sampler->states);
    free(sampler->present);
    free(sampler->next_alike);
    free(sampler->tasks);
    free(sampler->moments);
    pthread_mutex_destroy(&sampler->mutex);
    free(sampler);
}

/* Threads that live now are measured from now on; time in which the sampler did not run belongs to nobody. Those that
 * have ended are not touched: a program that forks comes here each time, may have had thousands, and shares their pages with its child. */
static void meet_threads(hp_sampler *s) {
    bool inside;
    s->main_bounds = hp_main_stack_bounds();
    s->met = hp_timebase_now();
    int64_t now = s->met.ns;
    uint64_t ticks = s->met.ticks;
    bool met = hp_sampler_meet(s, now, ticks);
    for (uint32_t i = 0; i < s->watched_count; i++) {
        hp_watched *w = s->watched[i];
        if (met && w->tick != s->tick)
            continue;
        w->t_prev = now;
        w->is_new = false;
        w->cpu_prev = hp_other_thread_cpu_ns(w->native_id);
        w->traced_prev = hp_thread_traced_ticks(w->thread, ticks, &inside);
        w->last_valid = false;
        w->pthread = 0; /* its C stack is looked up again */
    }
}

static int cpu_count(void) {
    unsigned long mask[HP_CPU_WORDS];
    long size = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int count = 0;
    for (long i = 0; i < size / (long)sizeof *mask; i++)
        count += __builtin_popcountl(mask[i]);
    return count;
}

static int create_thread(hp_sampler *s) {
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: signals are the program's */
    int failed = pthread_create(&s->native, &attributes, loop, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed;
}

static bool lacks_clock(const hp_sampler *s) {
    return s->options.clock == HP_CLOCK_CPU && hp_other_thread_cpu_ns((uint64_t)syscall(SYS_gettid)) < 0;
}

hp_status hp_sampler_start(hp_sampler *sampler, hp_error *error) {
    if (sampler->started && atomic_load_explicit(&sampler->alive, memory_order_relaxed))
        return HP_OK;
    if (lacks_clock(sampler)) /* there would be no samples, and nobody would know why */
        return hp_fail(error, HP_UNSUPPORTED, errno,
                       "this system does not let threads' CPU clocks be read (clock_gettime: %s); use the clock 'wall'", strerror(errno));
    hp_sampler_stop(sampler);
    pthread_mutex_lock(&forks);
    forked = sampler;
    pthread_mutex_unlock(&forks);
    pthread_mutex_lock(&sampler->mutex); /* for a fork by C code, which the GIL does not keep away */
    sampler->own_files = false;          /* those that it had went with the thread that had them; this thread's are the program's */
    /* Here and not by the thread, which inherits our affinity: a snapshot may ask for the method before it has run. */
    hp_sampler_method method = sampler->options.method;
    hp_follow_init(&sampler->follow, method == HP_METHOD_AUTO || method == HP_METHOD_SAME_CPU);
    sampler->stop_reason = method == HP_METHOD_SIGNAL ? hp_stop_begin() : "";
    sampler->stops = method == HP_METHOD_SIGNAL && sampler->stop_reason == NULL;
    sampler->stop_reason = sampler->stop_reason == NULL ? "" : sampler->stop_reason;
    sampler->cpu_count = cpu_count();
    meet_threads(sampler);
    pthread_mutex_unlock(&sampler->mutex);
    atomic_store_explicit(&sampler->wanted, 1, memory_order_release);
    atomic_store_explicit(&sampler->alive, true, memory_order_relaxed);
    int failed = create_thread(sampler);
    sampler->started = failed == 0;
    atomic_store_explicit(&sampler->alive, failed == 0, memory_order_relaxed);
    if (failed == 0)
        return HP_OK;
    hp_stop_end(); /* nobody will stop what did not start */
    return hp_fail(
        error, HP_UNSUPPORTED, failed,
        "the sampler's thread cannot be started: %s; the limits on threads (ulimit -u, the container's) and on memory (ulimit -v) must "
        "leave room for one more",
        strerror(failed));
}

/* A joined thread has given its memory back, not yet its files; until it has, the system counts it, and a fork would warn of it. Some us,
 * as a rule; bounded, because it may get no CPU. */
static void wait_until_gone(uint64_t native_id) {
    struct timespec t = {0, 20000};
    for (int i = 0; i < 250 && native_id != 0 && syscall(SYS_tgkill, getpid(), (pid_t)native_id, 0) == 0; i++)
        if (i < 50)
            sched_yield();
        else
            nanosleep(&t, NULL);
}

hp_status hp_sampler_stop(hp_sampler *sampler) {
    if (!sampler->started)
        return HP_OK;
    ask_to_end(sampler);
    pthread_join(sampler->native, NULL); /* at most one tick: it never waits for the GIL, which we hold */
    wait_until_gone(sampler->joined_id);
    hp_stop_end();
    sampler->started = false;
    pthread_mutex_lock(&sampler->mutex); /* for a fork by C code, as at the start */
    hp_open_gap_close(sampler, true);    /* who begins anew counts from then */
    pthread_mutex_unlock(&sampler->mutex);
    return HP_OK;
}

hp_timebase hp_sampler_met(const hp_sampler *sampler) {
    return sampler->met;
}

bool hp_sampler_running(const hp_sampler *sampler) {
    return sampler->started && atomic_load_explicit(&sampler->alive, memory_order_relaxed);
}

hp_status hp_sampler_set_rate(hp_sampler *sampler, double rate_hz, hp_error *error) {
    hp_status status = check_rate(rate_hz, error);
    if (status == HP_OK)
        atomic_store_explicit(&sampler->rate_hz, rate_hz, memory_order_relaxed);
    return status;
}

void hp_sampler_after_fork_child(hp_sampler *sampler) {
    pthread_mutex_init(&sampler->mutex, NULL);
    sampler->started = false;
    atomic_store_explicit(&sampler->alive, false, memory_order_relaxed);
    atomic_store_explicit(&sampler->native_id, 0, memory_order_relaxed);
    atomic_store_explicit(&sampler->wanted, 0, memory_order_relaxed);
    sampler->status_file = -1;
    sampler->follow.pinned = -1;
    data_fini(sampler);
    (void)data_init(sampler);
}
