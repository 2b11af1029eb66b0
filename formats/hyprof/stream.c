/* SPDX-License-Identifier: MIT */
/* A .hyprof file that grows while the program runs.
 *
 * What a crash can cost: each append is one write() of a whole group at the end of the file, so a process that is killed leaves whole
 * groups and at most one torn one, which readers leave out; no sync is needed for that, the kernel has the bytes. Against a crash of the
 * machine the file is synced when it is made, when it is closed and now and then in between, but an fsync may block for seconds behind
 * somebody else's writes: so a thread makes it, and no append waits.
 *
 * How long it grows: once what was appended is more than the profile written once (and than a floor, so that small files are left in
 * peace), the profile is written once to a temporary file that takes the place of ours as soon as it is on the disk; until then both get
 * what is appended, so that whichever a crash leaves has all. Each byte of that is paid for by a byte appended
 * since, so an append costs a constant more on average, and the file is at most twice the profile and the floor. Where this fails the old
 * file is as good as it was: it grows on, and the next try comes at twice the length. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sink.h"
#include "base/syncer.h"
#include "formats/hyprof/compact.h"
#include "formats/hyprof/encode.h"
#include "formats/hyprof/hyprof.h"

static const int64_t sync_interval_ns = INT64_C(30000000000);
static const uint64_t compact_floor = UINT64_C(1) << 20;

/* A file that says what was appended. */
typedef struct written_file {
    int descriptor; /* -1 until the first append has made the file */
    off_t length;   /* up to the last whole group */
    uint32_t groups;
    hp_encoder encoder;
} written_file;

typedef enum sync_of { OF_NOTHING, OF_FILE, OF_NEXT, OF_DROPPED } sync_of;

struct hp_hyprof_stream {
    char *path;
    written_file file;
    written_file next; /* what is to take its place; while `successor` has a name. Its descriptor is the successor's */
    hp_successor successor;
    uint64_t compact_at, floor; /* lengths past which the file is made compact */
    hp_error notice;            /* the first reason why it could not be */
    hp_syncer syncer;
    sync_of syncing;
    bool name_is_new;  /* the disk may not have the file under its name */
    int sync_failure;  /* errno: for the next append to say */
    int64_t synced_ns; /* when that was last begun */
    bool met;          /* whether the name led to a file when the stream was opened, */
    dev_t met_device;  /* and to which: that one may be replaced */
    ino_t met_inode;
    pid_t owner; /* a forked child has a copy of all this and must not write */
    bool lost;   /* the file cannot be gone on with: `failure` says why, each append says it again */
    hp_error failure;
    hp_group group; /* kept for its deflater; `out` is empty between appends */
};

static void drop_next(hp_hyprof_stream *stream) {
    hp_successor_drop(&stream->successor, stream->owner == getpid());
    hp_encoder_fini(&stream->next.encoder);
    stream->next = (written_file){.descriptor = -1};
    if (stream->syncing == OF_NEXT) /* and what comes back from that is nobody's */
        stream->syncing = OF_DROPPED;
}

