/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/chunk.h"

#include <msgpack.h>

/* Like PNG's: a byte above 127 finds 7-bit channels, CR LF and LF find line-end conversion, 0x1a stops `type` on a terminal. */
static const uint8_t magic[8] = {0x89, 'H', 'Y', 'P', '\r', '\n', 0x1a, '\n'};

static void put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, value & 0xffff);
    put16(at + 2, value >> 16);
}

static uint16_t get16(const uint8_t *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}
static uint32_t get32(const uint8_t *at) {
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static uint32_t checksum(const uint8_t *bytes, size_t size) {
    return (uint32_t)crc32_z(crc32(0, NULL, 0), bytes, size);
}

void hp_group_file_header(hp_group *group) {
    uint8_t header[HP_FILE_HEADER_SIZE];
    memcpy(header, magic, sizeof magic);
    put16(header + 8, HP_HYPROF_MAJOR);
    put16(header + 10, HP_HYPROF_MINOR);
    put32(header + 12, checksum(header, 12));
    hp_bytes_add(&group->out, header, sizeof header);
}

/* Level 1: measured on a tree of 324,000 nodes, level 6 saves 4 % of the file and takes twice as long, level 9 saves 5 % and takes thirteen
 * times as long. */
static bool group_deflater(hp_group *group) {
    if (group->deflating)
        return deflateReset(&group->deflate) == Z_OK;
    group->deflate = (z_stream){0};
    group->deflating = deflateInit(&group->deflate, 1) == Z_OK;
    return group->deflating;
}

/* Times are nearly random: of the counts that one append has, 500 bytes of which zlib saves 7 %, inflating would take longer than all else
 * that a reader does with them. So they stay as they are unless an eighth is saved, and such a file is 3 % larger and read in two thirds of
 * the time. */
enum { LEAST_SAVED = 8 };

/* Deflates behind out.size + header. Returns the size, or 0 where storing is better or demanded by the limits. */
static uint32_t group_deflate(hp_group *group, const void *raw, uint32_t raw_size, uint32_t rows) {
    uint32_t room = raw_size - raw_size / LEAST_SAVED;
    if (raw_size < 48 || !group_deflater(group))
        return 0;
    group->deflate.next_in = (z_const Bytef *)raw;
    group->deflate.avail_in = raw_size;
    group->deflate.next_out = group->out.data + group->out.size + HP_CHUNK_HEADER_SIZE;
    group->deflate.avail_out = room;
    if (deflate(&group->deflate, Z_FINISH) != Z_STREAM_END)
        return 0;
    uint32_t size = room - group->deflate.avail_out;
    return size < rows || raw_size / size >= HP_CHUNK_RATIO_LIMIT ? 0 : size;
}

void hp_group_chunk(hp_group *group, uint16_t type, const void *raw, size_t raw_size, uint32_t rows) {
    group->too_long |= raw_size > HP_CHUNK_RAW_LIMIT;
    if (group->too_long || !hp_bytes_reserve(&group->out, HP_CHUNK_HEADER_SIZE + raw_size))
        return;
    uint8_t *header = group->out.data + group->out.size;
    uint32_t size = group_deflate(group, raw, (uint32_t)raw_size, rows);
    uint16_t flags = size == 0 ? 0 : HP_CHUNK_DEFLATED;
    if (size == 0) {
        size = (uint32_t)raw_size;
        memcpy(header + HP_CHUNK_HEADER_SIZE, raw, raw_size);
    }
    put16(header, type);
    put16(header + 2, flags);
    put32(header + 4, size);
    put32(header + 8, (uint32_t)raw_size);
    put32(header + 12, checksum(header + HP_CHUNK_HEADER_SIZE, size));
    put32(header + 16, checksum(header, 16));
    group->out.size += HP_CHUNK_HEADER_SIZE + size;
    group->chunks++;
}

static void group_mark(hp_group *group, uint16_t type, uint32_t first, uint32_t second) {
    hp_bytes raw = {0};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &raw, hp_bytes_pack);
    msgpack_pack_array(&packer, 2);
    msgpack_pack_uint32(&packer, first);
    msgpack_pack_uint32(&packer, second);
    if (raw.failed)
        group->failed = true;
    else
        hp_group_chunk(group, type, raw.data, raw.size, 0);
    hp_bytes_free(&raw);
}

void hp_group_commit(hp_group *group) {
    group_mark(group, HP_CHUNK_COMMIT, group->groups, group->chunks);
    group->groups++;
    group->chunks = 0;
}

void hp_group_end(hp_group *group) {
    group_mark(group, HP_CHUNK_END, group->groups, 0);
}

hp_status hp_group_status(const hp_group *group, hp_error *error) {
    if (group->too_long)
        return hp_fail(error, HP_BAD_VALUE, 0, "the profile holds a text of more than %d bytes, the most that a .hyprof file can hold",
                       HP_CHUNK_RAW_LIMIT);
    if (group->failed || group->out.failed)
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to write the profile");
    return HP_OK;
}

void hp_group_free(hp_group *group) {
    if (group->deflating)
        deflateEnd(&group->deflate);
    hp_bytes_free(&group->out);
    *group = (hp_group){0};
}

bool hp_file_header_recognize(const uint8_t *bytes, size_t size) {
    return size >= 4 && (bytes[0] & 0x7f) == (magic[0] & 0x7f) && memcmp(bytes + 1, magic + 1, 3) == 0;
}

