/* SPDX-License-Identifier: MIT */
/* The format as a whole: one profile to bytes, bytes to one profile. */
#include "formats/hyprof/hyprof.h"

#include <stdio.h>

#include "formats/hyprof/cursor.h"
#include "formats/hyprof/decode.h"
#include "formats/hyprof/encode.h"

/* A whole file is a stream with one append. */
static hp_status hyprof_write(hp_sink *sink, const hp_profile *profile, hp_error *error) {
    hp_encoder encoder = {0};
    hp_group group = {0};
    hp_status status = hp_encoder_init(&encoder);
    if (status != HP_OK)
        hp_fail(error, status, 0, "not enough memory to write a profile of %u nodes", profile->tree.count);
    if (status == HP_OK)
        status = hp_encoder_take(&encoder, profile, error);
    if (status == HP_OK) {
        hp_group_file_header(&group);
        hp_encoder_write(&encoder, &group);
        hp_group_end(&group);
        status = hp_group_status(&group, error);
    }
    if (status == HP_OK)
        hp_sink_write(sink, group.out.data, group.out.size);
    hp_group_free(&group);
    hp_encoder_fini(&encoder);
    return status;
}

typedef struct reader {
    const uint8_t *bytes;
    size_t size;
    size_t at; /* where the next group begins: everything before it is in the record */
    uint32_t groups;
    bool facts_only, summarize;
    hp_decoder decoder;
} reader;

typedef enum scan_result { SCAN_GROUP, SCAN_END, SCAN_NOTHING_MORE, SCAN_CUT, SCAN_DAMAGED } scan_result;

/* Commits and end marks hold two numbers. */
static bool mark_says(const hp_chunk *chunk, uint32_t first, uint32_t second) {
    hp_cursor cursor = {chunk->payload, chunk->payload + chunk->size, false};
    bool right = chunk->flags == 0 && hp_cursor_array(&cursor) >= 2 && hp_cursor_u64(&cursor) == first && hp_cursor_u64(&cursor) == second;
    return right && !cursor.bad;
}

static bool is_fact(uint16_t type) {
    return type == HP_CHUNK_META || type == HP_CHUNK_COUNTERS || type == HP_CHUNK_SOURCES;
}

static bool is_mark(uint16_t type) {
    return type == HP_CHUNK_COMMIT || type == HP_CHUNK_END;
}

/* Whoever only asks for the facts reads the rest later, or never: its checksums take longer than all else that is done with it. */
static hp_chunk_state chunk_state(const reader *in, size_t at, hp_chunk *chunk) {
    hp_chunk_state state = hp_chunk_header(in->bytes + at, in->size - at, chunk);
    bool passed_over = in->facts_only && state == HP_CHUNK_WHOLE && !is_fact(chunk->type) && !is_mark(chunk->type);
    return state != HP_CHUNK_WHOLE || passed_over || hp_chunk_payload_is_whole(chunk) ? state : HP_CHUNK_DAMAGED;
}

/* Looks for a whole group at `at` without taking anything from it. `*end`: behind the commit or end mark, or where the trouble is. */
static scan_result scan_group(const reader *in, size_t *end) {
    size_t at = in->at;
    for (uint32_t chunks = 0; at < in->size; chunks++) {
        hp_chunk chunk;
        hp_chunk_state state = chunk_state(in, at, &chunk);
        *end = at;
        if (state != HP_CHUNK_WHOLE)
            return state == HP_CHUNK_CUT ? SCAN_CUT : SCAN_DAMAGED;
        at += HP_CHUNK_HEADER_SIZE + (size_t)chunk.size;
        if (!is_mark(chunk.type))
            continue;
        bool is_end = chunk.type == HP_CHUNK_END;
        if (!mark_says(&chunk, in->groups, chunks) || (is_end && chunks > 0))
            return SCAN_DAMAGED;
        *end = at;
        return is_end ? SCAN_END : SCAN_GROUP;
    }
    *end = in->size;
    return in->at == in->size ? SCAN_NOTHING_MORE : SCAN_CUT;
}

static hp_status take_group(reader *in, size_t end, hp_error *error) {
    hp_status status = HP_OK;
    while (in->at < end && status == HP_OK) {
        hp_chunk chunk;
        if (hp_chunk_header(in->bytes + in->at, end - in->at, &chunk) != HP_CHUNK_WHOLE)
            return hp_fail(error, HP_BAD_FORMAT, 0, "the file changed while it was read");
        if (chunk.type != HP_CHUNK_COMMIT && (!in->facts_only || is_fact(chunk.type)))
            status = hp_decoder_chunk(&in->decoder, &chunk, error);
        in->at += HP_CHUNK_HEADER_SIZE + (size_t)chunk.size;
    }
    in->groups++;
    return status;
}

