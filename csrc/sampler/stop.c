/* SPDX-License-Identifier: MIT */
#include "sampler/stop.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    SIGNAL = SIGURG,
    ANSWER_NS = 2000000, /* how long we wait for a thread to stop */
    STOP_NS = 20000000,  /* how long it waits to be let go */
    SPINS = 200,         /* looks before either of them sleeps: most answers come within some us */
};

/* Statics, because a signal handler has no argument; one sampler per process.
 *
 * `word` is the whole protocol: a sequence number and a phase. IDLE -> ASKED (sampler) -> STOPPED (handler) -> IDLE (sampler, or the
 * handler when it has waited for too long). Each step is a compare-and-swap of the whole word, so a late handler of an earlier request
 * changes nothing. Release at each step, acquire at each look: what the thread wrote before it stopped is seen by the walk, and the walk is
 * over before it goes on. */
enum { IDLE, ASKED, STOPPED, PHASES = 4 };
static _Atomic uint32_t word;
static _Atomic uint64_t asked_thread; /* written before the word becomes ASKED */
static struct sigaction earlier;      /* guarded by: GIL, and constant while our handler is installed */
static bool installed;                /* guarded by: GIL */

static void sleep_on(uint32_t value, int64_t deadline) {
    struct timespec t = {deadline / 1000000000, deadline % 1000000000};
    syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, value, &t, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void wake(void) {
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0);
}

/* Whether the word is `value` no more before the deadline. */
static bool wait_while(uint32_t value, int64_t deadline) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&word, memory_order_acquire) != value)
            return true;
        hp_pause();
    }
    while (atomic_load_explicit(&word, memory_order_acquire) == value) {
        if (hp_now_ns() >= deadline)
            return false;
        sleep_on(value, deadline);
    }
    return true;
}

static bool step(uint32_t from, uint32_t to) {
    return atomic_compare_exchange_strong_explicit(&word, &from, to, memory_order_acq_rel, memory_order_acquire);
}

/* Only what is safe in a signal handler: atomics, futex, clock_gettime. */
static void stand_still(void) {
    uint32_t asked = atomic_load_explicit(&word, memory_order_acquire), stopped = asked - ASKED + STOPPED;
    if (asked % PHASES != ASKED || atomic_load_explicit(&asked_thread, memory_order_relaxed) != (uint64_t)syscall(SYS_gettid))
        return;
    if (!step(asked, stopped))
        return;
    wake();
    if (!wait_while(stopped, hp_now_ns() + STOP_NS))
        (void)step(stopped, stopped - STOPPED);
}

static void on_signal(int number, siginfo_t *info, void *context) {
    int saved = errno;
    (void)number;
    (void)context;
    if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == (void *)&word)
        stand_still();
    errno = saved;
}

/* Signals of one number do not queue: one that the program sends while ours is on its way would be lost to it. So not where it has a use
 * for them. */
const char *hp_stop_begin(void) {
    struct sigaction ours = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    if (installed)
        return NULL;
    if (sigaction(SIGNAL, NULL, &earlier) != 0)
        return "the system refuses a handler for SIGURG";
    if ((earlier.sa_flags & SA_SIGINFO) != 0 || (earlier.sa_handler != SIG_DFL && earlier.sa_handler != SIG_IGN))
        return "the program handles SIGURG itself";
    sigfillset(&ours.sa_mask); /* nothing else runs while the thread stands still */
    if (sigaction(SIGNAL, &ours, NULL) != 0)
        return "the system refuses a handler for SIGURG";
    installed = true;
    return NULL;
}

bool hp_stop_is_ours(void) {
    struct sigaction now;
    return sigaction(SIGNAL, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_signal;
}

void hp_stop_end(void) {
    if (installed && hp_stop_is_ours())
        (void)sigaction(SIGNAL, &earlier, NULL);
    installed = false;
}

bool hp_stop_thread(uint64_t native_id) {
    uint32_t idle = atomic_load_explicit(&word, memory_order_relaxed), asked = (idle / PHASES + 1) * PHASES + ASKED;
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)&word;
    atomic_store_explicit(&asked_thread, native_id, memory_order_relaxed);
    atomic_store_explicit(&word, asked, memory_order_release);
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)native_id, SIGNAL, &info) == 0 && wait_while(asked, hp_now_ns() + ANSWER_NS))
        return true;
    return !step(asked, asked - ASKED); /* it may have stopped in this very moment */
}

bool hp_stop_release(void) {
    uint32_t stopped = atomic_load_explicit(&word, memory_order_relaxed);
    if (stopped % PHASES != STOPPED || !step(stopped, stopped - STOPPED))
        return false;
    wake();
    return true;
}
