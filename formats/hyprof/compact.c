/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/compact.h"

#include <errno.h>
#include <unistd.h>

#include "formats/hyprof/moments.h"

/* Chunks of fewer rows are put together: an append a second leaves many, of which each costs its header and deflates less well. Larger ones
 * are copied as they are, so that a sample is encoded anew about once in its life. */
enum { FEW_ROWS = 1 << 14 };

/* The timeline on its way. Owner: copy_timeline. */
typedef struct timeline_copy {
    hp_compact *compact;
    hp_sink *sink;
    hp_bytes bytes; /* the chunk in hand, its header too */
    hp_inflater inflater;
    hp_rows rows;
    hp_moment_writer writer;
} timeline_copy;

static hp_status cannot_read_back(hp_error *error) {
    return hp_fail(error, HP_IO, errno, "what is in it cannot be read back: %m");
}

static bool read_at(int descriptor, uint8_t *bytes, size_t size, off_t at) {
    while (size > 0) {
        ssize_t got = pread(descriptor, bytes, size, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? EIO : errno;
            return false;
        }
        bytes += got;
        size -= (size_t)got;
        at += got;
    }
    return true;
}

/* What the group has so far goes to the file: its memory is that of a chunk. */
static void pass_on(timeline_copy *copy) {
    hp_bytes *out = &copy->compact->group.out;
    hp_sink_write(copy->sink, out->data, out->size);
    copy->compact->size += (off_t)out->size;
    out->size = 0;
}

static hp_status take_rows(timeline_copy *copy, hp_error *error) {
    hp_moment_place place;
    hp_moment moment;
    hp_status status = HP_OK;
    for (uint32_t r = 0; r < copy->rows.rows && status == HP_OK; r++) {
        status = hp_moment_read(&place, &copy->rows, r, &moment, error);
        if (status == HP_OK)
            hp_moment_writer_put(&copy->writer, &moment, moment.node);
    }
    pass_on(copy);
    return status;
}

static void take_whole(timeline_copy *copy) {
    hp_moment_writer_end(&copy->writer, false);
    hp_moment_writer_begin(&copy->writer, &copy->compact->group);
    hp_bytes_add(&copy->compact->group.out, copy->bytes.data, copy->bytes.size);
    copy->compact->group.chunks++;
    pass_on(copy);
}

static hp_status take_chunk(timeline_copy *copy, off_t at, size_t size, hp_error *error) {
    const uint8_t *raw = NULL;
    hp_chunk chunk;
    copy->bytes.size = 0;
    if (!hp_bytes_reserve(&copy->bytes, size))
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory");
    if (!read_at(copy->compact->old, copy->bytes.data, size, at))
        return cannot_read_back(error);
    copy->bytes.size = size;
    if (hp_chunk_read(copy->bytes.data, size, &chunk) != HP_CHUNK_WHOLE)
        return hp_fail(error, HP_BAD_FORMAT, 0, "it was damaged by another program");
    hp_status status = hp_chunk_inflate(&chunk, &copy->inflater, &raw, error);
    if (status == HP_OK)
        status = hp_rows_read(&copy->rows, hp_layout_of(HP_CHUNK_MOMENTS), &chunk, raw, error);
    if (status == HP_OK && copy->rows.rows < FEW_ROWS)
        return take_rows(copy, error);
    if (status == HP_OK)
        take_whole(copy);
    return status;
}

static hp_status copy_chunks(timeline_copy *copy, hp_error *error) {
    uint8_t header[HP_CHUNK_HEADER_SIZE];
    hp_status status = HP_OK;
    for (off_t at = HP_FILE_HEADER_SIZE; at < copy->compact->old_size && status == HP_OK;) {
        hp_chunk chunk = {0};
        if (!read_at(copy->compact->old, header, sizeof header, at))
            return cannot_read_back(error);
        if (hp_chunk_header(header, sizeof header, &chunk) == HP_CHUNK_DAMAGED)
            return hp_fail(error, HP_BAD_FORMAT, 0, "it was damaged by another program");
        if (chunk.type == HP_CHUNK_MOMENTS)
            status = take_chunk(copy, at, HP_CHUNK_HEADER_SIZE + (size_t)chunk.size, error);
        at += HP_CHUNK_HEADER_SIZE + (off_t)chunk.size;
    }
    return status;
}

static hp_status copy_timeline(hp_compact *compact, hp_sink *sink, hp_error *error) {
    timeline_copy copy = {.compact = compact, .sink = sink};
    uint32_t before = compact->group.chunks;
    hp_moment_writer_begin(&copy.writer, &compact->group);
    hp_status status = copy_chunks(&copy, error);
    hp_moment_writer_end(&copy.writer, compact->group.chunks == before); /* an empty one tells that it was asked for */
    pass_on(&copy);
    hp_bytes_free(&copy.bytes);
    hp_inflater_fini(&copy.inflater);
    hp_rows_free(&copy.rows);
    return status;
}

hp_status hp_compact_write(hp_sink *sink, const void *what, hp_error *error) {
    hp_compact *compact = (hp_compact *)what; /* ours: whoever calls passes on what we gave */
    hp_group *group = &compact->group;
    hp_status status = HP_OK;
    compact->size = (off_t)group->out.size;
    hp_sink_write(sink, group->out.data, group->out.size);
    group->out.size = 0;
    if (compact->has_timeline)
        status = copy_timeline(compact, sink, error);
    hp_group_commit(group);
    hp_sink_write(sink, group->out.data, group->out.size);
    compact->size += (off_t)group->out.size;
    return status == HP_OK ? hp_group_status(group, error) : status;
}
