/* SPDX-License-Identifier: MIT */
/* What was written to a file, brought to the disk while its writer goes on: a sync may take seconds where others write a lot.
 *
 * A thread for each sync, since there is one in half a minute; one sync at a time. Owner: one thread. In a forked child the thread is not
 * there: hp_syncer_forget is for that. */
#ifndef HP_BASE_SYNCER_H
#define HP_BASE_SYNCER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct hp_syncer {
    bool begun;
    bool has_thread;   /* else it was done at once: there was no thread to be had, or no descriptor */
    int descriptor;    /* a copy: the owner may close his */
    int directory;     /* -1: the file's name is on the disk */
    int failure;       /* errno, 0: none. Written by the thread before `done` */
    _Atomic bool done; /* release by the thread, acquire by the owner: `failure` is behind it */
    pthread_t thread;
} hp_syncer;

/* Files without fsync, on some file systems, are as well off as they can be. Returns errno, 0 where all is well. */
int hp_sync(int descriptor);
/* The folder that `path` is in, so that a new name or a rename is on the disk too; its failure is not the file's. */
void hp_sync_folder(const char *path);

/* None may be under way. `new_path`: of a file that the disk does not have under this name; NULL: only what was written is new. */
void hp_syncer_begin(hp_syncer *syncer, int descriptor, const char *new_path);
bool hp_syncer_busy(const hp_syncer *syncer);
/* True: none is under way any more. milliseconds: how long to wait for that at most, less than 0: for as long as it takes. */
bool hp_syncer_wait(const hp_syncer *syncer, int milliseconds);
/* Waits. Returns errno of the sync, 0 if it was done or there was none. */
int hp_syncer_end(hp_syncer *syncer);
/* In a forked child: closes what the copy has open. */
void hp_syncer_forget(hp_syncer *syncer);

#endif
