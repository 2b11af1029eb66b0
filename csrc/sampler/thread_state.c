/* SPDX-License-Identifier: MIT */
/* What a thread was doing when it was sampled.
 *
 * The holder of the GIL runs; its interpreter says whether garbage is collected, and the instruction of its top frame whether it is inside
 * C code. Of all others the kernel tells which system call they are in, in /proc: a futex inside the GIL is the wait for it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler/private.h"

#ifndef CLOSE_RANGE_UNSHARE /* an ABI of the kernel since 5.9; headers of systems that are older have no file that says it */
#define CLOSE_RANGE_UNSHARE (1u << 1)
#endif

enum {
    FEW_THREADS = 8, /* up to so many are asked at every tick */
    REST = 8,        /* of more, those that stand still are asked at every eighth, */
    ASKED = 8,       /* and of very many so few at each */
    CALL_KNOWN = 8,  /* ticks after which an instruction is read again: it may have been specialised since */
};

/* How many seccomp filters this thread is under; -1 where the system does not say (before Linux 5.9). */
static long count_filters(int file) {
    static const char name[] = "\nSeccomp_filters:";
    char text[4096];
    ssize_t size = pread(file, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    const char *at = strstr(text, name);
    return at == NULL ? -1 : strtol(at + sizeof name - 1, NULL, 10);
}

/* A file that we open could get the very number that the program expects for its own next one, so there must be a table for us alone. It
 * must be empty: a copy of the program's would keep its pipes and sockets open after it has closed them. */
void hp_thread_states_begin(hp_sampler *sampler) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    unsigned first = 3; /* what they report goes to stderr */
#else
    unsigned first = 0;
#endif
#ifdef SYS_close_range
    sampler->own_files = syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_UNSHARE) == 0;
#else
    (void)first;
#endif
    sampler->status_file = sampler->own_files ? open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC) : -1;
    sampler->filters = sampler->status_file < 0 ? -1 : count_filters(sampler->status_file);
    /* A table that an earlier sampler thread had went with it. */
    for (uint32_t i = 0; i < sampler->watched_count; i++) {
        hp_watched *w = sampler->watched[i];
        if (w->syscall_file >= 0 || w->no_syscall) { /* else not a page is touched */
            w->syscall_file = -1;
            w->no_syscall = false;
        }
    }
}

void hp_thread_state_forget(hp_watched *watched) {
    if (watched->syscall_file >= 0)
        close(watched->syscall_file);
    watched->syscall_file = -1;
    watched->no_syscall = false; /* whoever has its record next, under another id, is asked anew */
}

static bool is_known(const hp_sampler *s, const hp_watched *w, const struct hp_call_cache *known, uintptr_t instruction) {
    return known->instruction == instruction && known->epoch == w->last_epoch && s->tick - known->tick < CALL_KNOWN;
}

static bool stands_at_call(hp_sampler *s, const hp_watched *w) {
    uintptr_t instruction = w->last.frames[w->top].instruction;
    struct hp_call_cache *known = &s->calls[(instruction >> 1) * 0x9E3779B1u % HP_CALL_CACHE];
    if (!is_known(s, w, known, instruction)) {
        bool is_c_call = hp_instruction_is_c_call(instruction);
        if (hp_code_table_epoch(s->code) != w->last_epoch)
            return false; /* it may have been other code's byte */
        *known = (struct hp_call_cache){instruction, w->last_epoch, s->tick, is_c_call};
    }
    return known->is_c_call;
}

static hp_thread_state state_of_holder(hp_sampler *s, const hp_watched *w) {
    if (w->collecting)
        return HP_STATE_GC;
    bool has_top = w->progress != HP_READ_PART && w->top < w->last.count;
    return has_top && stands_at_call(s, w) ? HP_STATE_C : HP_STATE_PYTHON;
}

/* "running", "-1 SP PC" where it is blocked outside of a system call, or "NUMBER ARGUMENT ...". */
static hp_thread_state state_in_words(const char *text, uintptr_t gil) {
    char *end;
    if (strncmp(text, "running", 7) == 0)
        return HP_STATE_NATIVE;
    long number = strtol(text, &end, 10);
    if (end == text || number < 0)
        return HP_STATE_UNKNOWN;
    if (number == SYS_futex)
        return hp_gil_holds(gil, strtoul(end, NULL, 16)) ? HP_STATE_GIL : HP_STATE_LOCK;
    if (number == SYS_clock_nanosleep || number == SYS_nanosleep)
        return HP_STATE_SLEEP;
    return number == SYS_restart_syscall ? HP_STATE_UNKNOWN : HP_STATE_IO;
}

bool hp_may_open(const hp_sampler *sampler) {
    return sampler->status_file < 0 || count_filters(sampler->status_file) == sampler->filters;
}

static bool open_syscall(const hp_sampler *s, hp_watched *w) {
    char path[64];
    if (w->syscall_file >= 0)
        return true;
    if (!hp_may_open(s))
        return false;
    snprintf(path, sizeof path, "/proc/self/task/%llu/syscall", (unsigned long long)w->native_id);
    w->syscall_file = open(path, O_RDONLY | O_CLOEXEC);
    return w->syscall_file >= 0;
}

static hp_thread_state state_by_kernel(hp_sampler *s, hp_watched *w, uintptr_t gil) {
    char text[256];
    if (!s->own_files || w->no_syscall || w->native_id == 0)
        return HP_STATE_UNKNOWN;
    ssize_t size = open_syscall(s, w) ? pread(w->syscall_file, text, sizeof text - 1, 0) : -1;
    if (size <= 0) {
        hp_thread_state_forget(w);
        w->no_syscall = true; /* it is ending, or /proc is not there, or may not be read */
        return HP_STATE_UNKNOWN;
    }
    text[size] = '\0';
    return state_in_words(text, gil);
}

bool hp_thread_is_running(hp_sampler *sampler, hp_watched *watched) {
    return state_by_kernel(sampler, watched, 0) == HP_STATE_NATIVE;
}

void hp_thread_state_find(hp_sampler *sampler, hp_watched *watched, const hp_state *known) {
    if (watched->running) {
        watched->state = state_of_holder(sampler, watched);
        return;
    }
    if (watched->progress == HP_READ_SAME && watched->state > HP_STATE_NATIVE) {
        /* The question takes some 3 us. Of many threads those that stand still are asked now and then, and only if they have had CPU time
         * since, which takes 1 us to know: whoever had none is where it was. Each answer then counts for the ticks around it. */
        uint32_t period = sampler->state_count > REST * ASKED ? sampler->state_count / ASKED : REST;
        bool rests = sampler->state_count > FEW_THREADS && (sampler->tick + watched->thread->index) % period != 0;
        int64_t cpu = rests ? -1 : hp_other_thread_cpu_ns(watched->native_id);
        if (rests || (cpu >= 0 && cpu == watched->state_cpu))
            return;
        watched->state_cpu = cpu;
    } else
        watched->state_cpu = -1;
    watched->state = state_by_kernel(sampler, watched, known->gil);
}
