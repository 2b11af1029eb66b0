/* SPDX-License-Identifier: MIT */
#include "base/sink.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BUFFER = 1 << 16, FIRST_MEMORY = 256, U64_DIGITS = 20 };

struct hp_sink {
    uint8_t *bytes;
    size_t used;
    size_t capacity;
    int descriptor; /* -1: memory */
    hp_status status;
    int system;                 /* errno of the first failure */
    bool (*go_on)(void *whose); /* NULL: always */
    void *whose;
};

static hp_status sink_new(hp_sink **out, int descriptor, size_t capacity) {
    hp_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL)
        return HP_NO_MEMORY;
    sink->bytes = malloc(capacity);
    sink->capacity = capacity;
    sink->descriptor = descriptor;
    if (sink->bytes == NULL) {
        free(sink);
        return HP_NO_MEMORY;
    }
    *out = sink;
    return HP_OK;
}

hp_status hp_sink_memory(hp_sink **out) {
    return sink_new(out, -1, FIRST_MEMORY);
}
hp_status hp_sink_descriptor(hp_sink **out, int descriptor) {
    return sink_new(out, descriptor, FILE_BUFFER);
}

void hp_sink_free(hp_sink *sink) {
    if (sink == NULL)
        return;
    free(sink->bytes);
    free(sink);
}

static void sink_fail(hp_sink *sink, hp_status status, int system) {
    if (sink->status != HP_OK)
        return;
    sink->status = status;
    sink->system = system;
}

void hp_sink_ask_after_signals(hp_sink *sink, bool (*go_on)(void *whose), void *whose) {
    sink->go_on = go_on;
    sink->whose = whose;
}

/* Somebody else's non-blocking pipe: wait until it takes more. */
static bool may_try_again(hp_sink *sink) {
    struct pollfd wanted = {.fd = sink->descriptor, .events = POLLOUT};
    if (errno == EAGAIN && poll(&wanted, 1, -1) >= 0)
        return true;
    if (errno != EINTR) /* of the write, or of the wait */
        return false;
    bool goes_on = sink->go_on == NULL || sink->go_on(sink->whose);
    errno = EINTR;
    return goes_on;
}

static void sink_put(hp_sink *sink, const uint8_t *bytes, size_t size) {
    while (size > 0 && sink->status == HP_OK) {
        ssize_t written = write(sink->descriptor, bytes, size);
        if (written >= 0) {
            bytes += written;
            size -= (size_t)written;
        } else if (!may_try_again(sink)) {
            sink_fail(sink, HP_IO, errno);
        }
    }
}

static void sink_drain(hp_sink *sink) {
    sink_put(sink, sink->bytes, sink->used);
    sink->used = 0;
}

static void sink_extend(hp_sink *sink, size_t size) {
    size_t wanted = sink->capacity;
    while (wanted - sink->used < size && wanted <= SIZE_MAX / 2)
        wanted *= 2;
    uint8_t *moved = wanted - sink->used < size ? NULL : realloc(sink->bytes, wanted);
    if (moved == NULL) {
        sink_fail(sink, HP_NO_MEMORY, ENOMEM);
        return;
    }
    sink->bytes = moved;
    sink->capacity = wanted;
}

/* False: nothing can be taken (a failure), or (descriptors) `size` is more than the whole buffer. */
static bool sink_room(hp_sink *sink, size_t size) {
    if (sink->capacity - sink->used >= size)
        return true;
    if (sink->status != HP_OK)
        return false;
    if (sink->descriptor >= 0)
        sink_drain(sink);
    else
        sink_extend(sink, size);
    return sink->status == HP_OK && sink->capacity - sink->used >= size;
}

void hp_sink_write(hp_sink *sink, const void *bytes, size_t size) {
    if (size == 0)
        return;
    if (sink_room(sink, size)) {
        memcpy(sink->bytes + sink->used, bytes, size);
        sink->used += size;
    } else if (sink->status == HP_OK) {
        sink_put(sink, bytes, size); /* drained above: order is kept */
    }
}

void hp_sink_text(hp_sink *sink, const char *text) {
    hp_sink_write(sink, text, strlen(text));
}

void hp_sink_byte(hp_sink *sink, char byte) {
    if (sink_room(sink, 1))
        sink->bytes[sink->used++] = (uint8_t)byte;
}

static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657"
    "5859606162636465666768697071727374757677787980818283848586878889909192939495969798"
    "99";

void hp_sink_u64(hp_sink *sink, uint64_t value) {
    char digits[U64_DIGITS];
    size_t at = sizeof digits;
    for (; value >= 100; value /= 100) {
        at -= 2;
        memcpy(&digits[at], &digit_pairs[value % 100 * 2], 2);
    }
    if (value >= 10) {
        at -= 2;
        memcpy(&digits[at], &digit_pairs[value * 2], 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    hp_sink_write(sink, &digits[at], sizeof digits - at);
}

void hp_sink_format(hp_sink *sink, const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0) {
        sink_fail(sink, HP_NO_MEMORY, ENOMEM);
        return;
    }
    hp_sink_write(sink, text, (size_t)size);
    free(text);
}

hp_status hp_sink_flush(hp_sink *sink, hp_error *error) {
    if (sink->descriptor >= 0)
        sink_drain(sink);
    if (sink->status != HP_OK)
        return sink->status == HP_NO_MEMORY ? hp_fail(error, HP_NO_MEMORY, 0, "not enough memory for a profile's bytes")
                                            : hp_fail(error, sink->status, sink->system, "%m");
    return HP_OK;
}

const uint8_t *hp_sink_bytes(const hp_sink *sink, size_t *size) {
    *size = sink->used;
    return sink->bytes;
}
