/* SPDX-License-Identifier: MIT */
#include "base/syncer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int failure_of(int result) {
    return result == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS ? 0 : errno;
}

int hp_sync(int descriptor) {
    return failure_of(fsync(descriptor));
}

static int open_folder(const char *path) {
    char *folder = NULL;
    const char *slash = strrchr(path, '/');
    int size = slash == NULL ? 1 : (int)(slash - path) + 1;
    if (asprintf(&folder, "%.*s", size, slash == NULL ? "." : path) < 0)
        return -1;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    return descriptor;
}

void hp_sync_folder(const char *path) {
    int descriptor = open_folder(path);
    if (descriptor < 0)
        return;
    (void)hp_sync(descriptor);
    close(descriptor);
}

/* No malloc, no lock: a fork may copy the process at any step. A new file's mode and owner belong on the disk too, hence fsync. */
static void *run(void *argument) {
    hp_syncer *syncer = argument;
    bool is_new = syncer->directory >= 0;
    syncer->failure = is_new ? hp_sync(syncer->descriptor) : failure_of(fdatasync(syncer->descriptor));
    if (is_new)
        (void)hp_sync(syncer->directory);
    atomic_store_explicit(&syncer->done, true, memory_order_release);
    return NULL;
}

/* Signals belong to the program's threads. */
static bool start_thread(hp_syncer *syncer) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&syncer->thread, NULL, run, syncer) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_setname_np(syncer->thread, "hybridprof-sync");
    return started;
}

void hp_syncer_begin(hp_syncer *syncer, int descriptor, const char *new_path) {
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    syncer->begun = true;
    syncer->descriptor = copy < 0 ? descriptor : copy;
    syncer->directory = new_path == NULL ? -1 : open_folder(new_path);
    syncer->failure = 0;
    atomic_store_explicit(&syncer->done, false, memory_order_relaxed); /* pthread_create orders it */
    syncer->has_thread = copy >= 0 && start_thread(syncer);
    if (!syncer->has_thread)
        run(syncer);
    if (copy < 0)
        syncer->descriptor = -1;
}

bool hp_syncer_busy(const hp_syncer *syncer) {
    return syncer->begun && !atomic_load_explicit(&syncer->done, memory_order_acquire);
}

bool hp_syncer_wait(const hp_syncer *syncer, int milliseconds) {
    for (int i = 0; hp_syncer_busy(syncer) && (milliseconds < 0 || i < milliseconds); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return !hp_syncer_busy(syncer);
}

void hp_syncer_forget(hp_syncer *syncer) {
    if (!syncer->begun)
        return;
    if (syncer->descriptor >= 0)
        close(syncer->descriptor);
    if (syncer->directory >= 0)
        close(syncer->directory);
    syncer->begun = syncer->has_thread = false;
}

int hp_syncer_end(hp_syncer *syncer) {
    if (!syncer->begun)
        return 0;
    if (syncer->has_thread)
        pthread_join(syncer->thread, NULL);
    hp_syncer_forget(syncer);
    return syncer->failure;
}
