/* SPDX-License-Identifier: MIT */
/* Rows and edges from a pstats file, whoever wrote it; there is no tree to be had. What hybridprof itself adds (the row above the threads,
 * the marker of what is estimated) is taken out again, so reading and writing in turn changes nothing. Read by what each place must
 * hold, not into objects: a file of the wrong shape fails at its first wrong byte, and memory is for rows and edges only. */
#include "formats/pstats/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "formats/pstats/marshal.h"
#include "formats/pstats/reading.h"

hp_status hp_pstats_no_memory(hp_pstats_reading *r) {
    return hp_fail(r->error, HP_NO_MEMORY, 0, "not enough memory to read a pstats file");
}

hp_status hp_pstats_bad_row(hp_pstats_reading *r, const char *what) {
    return hp_fail(r->error, HP_BAD_FORMAT, 0, "this is no pstats file: after %llu rows, at byte %zu, %s", (unsigned long long)r->rows_read,
                   r->source.at, what);
}

static hp_status take_count(hp_pstats_reading *r, uint64_t *count) {
    hp_object object;
    hp_status status = hp_unmarshal_next(&r->source, &object);
    if (status != HP_OK)
        return status;
    if (object.kind == HP_OBJECT_INT)
        *count = object.negative ? 0 : object.integer;
    else if (object.kind == HP_OBJECT_FLOAT)
        *count = !(object.number > 0) ? 0 : object.number < 1.8e19 ? (uint64_t)object.number : UINT64_MAX; /* that is refused in the end */
    else
        return hp_pstats_bad_row(r, "a number of calls is no number");
    return HP_OK;
}

/* A clock that was set back during the profile leaves small negative times behind: they count as none. */
static hp_status take_time(hp_pstats_reading *r, uint64_t *ns) {
    hp_object object;
    hp_status status = hp_unmarshal_next(&r->source, &object);
    if (status != HP_OK)
        return status;
    if (object.kind != HP_OBJECT_INT && object.kind != HP_OBJECT_FLOAT)
        return hp_pstats_bad_row(r, "a time is no number");
    if (!(object.number < 9e9 && object.number > -9e9))
        return hp_pstats_bad_row(r, "a time is not a number of seconds below 9e9");
    r->negative_times += object.number < 0;
    *ns = object.number > 0 ? (uint64_t)(object.number * 1e9 + 0.5) : 0;
    return HP_OK;
}

static hp_status take_numbers(hp_pstats_reading *r, hp_pstats_numbers *numbers) {
    hp_status status = take_count(r, &numbers->first);
    if (status == HP_OK)
        status = take_count(r, &numbers->second);
    if (status == HP_OK)
        status = take_time(r, &numbers->self_ns);
    if (status == HP_OK)
        status = take_time(r, &numbers->total_ns);
    if (numbers->total_ns < numbers->self_ns)
        numbers->total_ns = numbers->self_ns;
    return status;
}

hp_row *hp_pstats_row(hp_pstats_reading *r, uint32_t function) {
    hp_profile *profile = r->profile;
    hp_row *rows = hp_array_grow(profile->rows, &r->row_capacity, function + 1, sizeof *rows);
    if (rows == NULL)
        return NULL;
    profile->rows = rows;
    for (; profile->row_count <= function; profile->row_count++)
        rows[profile->row_count] = (hp_row){.function = profile->row_count};
    return &rows[function];
}

hp_status hp_pstats_add_edge(hp_pstats_reading *r, uint32_t caller, uint32_t callee, const hp_pstats_numbers *numbers) {
    hp_profile *profile = r->profile;
    hp_edge *edges = hp_array_grow(profile->edges, &r->edge_capacity, profile->edge_count + 1, sizeof *edges);
    if (edges == NULL)
        return hp_pstats_no_memory(r);
    profile->edges = edges;
    edges[profile->edge_count++] = (hp_edge){.caller = caller,
                                             .callee = callee,
                                             .calls = numbers->first,
                                             .primitive_calls = numbers->second,
                                             .self_sampled = numbers->self_ns,
                                             .total_sampled = numbers->total_ns};
    return HP_OK;
}

/* (calls, primitive calls, self s, total s), or a bare count as Tachyon writes it. */
static hp_status take_caller_value(hp_pstats_reading *r, hp_pstats_numbers *numbers) {
    hp_object object;
    hp_status status = hp_unmarshal_next(&r->source, &object);
    if (status != HP_OK)
        return status;
    if (object.kind == HP_OBJECT_INT && !object.negative) {
        numbers->first = numbers->second = object.integer;
        return HP_OK;
    }
    if (object.kind != HP_OBJECT_TUPLE || object.count != 4)
        return hp_pstats_bad_row(r, "a caller's value is not (calls, primitive calls, self time, total time)");
    status = take_numbers(r, numbers);
    hp_unmarshal_leave(&r->source, &object);
    return status;
}

