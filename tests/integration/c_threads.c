/* SPDX-License-Identifier: MIT */
/* Threads that Python did not make, for test_sampler_threads: each calls back `times` times, with a new thread state each time. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct job {
    const char *name; /* NULL: it keeps its maker's */
    void (*call)(int);
    int times;
    _Atomic int native_id;
    pthread_t thread;
} job;

static void *run(void *argument) {
    job *j = argument;
    if (j->name != NULL)
        pthread_setname_np(pthread_self(), j->name);
    j->native_id = (int)syscall(SYS_gettid);
    for (int i = 0; i < j->times; i++)
        j->call(i);
    return NULL;
}

/* The callback is one of ctypes: PyGILState_Ensure before it, PyGILState_Release after it. */
job *thread_begin(const char *name, void (*call)(int), int times) {
    job *j = calloc(1, sizeof *j);
    *j = (job){.name = name, .call = call, .times = times};
    if (pthread_create(&j->thread, NULL, run, j) != 0)
        abort();
    return j;
}

int thread_end(job *j) {
    pthread_join(j->thread, NULL);
    int native_id = j->native_id;
    free(j);
    return native_id;
}