hp_status hp_file_header_read(const uint8_t *bytes, size_t size, hp_error *error) {
    if (!hp_file_header_recognize(bytes, size))
        return hp_fail(error, HP_BAD_FORMAT, 0, "not a .hyprof file: it does not begin with the bytes 89 48 59 50 (\\x89HYP)");
    if (size < HP_FILE_HEADER_SIZE)
        return hp_fail(error, HP_BAD_FORMAT, 0, "cut short: %zu bytes are left of the file, its header alone has %d", size,
                       HP_FILE_HEADER_SIZE);
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return hp_fail(error, HP_BAD_FORMAT, 0,
                       "damaged by a transfer that took it for text (line ends or high bits were changed): copy it in binary mode");
    if (get32(bytes + 12) != checksum(bytes, 12))
        return hp_fail(error, HP_BAD_FORMAT, 0, "damaged: the checksum of the file header is wrong");
    if (get16(bytes + 8) != HP_HYPROF_MAJOR)
        return hp_fail(error, HP_UNSUPPORTED, 0,
                       "written in version %u.%u of the .hyprof format; this hybridprof reads version %d: read it with a newer one",
                       get16(bytes + 8), get16(bytes + 10), HP_HYPROF_MAJOR);
    return HP_OK;
}

hp_chunk_state hp_chunk_header(const uint8_t *bytes, size_t size, hp_chunk *chunk) {
    if (size < HP_CHUNK_HEADER_SIZE)
        return HP_CHUNK_CUT;
    if (get32(bytes + 16) != checksum(bytes, 16))
        return HP_CHUNK_DAMAGED;
    *chunk = (hp_chunk){get16(bytes), get16(bytes + 2), get32(bytes + 4), get32(bytes + 8), bytes + HP_CHUNK_HEADER_SIZE};
    return chunk->size > size - HP_CHUNK_HEADER_SIZE ? HP_CHUNK_CUT : HP_CHUNK_WHOLE;
}

bool hp_chunk_payload_is_whole(const hp_chunk *chunk) {
    return get32(chunk->payload - HP_CHUNK_HEADER_SIZE + 12) == checksum(chunk->payload, chunk->size);
}

hp_chunk_state hp_chunk_read(const uint8_t *bytes, size_t size, hp_chunk *chunk) {
    hp_chunk_state state = hp_chunk_header(bytes, size, chunk);
    return state == HP_CHUNK_WHOLE && !hp_chunk_payload_is_whole(chunk) ? HP_CHUNK_DAMAGED : state;
}

/* zlib has a fast loop and a slow one, which takes over where less than the longest match (258 bytes) is left of the room: the last 258
 * bytes of each stream, and so all of a small one. With that much more room the slow loop has only the last bytes of the input. */
enum { SPARE_ROOM = 258 + 1 };

/* The payload's checksum is of the bytes as they are in the file: once those are right, zlib's own sum of what they inflate to tells
 * nothing more, and is left out. */
static int inflate_begin(hp_inflater *inflater) {
    if (inflater->ready)
        return inflateReset(&inflater->stream);
    int result = inflateInit(&inflater->stream);
    inflater->ready = result == Z_OK;
    return result == Z_OK ? inflateValidate(&inflater->stream, 0) : result;
}

/* Z_FINISH says that there is room for all of it: then nothing is copied into a window. */
static int inflate_whole(hp_inflater *inflater, const hp_chunk *chunk, uint32_t room) {
    z_stream *stream = &inflater->stream;
    int result = inflate_begin(inflater);
    if (result != Z_OK)
        return result;
    stream->next_in = (z_const Bytef *)chunk->payload;
    stream->avail_in = chunk->size;
    stream->next_out = inflater->room.data;
    stream->avail_out = room;
    return inflate(stream, Z_FINISH);
}

hp_status hp_chunk_inflate(const hp_chunk *chunk, hp_inflater *inflater, const uint8_t **raw, hp_error *error) {
    bool deflated = (chunk->flags & HP_CHUNK_DEFLATED) != 0;
    if (chunk->raw_size > HP_CHUNK_RAW_LIMIT || (!deflated && chunk->raw_size != chunk->size) ||
        chunk->raw_size > (uint64_t)chunk->size * HP_CHUNK_RATIO_LIMIT)
        return hp_fail(error, HP_BAD_FORMAT, 0, "a chunk of type %u says that its %u bytes stand for %u: more than the format allows",
                       chunk->type, chunk->size, chunk->raw_size);
    *raw = chunk->payload;
    if (!deflated)
        return HP_OK;
    inflater->room.size = 0;
    uint32_t room = chunk->raw_size + SPARE_ROOM;
    int result = hp_bytes_reserve(&inflater->room, room) ? inflate_whole(inflater, chunk, room) : Z_MEM_ERROR;
    if (result == Z_MEM_ERROR)
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory to inflate a chunk of %u bytes", chunk->raw_size);
    if (result != Z_STREAM_END || inflater->stream.avail_out != SPARE_ROOM) /* shorter or longer than it says */
        return hp_fail(error, HP_BAD_FORMAT, 0, "a chunk of type %u does not inflate to the %u bytes it says", chunk->type,
                       chunk->raw_size);
    *raw = inflater->room.data;
    return HP_OK;
}

void hp_inflater_fini(hp_inflater *inflater) {
    if (inflater->ready)
        inflateEnd(&inflater->stream);
    hp_bytes_free(&inflater->room);
    *inflater = (hp_inflater){0};
}
