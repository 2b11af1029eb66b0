/* SPDX-License-Identifier: MIT */
/* What a reader takes for a file, in a process of its own: no file of 1 MB may make it take more than 256 MB. */
#ifndef HP_TESTS_SUPPORT_MEMORY_H
#define HP_TESTS_SUPPORT_MEMORY_H

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "check.h"
#include "formats/format.h"
#include "formats/hyprof/bytes.h"

enum { FILE_LIMIT = 1 << 20, MEMORY_LIMIT_KB = 256 << 10 };
/* Where a sanitizer keeps books of its own, which are larger than what they are about, there is nothing to measure. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEMORY_IS_SHADOWED = 1 };
#else
enum { MEMORY_IS_SHADOWED = 0 };
#endif
enum { TEST_IS_SKIPPED = 77 }; /* as meson reads exit statuses */

static inline long status_kb(const char *key) {
    char line[256];
    long kb = -1;
    FILE *from = fopen("/proc/self/status", "r");
    if (from == NULL)
        return -1;
    while (kb < 0 && fgets(line, sizeof line, from) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0)
            kb = strtol(line + strlen(key), NULL, 10);
    }
    fclose(from);
    return kb;
}

/* In a child: address space, so that what was asked for counts, touched or not. */
static inline int read_within(const char *what, const hp_format *format, const uint8_t *bytes, size_t size) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    long before = status_kb("VmSize:");
    hp_status status = format->read(bytes, size, &profile, &error);
    long taken = status_kb("VmPeak:") - before;
    if (getenv("HP_SHOW") != NULL)
        fprintf(stderr, "%6ld KB of %8zu bytes: %s, %s: %s\n", taken, size, format->name, what, status == HP_OK ? "read" : error.text);
    if (taken > MEMORY_LIMIT_KB)
        fprintf(stderr, "%s, %s: %ld KB\n", format->name, what, taken);
    return taken > MEMORY_LIMIT_KB || (status != HP_OK && status != HP_BAD_FORMAT);
}

/* A child's peak begins with its birth. Frees the bytes. */
static inline void assert_bounded(const char *what, const hp_format *format, uint8_t *bytes, size_t size) {
    int exit_status = 1;
    assert_in_range(size, 1, FILE_LIMIT);
    malloc_trim(0); /* or the child would live on what this process freed */
    pid_t child = fork();
    if (child == 0)
        _exit(read_within(what, format, bytes, size));
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    assert_int_equal(exit_status, 0);
    free(bytes);
}

/* As small as zlib makes it. Frees what it was made of. */
static inline uint8_t *deflated(hp_bytes *raw, int window, size_t *size) {
    z_stream stream = {0};
    size_t room = compressBound(raw->size) + 64;
    uint8_t *bytes = malloc(room);
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = raw->data;
    stream.avail_in = (uInt)raw->size;
    stream.next_out = bytes;
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *size = room - stream.avail_out;
    deflateEnd(&stream);
    hp_bytes_free(raw);
    return realloc(bytes, *size);
}

#endif