static void stream_free(hp_hyprof_stream *stream) {
    drop_next(stream);
    hp_syncer_forget(&stream->syncer);
    if (stream->file.descriptor >= 0)
        close(stream->file.descriptor);
    hp_group_free(&stream->group);
    hp_encoder_fini(&stream->file.encoder);
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
    stream->file.descriptor = stream->next.descriptor = -1;
    stream->owner = getpid();
    stream->floor = compact_floor;
    stream->path = strdup(path);
    if (hp_encoder_init(&stream->file.encoder) != HP_OK || stream->path == NULL) {
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
    hp_status status = hp_write_unsynced(stream->path, write_group, &stream->group, error);
    if (status != HP_OK)
        return status;
    stream->name_is_new = true;
    stream->file.descriptor = open(stream->path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (stream->file.descriptor < 0)
        return stream_error(stream, error);
    if (fstat(stream->file.descriptor, &file) == 0 && S_ISREG(file.st_mode) && (size_t)file.st_size == stream->group.out.size)
        return HP_OK;
    close(stream->file.descriptor);
    stream->file.descriptor = -1;
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
    written_file *ours = &stream->file;
    struct stat file;
    if (fstat(ours->descriptor, &file) != 0)
        return stream_error(stream, error);
    if (file.st_nlink == 0)
        return stream_lose(stream, error, 0, "was removed while the program runs");
    if (file.st_size < ours->length)
        return stream_lose(stream, error, 0, "was cut by another program");
    if (write_at(ours->descriptor, stream->group.out.data, stream->group.out.size, ours->length))
        return HP_OK;
    hp_status status = stream_error(stream, error);
    /* Half a group would hide all later ones from readers. */
    if (ftruncate(ours->descriptor, ours->length) != 0)
        return stream_lose(stream, error, errno, "could not be written whole, nor cut back");
    return status;
}

static void empty_group(hp_hyprof_stream *stream) {
    hp_bytes_free(&stream->group.out);
    stream->group.chunks = 0;
    stream->group.failed = stream->group.too_long = false;
}

static hp_status stream_put(hp_hyprof_stream *stream, hp_error *error) {
    hp_status status = hp_group_status(&stream->group, error);
    if (status == HP_OK)
        status = stream->file.descriptor < 0 ? stream_create(stream, error) : stream_extend(stream, error);
    if (status == HP_OK)
        stream->file.length += (off_t)stream->group.out.size;
    empty_group(stream);
    return status;
}

/* `base`: what the next compact file will have at least. */
static void plan_compaction(hp_hyprof_stream *stream, uint64_t base) {
    uint64_t more = base > stream->floor ? base : stream->floor;
    uint64_t length = (uint64_t)stream->file.length;
    stream->compact_at = length > UINT64_MAX - more ? UINT64_MAX : length + more;
}

/* Where there is a timeline its chunks are taken over as they are, so what they refer to keeps its ids. */
static hp_status begin_compact(const hp_hyprof_stream *stream, hp_encoder *encoder) {
    hp_status status = hp_encoder_init(encoder);
    encoder->has_timeline = encoder->moments_elsewhere = stream->file.encoder.has_timeline;
    if (status == HP_OK && encoder->has_timeline)
        status = hp_encoder_number_as(encoder, &stream->file.encoder);
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
    if (status != HP_OK)
        return status;
    return hp_successor_write(&stream->successor, stream->path, stream->file.descriptor, hp_compact_write, compact, error);
}

static void note_compaction_failure(hp_hyprof_stream *stream, const hp_error *error) {
    if (stream->notice.status == HP_OK)
        hp_fail(&stream->notice, error->status, error->system, "%s grows on, as it could not be made compact: %s", stream->path,
                error->text);
    plan_compaction(stream, (uint64_t)stream->file.length);
    drop_next(stream);
}

static void begin_next(hp_hyprof_stream *stream, const hp_profile *profile) {
    hp_encoder *encoder = &stream->next.encoder;
    hp_compact compact = {
        .old = stream->file.descriptor, .old_size = stream->file.length, .has_timeline = stream->file.encoder.has_timeline};
    hp_error error = {0};
    if (write_compact(stream, encoder, &compact, profile, &error) == HP_OK) {
        hp_encoder_written(encoder);
        encoder->moments_elsewhere = false;
        stream->next.descriptor = stream->successor.descriptor;
        stream->next.length = compact.size;
        stream->next.groups = 1;
    } else {
        note_compaction_failure(stream, &error);
    }
    hp_group_free(&compact.group);
}

/* What the file has been given already. Where that fails the file is as good as before. */
static void append_to_next(hp_hyprof_stream *stream, const hp_profile *profile) {
    written_file *next = &stream->next;
    hp_error error = {0};
    hp_status status = hp_encoder_take(&next->encoder, profile, &error);
    stream->group.groups = next->groups;
    if (status == HP_OK)
        hp_encoder_write(&next->encoder, &stream->group);
    if (status == HP_OK)
        status = hp_group_status(&stream->group, &error);
    if (status == HP_OK && !write_at(next->descriptor, stream->group.out.data, stream->group.out.size, next->length))
        status = stream_error(stream, &error);
    if (status == HP_OK) {
        hp_encoder_written(&next->encoder);
        next->length += (off_t)stream->group.out.size;
        next->groups++;
    } else {
        note_compaction_failure(stream, &error);
    }
    empty_group(stream);
}

/* It is on the disk, up to what was appended since. */
static void finish_next(hp_hyprof_stream *stream, int failure) {
    hp_error error = {0};
    errno = failure;
    hp_status status = failure != 0 ? stream_error(stream, &error) : HP_OK;
    if (status == HP_OK)
        status = hp_successor_take_place(&stream->successor, stream->path, &stream->file.descriptor, &error);
    if (status != HP_OK) {
        note_compaction_failure(stream, &error);
        return;
    }
    hp_encoder_fini(&stream->file.encoder);
    stream->file = stream->next;
    stream->next = (written_file){.descriptor = -1};
    stream->name_is_new = true;
    plan_compaction(stream, (uint64_t)stream->file.length);
}

/* What the sync that has ended was for. */
static void take_sync(hp_hyprof_stream *stream) {
    sync_of what = stream->syncing;
    int failure = hp_syncer_end(&stream->syncer);
    stream->syncing = OF_NOTHING;
    if (what == OF_NEXT)
        finish_next(stream, failure);
    else if (what == OF_FILE && failure != 0)
        stream->sync_failure = failure;
}

static void begin_sync(hp_hyprof_stream *stream) {
    bool has_next = stream->successor.name != NULL, is_new = stream->name_is_new;
    int64_t now = hp_now_ns();
    if (!has_next && !is_new && now - stream->synced_ns < sync_interval_ns)
        return;
    stream->syncing = has_next ? OF_NEXT : OF_FILE;
    hp_syncer_begin(&stream->syncer, has_next ? stream->next.descriptor : stream->file.descriptor,
                    has_next || is_new ? stream->path : NULL);
    if (has_next)
        return;
    stream->name_is_new = false;
    stream->synced_ns = now;
}

static void look_after_syncs(hp_hyprof_stream *stream) {
    if (hp_syncer_busy(&stream->syncer))
        return;
    take_sync(stream);
    begin_sync(stream);
}

void hp_hyprof_rest(hp_hyprof_stream *stream, int milliseconds) {
    if (stream->owner != getpid() || stream->file.descriptor < 0)
        return;
    while (stream->syncing != OF_NOTHING && hp_syncer_wait(&stream->syncer, milliseconds))
        look_after_syncs(stream);
}

void hp_hyprof_compact_above(hp_hyprof_stream *stream, uint64_t bytes) {
    stream->floor = bytes;
    if (stream->file.groups > 0)
        plan_compaction(stream, (uint64_t)stream->file.length);
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

static hp_status append_to_file(hp_hyprof_stream *stream, const hp_profile *profile, hp_error *error) {
    written_file *file = &stream->file;
    hp_status status = hp_encoder_take(&file->encoder, profile, error);
    if (status != HP_OK)
        return status;
    stream->group.groups = file->groups; /* a group that was never written does not count */
    if (file->descriptor < 0)
        hp_group_file_header(&stream->group);
    hp_encoder_write(&file->encoder, &stream->group);
    status = stream_put(stream, error);
    if (status != HP_OK)
        return status;
    hp_encoder_written(&file->encoder);
    if (file->groups++ == 0)
        plan_compaction(stream, (uint64_t)file->length);
    return HP_OK;
}

static hp_status say_sync_failure(hp_hyprof_stream *stream, hp_error *error) {
    errno = stream->sync_failure;
    stream->sync_failure = 0;
    return errno == 0 ? HP_OK : stream_error(stream, error);
}

hp_status hp_hyprof_append(hp_hyprof_stream *stream, const hp_profile *profile, hp_error *error) {
    hp_status status = stream_usable(stream, error);
    if (status == HP_OK)
        status = append_to_file(stream, profile, error);
    if (status != HP_OK)
        return status;
    if (stream->successor.name != NULL)
        append_to_next(stream, profile);
    else if ((uint64_t)stream->file.length > stream->compact_at)
        begin_next(stream, profile);
    look_after_syncs(stream);
    return say_sync_failure(stream, error);
}

static hp_status stream_complete(hp_hyprof_stream *stream, hp_error *error) {
    hp_status status = stream_usable(stream, error);
    if (status != HP_OK)
        return status;
    stream->group.groups = stream->file.groups;
    hp_group_end(&stream->group);
    return stream_put(stream, error);
}

/* Here, at last, it is waited for: what comes back from a close is on the disk. */
static hp_status sync_at_the_end(hp_hyprof_stream *stream, hp_error *error) {
    int failure = hp_sync(stream->file.descriptor);
    if (stream->name_is_new)
        hp_sync_folder(stream->path);
    stream->sync_failure = failure != 0 ? failure : stream->sync_failure;
    return say_sync_failure(stream, error);
}

static void keep_first(hp_status *status, hp_error *error, hp_status other, const hp_error *why) {
    if (*status == HP_OK && other != HP_OK)
        *status = hp_fail(error, other, why->system, "%s", why->text);
}

/* A successor that is waiting for the disk takes its place first: what it waits for is what we wait for. */
static hp_status close_file(hp_hyprof_stream *stream, bool complete, hp_error *error) {
    hp_error second = {0};
    if (stream->syncing != OF_NOTHING)
        take_sync(stream);
    hp_status status = complete ? stream_complete(stream, error) : HP_OK;
    keep_first(&status, error, sync_at_the_end(stream, &second), &second);
    if (close(stream->file.descriptor) != 0 && status == HP_OK)
        status = stream_error(stream, error);
    stream->file.descriptor = -1;
    return status;
}

hp_status hp_hyprof_close(hp_hyprof_stream *stream, bool complete, hp_error *error) {
    hp_status status = HP_OK;
    if (stream == NULL)
        return HP_OK;
    if (stream->file.descriptor >= 0 && stream->owner == getpid())
        status = close_file(stream, complete, error);
    else if (stream->file.descriptor >= 0 && complete)
        status = stream_usable(stream, error);
    stream_free(stream);
    return status;
}
