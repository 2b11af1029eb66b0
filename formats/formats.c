/* SPDX-License-Identifier: MIT */
#include "formats/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/callgrind/callgrind.h"
#include "formats/collapsed/collapsed.h"
#include "formats/gecko/gecko.h"
#include "formats/hyprof/hyprof.h"
#include "formats/pprof/pprof.h"
#include "formats/pstats/pstats.h"
#include "formats/speedscope/speedscope.h"

/* Reading asks in this order, so what says its name stands before what is recognized by its looks: a pstats file begins with a brace, too.
 */
const hp_format *const hp_formats[] = {&hp_format_hyprof, &hp_format_pprof,     &hp_format_speedscope, &hp_format_gecko,
                                       &hp_format_pstats, &hp_format_callgrind, &hp_format_collapsed,  NULL};

/* A whole file is read into memory; what is larger was hardly written by a profiler. */
#define IMPORT_LIMIT ((size_t)4 << 30)

const hp_format *hp_format_named(const char *name) {
    for (size_t i = 0; hp_formats[i] != NULL; i++) {
        if (strcmp(hp_formats[i]->name, name) == 0)
            return hp_formats[i];
    }
    return NULL;
}

static const hp_format *by_prefix(const char *base) {
    for (size_t i = 0; hp_formats[i] != NULL; i++) {
        const char *prefix = hp_formats[i]->prefix;
        if (prefix != NULL && strncmp(base, prefix, strlen(prefix)) == 0)
            return hp_formats[i];
    }
    return NULL;
}

/* The prefix goes first: KCachegrind opens `callgrind.out*` whatever follows, so nothing else should bear that name. */
const hp_format *hp_format_for_path(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t length = strlen(base);
    const hp_format *found = by_prefix(base);
    for (size_t i = 0; found == NULL && hp_formats[i] != NULL; i++) {
        for (const char *const *suffix = hp_formats[i]->suffixes; suffix != NULL && *suffix != NULL; suffix++) {
            size_t size = strlen(*suffix);
            if (length >= size && memcmp(base + length - size, *suffix, size) == 0)
                found = hp_formats[i];
        }
    }
    return found;
}

typedef struct export_job {
    const hp_profile *profile;
    const hp_format *format;
} export_job;

static hp_status run_export(hp_sink *sink, const void *what, hp_error *error) {
    const export_job *job = what;
    return job->format->write(sink, job->profile, error);
}

hp_status hp_export(const hp_profile *profile, const char *path, const hp_format *format, hp_error *error) {
    if (format->write == NULL)
        return hp_fail(error, HP_UNSUPPORTED, 0, "%s: hybridprof reads %s files but does not write them", path, format->name);
    export_job job = {profile, format};
    return hp_write_atomically(path, run_export, &job, error);
}

static hp_status check_regular(const char *path, hp_error *error) {
    struct stat info;
    if (stat(path, &info) != 0)
        return hp_fail(error, HP_IO, errno, "%s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return hp_fail(error, HP_BAD_VALUE, EISDIR, "%s is a directory, not a profile: name a file in it", path);
    if (S_ISREG(info.st_mode) && info.st_size == 0)
        return hp_fail(error, HP_BAD_FORMAT, 0, "%s is empty: the program that should have written it may have been killed before it could",
                       path);
    /* Before reading: what is too large should not be read to find out. */
    if (S_ISREG(info.st_mode) && (uint64_t)info.st_size > IMPORT_LIMIT)
        return hp_fail(error, HP_BAD_VALUE, 0, "%s has %lld bytes, and profiles of up to %zu GiB are read", path, (long long)info.st_size,
                       IMPORT_LIMIT >> 30);
    return HP_OK;
}

static void list_readable(char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; hp_formats[i] != NULL; i++) {
        if (hp_formats[i]->read == NULL || used + strlen(hp_formats[i]->name) + 3 > size)
            continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used != 0 ? ", " : "", hp_formats[i]->name);
    }
}

static hp_status read_to(const hp_format *format, hp_import_depth depth, const uint8_t *bytes, size_t size, hp_profile **out,
                         hp_error *error) {
    if (depth == HP_IMPORT_SOURCES && format->read_sources != NULL)
        return format->read_sources(bytes, size, out, error);
    if (depth == HP_IMPORT_PARTS && format->read_parts != NULL)
        return format->read_parts(bytes, size, out, error);
    return format->read(bytes, size, out, error);
}

static hp_status read_as(const hp_format *format, hp_import_depth depth, const char *path, const uint8_t *bytes, size_t size,
                         hp_profile **out, hp_error *error) {
    char readable[120] = "";
    list_readable(readable, sizeof readable);
    if (format == NULL)
        return hp_fail(error, HP_BAD_FORMAT, 0, "%s is not a profile that can be read here: %s can", path, readable);
    if (format->read == NULL)
        return hp_fail(error, HP_UNSUPPORTED, 0, "%s is a %s file, which is only written, not read: %s can be read", path, format->name,
                       readable);
    hp_error inner = {0};
    hp_status status = read_to(format, depth, bytes, size, out, &inner);
    if (status != HP_OK)
        hp_fail(error, status, inner.system, "%s: %s", path, inner.text[0] != '\0' ? inner.text : "not enough memory to read it");
    return status;
}

hp_status hp_import(const char *path, hp_import_depth depth, hp_profile **out, hp_error *error) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    const hp_format *format = NULL;
    hp_status status = check_regular(path, error);
    if (status != HP_OK)
        goto done;
    status = hp_read_file(path, IMPORT_LIMIT, &bytes, &size, error);
    if (status != HP_OK)
        goto done;
    for (size_t i = 0; format == NULL && hp_formats[i] != NULL; i++) {
        if (hp_formats[i]->recognize != NULL && hp_formats[i]->recognize(bytes, size))
            format = hp_formats[i];
    }
    status = read_as(format, depth, path, bytes, size, out, error);
done:
    free(bytes);
    return status;
}
