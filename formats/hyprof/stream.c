/* SPDX-License-Identifier: MIT */
/* A .hyprof file that grows while the program runs.
 *
 * What a crash can cost: each append is one write() of a whole group at the end of the file, so a process that is killed leaves whole
 * groups and at most one torn one, which readers leave out; no sync is needed for that, the kernel has the bytes. Against a crash of the
 * machine the file is synced when it is made, when it is closed and now and then in between, never at each append: an fdatasync may block
 * for seconds behind somebody else's writes.
 *
 * How long it grows: once what was appended is more than the profile written once (and than a floor, so that small files are left in
 * peace), the profile is written once to a temporary file that takes the place of ours. Each byte of that is paid for by a byte appended
 * since, so an append costs a constant more on average, and the file is at most twice the profile and the floor. Where this fails the old
 * file is as good as it was: it grows on, and the next try comes at twice the length. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "formats/hyprof/compact.h"
#include "formats/hyprof/encode.h"
#include "formats/hyprof/hyprof.h"

static const int64_t sync_interval_ns = INT64_C(30000000000);
static const uint64_t compact_floor = UINT64_C(1) << 20;

struct hp_hyprof_stream {
    char *path;
    int descriptor;             /* -1 until the first append has made the file */
    off_t length;               /* up to the last whole group */
    uint64_t compact_at, floor; /* lengths past which the file is made compact */
    hp_error notice;            /* the first reason why it could not be */
    int64_t synced_ns;
    bool met;         /* whether the name led to a file when the stream was opened, */
    dev_t met_device; /* and to which: that one may be replaced */
    ino_t met_inode;
    pid_t owner; /* a forked child has a copy of all this and must not write */
    bool lost;   /* the file cannot be gone on with: `failure` says why, each append says it again */
    hp_error failure;
    uint32_t groups;
    hp_encoder encoder;
    hp_group group; /* kept for its deflater; `out` is empty between appends */
};

static void stream_free(hp_hyprof_stream *stream) {
    if (stream->descriptor >= 0)
        close(stream->descriptor);
    hp_group_free(&stream->group);
    hp_encoder_fini(&stream->encoder);
    free(stream->path);
    free(stream);
}

static void note_met(hp_hyprof_stream *stream) {
    struct stat file;
    stream->met = stat(stream->path, &file) == 0;
    stream->met_device = stream->met ? file.st_dev : 0;
    stream->met_inode = stream->met ? file.st_ino : 0;
}

/* A file that came up since is another program's, which may be writing it. */
static bool is_anothers(const hp_hyprof_stream *stream, const struct stat *file) {
    return !stream->met || file->st_dev != stream->met_device || file->st_ino != stream->met_inode;
}

hp_status hp_hyprof_open(hp_hyprof_stream **out, const char *path, hp_error *error) {
    hp_hyprof_stream *stream = calloc(1, sizeof *stream);
    *out = NULL;
    if (stream == NULL)
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to write %s", path);
    stream->descriptor = -1;
    stream->owner = getpid();
    stream->floor = compact_floor;
    stream->path = strdup(path);
    if (hp_encoder_init(&stream->encoder) != HP_OK || stream->path == NULL) {
        stream_free(stream);
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to write %s", path);
    }
    note_met(stream);
    *out = stream;
    return HP_OK;
}

static hp_status stream_error(const hp_hyprof_stream *stream, hp_error *error) {
    return hp_fail(error, HP_IO, errno, "cannot write %s: %m", stream->path);
}

/* From now on each append fails with the same sentence. */
static hp_status stream_lose(hp_hyprof_stream *stream, hp_error *error, int system, const char *what) {
    stream->lost = true;
    hp_fail(&stream->failure, HP_IO, system, "%s %s: what is measured from now on is not in it", stream->path, what);
    return hp_fail(error, HP_IO, system, "%s", stream->failure.text);
}

static hp_status write_group(hp_sink *sink, const void *what, hp_error *error) {
    const hp_group *group = what;
    (void)error; /* the sink remembers its own failures */
    hp_sink_write(sink, group->out.data, group->out.size);
    return HP_OK;
}

