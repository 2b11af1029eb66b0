/* SPDX-License-Identifier: MIT */
/* What killed writers leave (declared in base/sink.h). Age tells, not the number of the process in the name: in another container or on
 * another host the same number is somebody else, who may be writing. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sink.h"

/* Looked at in one directory at most: it may be one with millions of files. */
enum { ENTRY_LIMIT = 20000, LEFT_AFTER_SECONDS = 3600 };

static size_t digits(const char *text, const char *allowed, size_t most) {
    size_t size = strspn(text, allowed);
    return size <= most ? size : 0;
}

/* `.hybridprof-PID-RANDOM.tmp`, as base/files.c names them. */
static bool is_temporary(const char *name) {
    static const char prefix[] = ".hybridprof-";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    name += sizeof prefix - 1;
    size_t pid = digits(name, "0123456789", 10);
    if (pid == 0 || name[pid] != '-')
        return false;
    name += pid + 1;
    return digits(name, "0123456789abcdef", 8) == 8 && strcmp(name + 8, ".tmp") == 0;
}

static void remove_if_left(int directory, const char *name, time_t now) {
    struct stat file;
    if (fstatat(directory, name, &file, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid() &&
        now - file.st_mtime > LEFT_AFTER_SECONDS)
        (void)unlinkat(directory, name, 0);
}

static DIR *directory_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *name = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    DIR *directory = name == NULL ? NULL : opendir(name);
    free(name);
    return directory;
}

void hp_sweep_leftovers(const char *path) {
    DIR *directory = directory_of(path);
    time_t now = time(NULL);
    if (directory == NULL)
        return;
    int descriptor = dirfd(directory);
    const struct dirent *entry = readdir(directory);
    for (int i = 0; entry != NULL && descriptor >= 0 && i < ENTRY_LIMIT; i++, entry = readdir(directory))
        if (is_temporary(entry->d_name))
            remove_if_left(descriptor, entry->d_name, now);
    closedir(directory);
}