/* What is wrong with the end of the file, as a sentence; empty if nothing is. */
static void describe_end(const reader *in, scan_result result, size_t end, char *text, size_t room) {
    size_t left = in->size - (result == SCAN_END ? end : in->at);
    text[0] = '\0';
    if (result == SCAN_NOTHING_MORE)
        snprintf(text, room, "the file was cut short: it has no end mark, what was measured after its last write is missing");
    else if (result == SCAN_CUT)
        snprintf(text, room, "the file was cut short: its last %zu bytes are an unfinished write and were left out", left);
    else if (result == SCAN_DAMAGED)
        snprintf(text, room, "the file is damaged at byte %zu: the last %zu bytes, from the write that holds it, were left out", end, left);
    else if (left > 0)
        snprintf(text, room, "%zu bytes behind the end mark of the file were left out", left);
}

static hp_ending ending_of(scan_result result, bool trouble) {
    if (!trouble)
        return HP_ENDING_WHOLE;
    return result == SCAN_DAMAGED ? HP_ENDING_DAMAGED : result == SCAN_END ? HP_ENDING_TRAILING : HP_ENDING_CUT;
}

static hp_status nothing_to_recover(const reader *in, scan_result result, size_t end, hp_error *error) {
    if (result == SCAN_DAMAGED)
        return hp_fail(error, HP_BAD_FORMAT, 0, "damaged at byte %zu: nothing can be recovered", end);
    if (result == SCAN_END)
        return hp_fail(error, HP_BAD_FORMAT, 0, "holds no profile: it has an end mark and nothing before it");
    return hp_fail(error, HP_BAD_FORMAT, 0, "cut short at byte %zu, before its first write was finished: nothing can be recovered",
                   in->size);
}

static hp_status read_groups(reader *in, hp_profile **out, hp_error *error) {
    char trouble[160];
    size_t end = 0;
    hp_status status = HP_OK;
    scan_result result = SCAN_GROUP;
    while (status == HP_OK && (result = scan_group(in, &end)) == SCAN_GROUP)
        status = take_group(in, end, error);
    if (status == HP_OK && in->groups == 0)
        return nothing_to_recover(in, result, end, error);
    if (status == HP_OK)
        status = hp_record_finish(&in->decoder.record, in->summarize, out, error);
    if (status != HP_OK)
        return status;
    describe_end(in, result, end, trouble, sizeof trouble);
    (*out)->ending = ending_of(result, trouble[0] != '\0');
    if (trouble[0] != '\0' && hp_profile_add_warning(*out, trouble) != HP_OK) {
        hp_profile_free(*out);
        *out = NULL;
        return hp_fail(error, HP_NO_MEMORY, 0, "not enough memory for the profile in the file");
    }
    return HP_OK;
}

static hp_status read_file(reader in, hp_profile **out, hp_error *error) {
    *out = NULL;
    in.at = HP_FILE_HEADER_SIZE;
    hp_status status = hp_file_header_read(in.bytes, in.size, error);
    if (status != HP_OK)
        return status;
    status = hp_decoder_init(&in.decoder);
    in.decoder.parts_only = !in.summarize;
    if (status == HP_OK)
        status = read_groups(&in, out, error);
    else
        hp_fail(error, status, 0, "not enough memory for the profile in the file");
    hp_decoder_fini(&in.decoder);
    return status;
}

static hp_status hyprof_read(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error) {
    return read_file((reader){.bytes = bytes, .size = size, .summarize = true}, out, error);
}

hp_status hp_hyprof_read_parts(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error) {
    return read_file((reader){.bytes = bytes, .size = size}, out, error);
}

hp_status hp_hyprof_read_sources(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error) {
    return read_file((reader){.bytes = bytes, .size = size, .facts_only = true}, out, error);
}

static const char *const suffixes[] = {".hyprof", NULL};

const hp_format hp_format_hyprof = {
    .name = "hyprof",
    .suffixes = suffixes,
    .prefix = NULL,
    .readers = "hybridprof itself",
    .keeps = HP_KEEPS_ALL,
    .write = hyprof_write,
    .recognize = hp_file_header_recognize,
    .read = hyprof_read,
    .read_parts = hp_hyprof_read_parts,
    .read_sources = hp_hyprof_read_sources,
};
