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

/* Some file systems know no fsync: then there is nothing more to be had. */
static bool sync_descriptor(int descriptor) {
    return fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
}

/* The rename is durable only with its directory. A failure here is not the file's: it is whole and in its place. */
static void sync_directory(const char *path) {
    char *directory = NULL;
    size_t size = directory_size(path);
    if (asprintf(&directory, "%.*s", size == 0 ? 1 : (int)size, size == 0 ? "." : path) < 0)
        return;
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        (void)sync_descriptor(descriptor);
        close(descriptor);
    }
    free(directory);
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

/* What write_and_rename does is common; these differ. */
typedef struct replacing {
    const char *path; /* as the user gave it, for sentences */
    const char *target;
    const struct stat *old; /* NULL: there is none yet */
    int *kept; /* not NULL: receives the descriptor of the new file, and the old one must still be in its place and its owner stay */
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
    if (job->kept == NULL)
        return HP_OK;
    if (fstat(descriptor, &now) != 0)
        return cannot_write(error, job->path);
    if (now.st_uid != job->old->st_uid || now.st_gid != job->old->st_gid)
        return hp_fail(error, HP_UNSUPPORTED, EPERM, "%s belongs to user %u and group %u, and this process may not give files to them",
                       job->path, (unsigned)job->old->st_uid, (unsigned)job->old->st_gid);
    return HP_OK;
}

static hp_status put_in_place(const replacing *job, const char *name, hp_error *error) {
    if (job->kept != NULL && !is_same_file(job->old, job->target))
        return moved_away(job->path, error);
    return rename(name, job->target) == 0 ? HP_OK : cannot_write(error, job->path);
}

static hp_status write_and_rename(const replacing *job, hp_write_function write, const void *what, hp_error *error) {
    char *name = NULL;
    int descriptor = open_temporary(job->target, &name);
    if (descriptor < 0)
        return cannot_write(error, job->path);
    hp_status status = dress(job, descriptor, error);
    if (status == HP_OK)
        status = write_all(descriptor, job->path, write, what, error);
    if (status == HP_OK && !sync_descriptor(descriptor))
        status = cannot_write(error, job->path);
    if (job->kept == NULL && close(descriptor) != 0 && status == HP_OK)
        status = cannot_write(error, job->path);
    if (status == HP_OK)
        status = put_in_place(job, name, error);
    if (status == HP_OK)
        sync_directory(job->target);
    else
        unlink(name);
    if (job->kept != NULL && status != HP_OK)
        close(descriptor);
    if (job->kept != NULL && status == HP_OK)
        *job->kept = descriptor;
    free(name);
    return status;
}

/* Not a regular file, or one that a descriptor's name leads to (/dev/stdout with its output in a file: replacing that would cut it off).
 * The name tells, and not whether two looks meet the same file: between them another writer may have put its own there, which was then
 * appended to. */
static bool is_stream(const struct stat *file, const char *target) {
    return !S_ISREG(file->st_mode) || names_descriptor(target);
}

hp_status hp_write_atomically(const char *path, hp_write_function write, const void *what, hp_error *error) {
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
        status = write_and_rename(&(replacing){path, target, exists ? &old : NULL, NULL}, write, what, error);
    free(target);
    return status;
}

hp_status hp_rewrite_file(const char *path, int *descriptor, hp_write_function write, const void *what, hp_error *error) {
    struct stat old;
    int new_descriptor = -1;
    if (fstat(*descriptor, &old) != 0)
        return cannot_write(error, path);
    char *target = follow_links(path);
    if (target == NULL)
        return cannot_write(error, path);
    hp_status status = HP_OK;
    struct stat reached;
    /* A second name would go on meaning the old file; behind a descriptor's name the file has a reader who knows only the old one. */
    if (lstat(target, &reached) != 0 && errno != ENOENT)
        status = cannot_write(error, path);
    else if (names_descriptor(path) || old.st_nlink != 1 || is_stream(&old, target) || !is_same_file(&old, target))
        status = moved_away(path, error);
    else
        status = write_and_rename(&(replacing){path, target, &old, &new_descriptor}, write, what, error);
    free(target);
    if (status != HP_OK)
        return status;
    close(*descriptor);
    *descriptor = new_descriptor;
    return HP_OK;
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
