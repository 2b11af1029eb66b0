/* SPDX-License-Identifier: MIT */
/* Whole files: written atomically, read within a limit (declared in base/sink.h). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/sink.h"
#include "base/syncer.h"

enum { NAME_TRIES = 32, LINK_LIMIT = 40, FIRST_READ = 1 << 16 };

static hp_status cannot_write(hp_error *error, const char *path) {
    return hp_fail(error, HP_IO, errno, "cannot write %s: %m", path);
}
static hp_status cannot_read(hp_error *error, const char *path) {
    return hp_fail(error, HP_IO, errno, "cannot read %s: %m", path);
}

static size_t directory_size(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

static bool names_descriptor(const char *path) {
    return strcmp(path, "/dev/stdout") == 0 || strcmp(path, "/dev/stderr") == 0 || strncmp(path, "/dev/fd/", 8) == 0 ||
           (strncmp(path, "/proc/", 6) == 0 && strstr(path + 6, "/fd/") != NULL); /* of this process, by any of its names */
}

/* Where `path` leads if it is a symbolic link (it need not exist): the file to replace, not the link. Not past the name of a descriptor,
 * which the system shows as a link to the file behind it. malloc'ed. */
static char *follow_links(const char *path) {
    char *current = strdup(path);
    char target[PATH_MAX];
    for (int i = 0; current != NULL && i < LINK_LIMIT; i++) {
        ssize_t size = names_descriptor(current) ? -1 : readlink(current, target, sizeof target - 1);
        if (size < 0)
            return current;
        target[size] = '\0';
        char *next = NULL;
        int directory = target[0] == '/' ? 0 : (int)directory_size(current);
        if (asprintf(&next, "%.*s%s", directory, current, target) < 0)
            next = NULL;
        free(current);
        current = next;
        errno = next == NULL ? ENOMEM : ELOOP;
    }
    free(current);
    return NULL;
}