static hp_status take_callers(hp_pstats_reading *r, uint32_t callee) {
    hp_object callers, object;
    hp_status status = hp_unmarshal_next(&r->source, &callers);
    if (status == HP_OK && callers.kind != HP_OBJECT_DICT)
        return hp_pstats_bad_row(r, "a row has no dict of callers");
    while (status == HP_OK) {
        uint32_t caller = HP_NO_FUNCTION;
        hp_pstats_numbers numbers = {0};
        status = hp_unmarshal_next(&r->source, &object);
        if (status == HP_OK && object.kind == HP_OBJECT_END)
            break;
        if (status == HP_OK)
            status = hp_pstats_take_key(r, &object, &caller);
        if (status == HP_OK)
            status = take_caller_value(r, &numbers);
        if (status == HP_OK && callee < HP_KEY_SAMPLED && caller != HP_KEY_MARKER && caller != HP_KEY_SAMPLED)
            status = hp_pstats_add_edge(r, caller == HP_KEY_ROOT ? HP_NO_FUNCTION : caller, callee, &numbers);
    }
    if (status == HP_OK)
        hp_unmarshal_leave(&r->source, &callers);
    return status;
}

static hp_status take_value(hp_pstats_reading *r, uint32_t key) {
    hp_object value;
    hp_pstats_numbers numbers = {0};
    hp_status status = hp_unmarshal_next(&r->source, &value);
    if (status == HP_OK && key == HP_KEY_SAMPLED)
        return hp_unmarshal_skip(&r->source, &value);
    if (status == HP_OK && (value.kind != HP_OBJECT_TUPLE || value.count != 5))
        return hp_pstats_bad_row(r, "a row is not (primitive calls, calls, self time, total time, callers)");
    if (status == HP_OK)
        status = take_numbers(r, &numbers);
    uint32_t edges_before = r->profile->edge_count;
    if (status == HP_OK)
        status = take_callers(r, key);
    if (status != HP_OK) {
        r->profile->edge_count = edges_before; /* half a row is none */
        return status;
    }
    hp_unmarshal_leave(&r->source, &value);
    if (key >= HP_KEY_SAMPLED)
        return HP_OK;
    hp_row *row = hp_pstats_row(r, key);
    if (row == NULL)
        return hp_pstats_no_memory(r);
    row->samples++; /* NOLINT(clang-analyzer-core.uninitialized.Assign): hp_pstats_row sets all rows up to this one */
    row->primitive_calls = hp_add_saturated(row->primitive_calls, numbers.first);
    row->calls = hp_add_saturated(row->calls, numbers.second);
    row->self_sampled = hp_add_saturated(row->self_sampled, numbers.self_ns);
    row->total_sampled = hp_add_saturated(row->total_sampled, numbers.total_ns);
    r->rows_read++;
    return HP_OK;
}

static hp_status take_rows(hp_pstats_reading *r) {
    hp_object object;
    hp_status status = hp_unmarshal_next(&r->source, &object);
    if (status == HP_OK && object.kind != HP_OBJECT_DICT)
        return hp_pstats_bad_row(r, "there is no dict");
    while (status == HP_OK) {
        uint32_t key = HP_NO_FUNCTION;
        status = hp_unmarshal_next(&r->source, &object);
        if (status == HP_OK && object.kind == HP_OBJECT_END)
            break;
        if (status == HP_OK)
            status = hp_pstats_take_key(r, &object, &key);
        if (status == HP_OK)
            status = take_value(r, key);
    }
    return status;
}

/* What a file that was cut short still holds is worth having; one that holds something else is not. */
static hp_status save(hp_pstats_reading *r) {
    char sentence[160];
    snprintf(sentence, sizeof sentence, "the pstats file was cut short after %zu bytes: the first %llu functions could be read",
             r->source.size, (unsigned long long)r->rows_read);
    return hp_profile_add_warning(r->profile, sentence);
}

static hp_status warn(hp_pstats_reading *r) {
    char sentence[160];
    hp_status status = HP_OK;
    if (r->negative_times != 0) {
        snprintf(sentence, sizeof sentence, "%llu times in the pstats file were negative and were taken for 0",
                 (unsigned long long)r->negative_times);
        status = hp_profile_add_warning(r->profile, sentence);
    }
    if (status == HP_OK && !r->source.cut_short && r->source.at < r->source.size) {
        snprintf(sentence, sizeof sentence, "%zu bytes after the end of the pstats data were ignored", r->source.size - r->source.at);
        status = hp_profile_add_warning(r->profile, sentence);
    }
    return status == HP_OK ? HP_OK : hp_pstats_no_memory(r);
}

bool hp_pstats_recognize(const uint8_t *bytes, size_t size) {
    if (size < 2 || (bytes[0] & 0x7f) != HP_MARSHAL_DICT)
        return false;
    uint8_t next = bytes[1] & 0x7f;
    return next == HP_MARSHAL_TUPLE || next == HP_MARSHAL_SMALL_TUPLE || next == HP_MARSHAL_NULL;
}

hp_status hp_pstats_read(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error) {
    hp_pstats_reading r = {.error = error};
    hp_unmarshal_init(&r.source, bytes, size, error);
    hp_status status = hp_profile_new(&r.profile);
    if (status != HP_OK) {
        status = hp_pstats_no_memory(&r);
        goto done;
    }
    hp_reading_identify(r.profile, bytes, size);
    status = take_rows(&r);
    if (status == HP_BAD_FORMAT && r.source.cut_short && r.rows_read != 0)
        status = save(&r);
    if (status == HP_OK)
        status = warn(&r);
    if (status == HP_OK)
        status = hp_pstats_settle(&r);
    if (status == HP_OK)
        status = hp_profile_check(r.profile, error);
    if (status == HP_OK) {
        *out = r.profile;
        r.profile = NULL;
    }
done:
    hp_unmarshal_fini(&r.source);
    hp_profile_free(r.profile);
    return status;
}