/* The first group goes to a temporary file that takes the place of `path`; then the file is opened to be gone on with. */
static hp_status stream_create(hp_hyprof_stream *stream, hp_error *error) {
    struct stat file;
    bool exists = stat(stream->path, &file) == 0;
    if (exists && is_anothers(stream, &file))
        return stream_lose(stream, error, 0, "is another program's by now");
    if (exists && !S_ISREG(file.st_mode))
        return hp_fail(error, HP_BAD_VALUE, 0, "%s is not a regular file: only such a one can be written while the program runs",
                       stream->path);
    hp_sweep_leftovers(stream->path);
    hp_status status = hp_write_atomically(stream->path, write_group, &stream->group, error);
    if (status != HP_OK)
        return status;
    stream->descriptor = open(stream->path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (stream->descriptor < 0)
        return stream_error(stream, error);
    stream->synced_ns = hp_now_ns();
    if (fstat(stream->descriptor, &file) == 0 && S_ISREG(file.st_mode) && (size_t)file.st_size == stream->group.out.size)
        return HP_OK;
    close(stream->descriptor);
    stream->descriptor = -1;
    return hp_fail(error, HP_IO, 0, "%s was replaced by something else while it was written", stream->path);
}

/* pwrite: where a failed append was cut off, the next one must not leave a hole. */
static bool write_at(int descriptor, const uint8_t *bytes, size_t size, off_t at) {
    while (size > 0) {
        ssize_t written = pwrite(descriptor, bytes, size, at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            errno = written == 0 ? EIO : errno;
            return false;
        }
        bytes += written;
        size -= (size_t)written;
        at += written;
    }
    return true;
}

static hp_status stream_extend(hp_hyprof_stream *stream, hp_error *error) {
    struct stat file;
    if (fstat(stream->descriptor, &file) != 0)
        return stream_error(stream, error);
    if (file.st_nlink == 0)
        return stream_lose(stream, error, 0, "was removed while the program runs");
    if (file.st_size < stream->length)
        return stream_lose(stream, error, 0, "was cut by another program");
    if (write_at(stream->descriptor, stream->group.out.data, stream->group.out.size, stream->length))
        return HP_OK;
    hp_status status = stream_error(stream, error);
    /* Half a group would hide all later ones from readers. */
    if (ftruncate(stream->descriptor, stream->length) != 0)
        return stream_lose(stream, error, errno, "could not be written whole, nor cut back");
    return status;
}

static hp_status stream_put(hp_hyprof_stream *stream, hp_error *error) {
    hp_status status = hp_group_status(&stream->group, error);
    if (status == HP_OK)
        status = stream->descriptor < 0 ? stream_create(stream, error) : stream_extend(stream, error);
    if (status == HP_OK)
        stream->length += (off_t)stream->group.out.size;
    hp_bytes_free(&stream->group.out);
    stream->group.chunks = 0;
    stream->group.failed = stream->group.too_long = false;
    return status;
}

/* Some file systems know no fsync: then there is nothing more to be had. */
static bool stream_sync(hp_hyprof_stream *stream) {
    stream->synced_ns = hp_now_ns();
    return fdatasync(stream->descriptor) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
}

/* `base`: what the next compact file will have at least. */
static void plan_compaction(hp_hyprof_stream *stream, uint64_t base) {
    uint64_t more = base > stream->floor ? base : stream->floor;
    stream->compact_at = (uint64_t)stream->length > UINT64_MAX - more ? UINT64_MAX : (uint64_t)stream->length + more;
}

/* Where there is a timeline its chunks are taken over as they are, so what they refer to keeps its ids. */
static hp_status begin_compact(const hp_hyprof_stream *stream, hp_encoder *encoder) {
    hp_status status = hp_encoder_init(encoder);
    encoder->has_timeline = encoder->moments_elsewhere = stream->encoder.has_timeline;
    if (status == HP_OK && encoder->has_timeline)
        status = hp_encoder_number_as(encoder, &stream->encoder);
    return status;
}

/* By an encoder that knows nothing yet; the old one goes on if this comes to nothing. What is absent is left behind with it. */
static hp_status write_compact(hp_hyprof_stream *stream, hp_encoder *encoder, hp_compact *compact, const hp_profile *profile,
                               hp_error *error) {
    hp_status status = begin_compact(stream, encoder);
    if (status != HP_OK)
        return hp_fail(error, status, 0, "not enough memory");
    status = hp_encoder_take(encoder, profile, error);
    if (status != HP_OK)
        return status;
    hp_group_file_header(&compact->group);
    hp_encoder_write_open(encoder, &compact->group);
    status = hp_group_status(&compact->group, error);
    return status == HP_OK ? hp_rewrite_file(stream->path, &stream->descriptor, hp_compact_write, compact, error) : status;
}

static void note_compaction_failure(hp_hyprof_stream *stream, const hp_error *error) {
    if (stream->notice.status == HP_OK)
        hp_fail(&stream->notice, error->status, error->system, "%s grows on, as it could not be made compact: %s", stream->path,
                error->text);
    plan_compaction(stream, (uint64_t)stream->length);
}

static void stream_compact(hp_hyprof_stream *stream, const hp_profile *profile) {
    hp_encoder encoder = {0};
    hp_compact compact = {.old = stream->descriptor, .old_size = stream->length, .has_timeline = stream->encoder.has_timeline};
    hp_error error = {0};
    if (write_compact(stream, &encoder, &compact, profile, &error) == HP_OK) {
        hp_encoder before = stream->encoder;
        hp_encoder_written(&encoder);
        stream->encoder = encoder;
        encoder = before;
        encoder.moments_elsewhere = stream->encoder.moments_elsewhere = false;
        stream->length = compact.size;
        stream->groups = 1;
        stream->synced_ns = hp_now_ns();
        plan_compaction(stream, (uint64_t)stream->length);
    } else {
        note_compaction_failure(stream, &error);
    }
    hp_group_free(&compact.group);
    hp_encoder_fini(&encoder);
}

void hp_hyprof_compact_above(hp_hyprof_stream *stream, uint64_t bytes) {
    stream->floor = bytes;
    if (stream->groups > 0)
        plan_compaction(stream, (uint64_t)stream->length);
}

const char *hp_hyprof_notice(const hp_hyprof_stream *stream) {
    return stream->notice.text;
}

static hp_status stream_usable(const hp_hyprof_stream *stream, hp_error *error) {
    if (stream->owner != getpid())
        return hp_fail(error, HP_UNSUPPORTED, 0, "%s belongs to process %ld: a forked child must open a file of its own", stream->path,
                       (long)stream->owner);
    return stream->lost ? hp_fail(error, HP_IO, stream->failure.system, "%s", stream->failure.text) : HP_OK;
}

hp_status hp_hyprof_append(hp_hyprof_stream *stream, const hp_profile *profile, hp_error *error) {
    hp_status status = stream_usable(stream, error);
    if (status == HP_OK)
        status = hp_encoder_take(&stream->encoder, profile, error);
    if (status != HP_OK)
        return status;
    stream->group.groups = stream->groups; /* a group that was never written does not count */
    if (stream->descriptor < 0)
        hp_group_file_header(&stream->group);
    hp_encoder_write(&stream->encoder, &stream->group);
    status = stream_put(stream, error);
    if (status != HP_OK)
        return status;
    hp_encoder_written(&stream->encoder);
    if (stream->groups++ == 0)
        plan_compaction(stream, (uint64_t)stream->length);
    else if ((uint64_t)stream->length > stream->compact_at)
        stream_compact(stream, profile);
    if (hp_now_ns() - stream->synced_ns >= sync_interval_ns && !stream_sync(stream))
        return stream_error(stream, error);
    return HP_OK;
}

static hp_status stream_complete(hp_hyprof_stream *stream, hp_error *error) {
    hp_status status = stream_usable(stream, error);
    if (status != HP_OK)
        return status;
    stream->group.groups = stream->groups;
    hp_group_end(&stream->group);
    return stream_put(stream, error);
}

hp_status hp_hyprof_close(hp_hyprof_stream *stream, bool complete, hp_error *error) {
    hp_status status = HP_OK;
    if (stream == NULL)
        return HP_OK;
    if (stream->descriptor >= 0 && complete)
        status = stream_complete(stream, error);
    if (stream->descriptor >= 0 && stream->owner == getpid()) {
        if (!stream_sync(stream) && status == HP_OK)
            status = stream_error(stream, error);
        if (close(stream->descriptor) != 0 && status == HP_OK)
            status = stream_error(stream, error);
        stream->descriptor = -1;
    }
    stream_free(stream);
    return status;
}