/* A file of our own in the directory of `target`. `*name` is malloc'ed and set only where the file exists. */
static int open_temporary(const char *target, char **name) {
    for (uint64_t i = 0; i < NAME_TRIES; i++) {
        unsigned random = (unsigned)hp_hash_u64((uint64_t)hp_now_ns() + (uint64_t)(uintptr_t)&random + i);
        char *candidate = NULL;
        if (asprintf(&candidate, "%.*s.hybridprof-%ld-%08x.tmp", (int)directory_size(target), target, (long)getpid(), random) < 0) {
            errno = ENOMEM;
            return -1;
        }
        int descriptor = open(candidate, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (descriptor >= 0) {
            *name = candidate;
            return descriptor;
        }
        int failure = errno;
        free(candidate);
        errno = failure;
        if (failure != EEXIST)
            return -1;
    }
    return -1;
}

static hp_status write_all(int descriptor, const char *path, hp_write_function write, const void *what, hp_error *error) {
    hp_error cause = {0};
    hp_sink *sink = NULL;
    hp_status status = hp_sink_descriptor(&sink, descriptor);
    if (status != HP_OK) {
        errno = ENOMEM;
        return hp_fail(error, status, ENOMEM, "cannot write %s: %m", path);
    }
    status = write(sink, what, &cause);
    if (status == HP_OK)
        status = hp_sink_flush(sink, &cause);
    if (status != HP_OK)
        hp_fail(error, status, cause.system, "cannot write %s: %s", path, cause.text[0] != '\0' ? cause.text : "the writer gave up");
    hp_sink_free(sink);
    return status;
}

/* A pipe, a terminal, /dev/stdout: there is nothing to replace. Appending leaves alone what is there where a stream is a file after all. */
static hp_status write_straight(const char *path, hp_write_function write, const void *what, hp_error *error) {
    int descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return cannot_write(error, path);
    hp_status status = write_all(descriptor, path, write, what, error);
    if (close(descriptor) != 0 && status == HP_OK)
        status = cannot_write(error, path);
    return status;
}

/* The owner first: changing it may clear bits of the mode. Not being allowed to give a file away is no failure: it is written by us then.
 */
static bool take_after(int descriptor, const struct stat *old) {
    if (old->st_uid != geteuid() || old->st_gid != getegid())
        (void)!fchown(descriptor, old->st_uid, old->st_gid);
    return fchmod(descriptor, old->st_mode & 07777) == 0;
}

/* Whether `target` is that very file, by that very name. */
static bool is_same_file(const struct stat *file, const char *target) {
    struct stat reached;
    return lstat(target, &reached) == 0 && reached.st_ino == file->st_ino && reached.st_dev == file->st_dev;
}

/* A file on its way to its place. */
typedef struct replacing {
    const char *path; /* as the user gave it, for sentences */
    const char *target;
    const struct stat *old; /* NULL: there is none yet */
    bool for_descriptor;    /* somebody goes on with it: the old one must still be in its place and its owner stay */
} replacing;

static hp_status moved_away(const char *path, hp_error *error) {
    return hp_fail(error, HP_UNSUPPORTED, 0, "%s was moved, replaced or given a second name by another program", path);
}

static hp_status dress(const replacing *job, int descriptor, hp_error *error) {
    struct stat now;
    if (job->old == NULL)
        return HP_OK;
    if (!take_after(descriptor, job->old))
        return cannot_write(error, job->path);
    if (!job->for_descriptor)
        return HP_OK;
    if (fstat(descriptor, &now) != 0)
        return cannot_write(error, job->path);
    if (now.st_uid != job->old->st_uid || now.st_gid != job->old->st_gid)
        return hp_fail(error, HP_UNSUPPORTED, EPERM, "%s belongs to user %u and group %u, and this process may not give files to them",
                       job->path, (unsigned)job->old->st_uid, (unsigned)job->old->st_gid);
    return HP_OK;
}

/* Whole, but not yet on the disk and in its place. `*name` and `*descriptor` are the caller's where it works. */
static hp_status write_temporary(const replacing *job, hp_write_function write, const void *what, char **name, int *descriptor,
                                 hp_error *error) {
    *descriptor = open_temporary(job->target, name);
    if (*descriptor < 0)
        return cannot_write(error, job->path);
    hp_status status = dress(job, *descriptor, error);
    if (status == HP_OK)
        status = write_all(*descriptor, job->path, write, what, error);
    if (status == HP_OK)
        return HP_OK;
    close(*descriptor);
    unlink(*name);
    free(*name);
    return status;
}

static bool synced(int descriptor) {
    errno = hp_sync(descriptor);
    return errno == 0;
}

static hp_status write_and_rename(const replacing *job, bool sync, hp_write_function write, const void *what, hp_error *error) {
    char *name = NULL;
    int descriptor = -1;
    hp_status status = write_temporary(job, write, what, &name, &descriptor, error);
    if (status != HP_OK)
        return status;
    if (sync && !synced(descriptor))
        status = cannot_write(error, job->path);
    if (close(descriptor) != 0 && status == HP_OK)
        status = cannot_write(error, job->path);
    if (status == HP_OK && rename(name, job->target) != 0)
        status = cannot_write(error, job->path);
    if (status != HP_OK)
        unlink(name);
    else if (sync)
        hp_sync_folder(job->target);
    free(name);
    return status;
}

/* Not a regular file, or one that a descriptor's name leads to (/dev/stdout with its output in a file: replacing that would cut it off).
 * The name tells, and not whether two looks meet the same file: between them another writer may have put its own there, which was then
 * appended to. */
static bool is_stream(const struct stat *file, const char *target) {
    return !S_ISREG(file->st_mode) || names_descriptor(target);
}

static hp_status write_whole(const char *path, bool sync, hp_write_function write, const void *what, hp_error *error) {
    struct stat old;
    bool exists = stat(path, &old) == 0;
    if (names_descriptor(path))
        return write_straight(path, write, what, error);
    char *target = follow_links(path);
    hp_status status = HP_OK;
    if (target == NULL)
        return cannot_write(error, path);
    if (exists && is_stream(&old, target))
        status = write_straight(path, write, what, error);
    else if (exists && faccessat(AT_FDCWD, target, W_OK, AT_EACCESS) != 0) /* rename would replace even a read-only file */
        status = cannot_write(error, path);
    else
        status = write_and_rename(&(replacing){path, target, exists ? &old : NULL, false}, sync, write, what, error);
    free(target);
    return status;
}

hp_status hp_write_atomically(const char *path, hp_write_function write, const void *what, hp_error *error) {
    return write_whole(path, true, write, what, error);
}
hp_status hp_write_unsynced(const char *path, hp_write_function write, const void *what, hp_error *error) {
    return write_whole(path, false, write, what, error);
}

/* A second name would go on meaning the old file; behind a descriptor's name the file has a reader who knows only the old one. */
static hp_status may_be_replaced(const char *path, const struct stat *old, const char *target, hp_error *error) {
    struct stat reached;
    if (lstat(target, &reached) != 0 && errno != ENOENT)
        return cannot_write(error, path);
    if (names_descriptor(path) || old->st_nlink != 1 || is_stream(old, target) || !is_same_file(old, target))
        return moved_away(path, error);
    return HP_OK;
}

hp_status hp_successor_write(hp_successor *successor, const char *path, int descriptor, hp_write_function write, const void *what,
                             hp_error *error) {
    struct stat old;
    if (fstat(descriptor, &old) != 0)
        return cannot_write(error, path);
    *successor = (hp_successor){.target = follow_links(path)};
    if (successor->target == NULL)
        return cannot_write(error, path);
    hp_status status = may_be_replaced(path, &old, successor->target, error);
    if (status == HP_OK)
        status = write_temporary(&(replacing){path, successor->target, &old, true}, write, what, &successor->name, &successor->descriptor,
                                 error);
    if (status != HP_OK) {
        free(successor->target);
        *successor = (hp_successor){0};
    }
    return status;
}

hp_status hp_successor_take_place(hp_successor *successor, const char *path, int *descriptor, hp_error *error) {
    struct stat old;
    hp_status status = fstat(*descriptor, &old) != 0 ? cannot_write(error, path) : may_be_replaced(path, &old, successor->target, error);
    if (status == HP_OK) /* they may have changed since */
        status = dress(&(replacing){path, successor->target, &old, true}, successor->descriptor, error);
    if (status == HP_OK && rename(successor->name, successor->target) != 0)
        status = cannot_write(error, path);
    if (status != HP_OK)
        return status;
    close(*descriptor);
    *descriptor = successor->descriptor;
    free(successor->name);
    free(successor->target);
    *successor = (hp_successor){0};
    return HP_OK;
}

void hp_successor_drop(hp_successor *successor, bool remove_it) {
    if (successor->name == NULL)
        return;
    close(successor->descriptor);
    if (remove_it)
        unlink(successor->name);
    free(successor->name);
    free(successor->target);
    *successor = (hp_successor){0};
}

typedef struct file_bytes {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
} file_bytes;

/* One byte beyond the limit is asked for: that tells "too big" from "just fits". */
static bool read_some(int descriptor, size_t limit, file_bytes *file, ssize_t *got) {
    if (file->size == file->capacity) {
        size_t wanted = file->capacity == 0 ? FIRST_READ : file->capacity * 2;
        uint8_t *moved = wanted < file->capacity ? NULL : realloc(file->bytes, wanted);
        if (moved == NULL) {
            errno = ENOMEM;
            return false;
        }
        file->bytes = moved;
        file->capacity = wanted;
    }
    size_t room = file->capacity - file->size;
    if (room > limit - file->size)
        room = limit - file->size + 1;
    do
        *got = read(descriptor, file->bytes + file->size, room > file->capacity - file->size ? room - 1 : room);
    while (*got < 0 && errno == EINTR);
    if (*got > 0)
        file->size += (size_t)*got;
    return *got >= 0;
}

hp_status hp_read_file(const char *path, size_t limit, uint8_t **bytes, size_t *size, hp_error *error) {
    file_bytes file = {0};
    hp_status status = HP_OK;
    ssize_t got = 1;
    struct stat known;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return cannot_read(error, path);
    if (fstat(descriptor, &known) == 0 && S_ISREG(known.st_mode) && known.st_size > 0 && (uint64_t)known.st_size <= limit) {
        file.capacity = (size_t)known.st_size + 1; /* read in one go; the extra byte meets the end */
        file.bytes = malloc(file.capacity);
        if (file.bytes == NULL)
            file.capacity = 0;
    }
    while (status == HP_OK && got > 0) {
        if (!read_some(descriptor, limit, &file, &got))
            status = cannot_read(error, path);
        else if (file.size > limit)
            status = hp_fail(error, HP_BAD_VALUE, 0, "%s is over the limit of %zu bytes", path, limit);
    }
    close(descriptor);
    if (status != HP_OK) {
        free(file.bytes);
        return status;
    }
    *bytes = file.bytes;
    *size = file.size;
    return HP_OK;
}
