/* SPDX-License-Identifier: MIT */
/* A pprof file, whoever wrote it, into a tree. The fields of a profile may stand in any order, so it is gone through once for each thing
 * that refers to others: strings, functions, locations, samples. */
#include "formats/pprof/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "formats/pprof/facts.h"
#include "formats/pprof/gzip.h"
#include "formats/pprof/reading.h"

hp_status hp_pprof_no_memory(hp_pprof_reading *r) {
    return hp_fail(r->error, HP_NO_MEMORY, 0, "not enough memory to read a pprof file");
}

hp_status hp_pprof_bad(hp_pprof_reading *r, const char *what) {
    return hp_fail(r->error, HP_BAD_FORMAT, 0, "this is no sound pprof file: %s", what);
}

hp_status hp_pprof_unfolds(hp_pprof_reading *r) {
    return hp_fail(r->error, HP_BAD_FORMAT, 0,
                   "this pprof file unfolds to more than a profile of %zu bytes (before compression) would hold", r->raw_size);
}

bool hp_pprof_is(const hp_pprof_reading *r, uint64_t index, const char *text) {
    size_t size = strlen(text);
    return index < r->string_count && r->strings[index].size == size && memcmp(r->strings[index].bytes, text, size) == 0;
}

const char *hp_pprof_text_of(hp_pprof_reading *r, hp_pprof_text text) {
    const char *made = text.size == 0 ? "" : hp_reading_text(r->profile, text.bytes, text.size, &r->text_left);
    r->text_over |= made == NULL;
    return made == NULL ? "" : made;
}

static hp_status each(hp_pprof_reading *r, uint32_t number, hp_status (*take)(hp_pprof_reading *, const hp_wire_field *)) {
    hp_wire wire = {r->raw, r->raw + r->raw_size, false};
    hp_wire_field field;
    hp_status status = HP_OK;
    while (status == HP_OK && hp_wire_next(&wire, &field)) {
        if (number == 0 || (field.number == number && field.type == HP_WIRE_BYTES))
            status = take(r, &field);
    }
    if (status == HP_OK && wire.bad)
        status = hp_pprof_bad(r, "it is cut short or damaged");
    return status;
}

static hp_status take_string(hp_pprof_reading *r, const hp_wire_field *field) {
    if (!hp_pprof_may(&r->entries_left, 1))
        return hp_pprof_unfolds(r);
    hp_pprof_text *strings = hp_array_grow(r->strings, &r->string_capacity, r->string_count + 1, sizeof *strings);
    if (strings == NULL)
        return hp_pprof_no_memory(r);
    r->strings = strings;
    strings[r->string_count++] = (hp_pprof_text){field->bytes, field->size};
    return HP_OK;
}

static hp_status take_type(hp_pprof_reading *r, const hp_wire_field *field, hp_pprof_type *type) {
    hp_wire inside = hp_wire_inside(field);
    hp_wire_field part;
    *type = (hp_pprof_type){0};
    while (hp_wire_next(&inside, &part)) {
        type->type = part.number == VALUE_TYPE ? part.value : type->type;
        type->unit = part.number == VALUE_UNIT ? part.value : type->unit;
    }
    return inside.bad ? hp_pprof_bad(r, "a type of samples is malformed") : HP_OK;
}

static hp_status take_sample_type(hp_pprof_reading *r, const hp_wire_field *field) {
    if (r->type_count == HP_PPROF_TYPE_LIMIT)
        return hp_pprof_bad(r, "it declares more than 64 types of samples");
    return take_type(r, field, &r->types[r->type_count++]);
}

/* What refers to nothing. */
static hp_status take_head(hp_pprof_reading *r, const hp_wire_field *field) {
    hp_meta *meta = &r->profile->meta;
    bool inside = field->type == HP_WIRE_BYTES;
    if (field->number == PROFILE_STRING && inside)
        return take_string(r, field);
    if (field->number == PROFILE_SAMPLE_TYPE && inside)
        return take_sample_type(r, field);
    if (field->number == PROFILE_PERIOD_TYPE && inside)
        return take_type(r, field, &r->period_type);
    if (field->number == PROFILE_PERIOD)
        r->period = field->value;
    else if (field->number == PROFILE_DEFAULT_TYPE)
        r->default_type = field->value;
    else if (field->number == PROFILE_TIME_NANOS)
        meta->started_ns = (int64_t)field->value;
    else if (field->number == PROFILE_DURATION_NANOS)
        meta->duration_ns = field->value <= INT64_MAX ? field->value : 0;
    return HP_OK;
}

static hp_status check_head(hp_pprof_reading *r) {
    if (r->type_count == 0 || r->string_count == 0 || r->strings[0].size != 0)
        return hp_pprof_bad(r, "it lacks types of samples, or a table of strings that begins with \"\"");
    for (uint32_t i = 0; i < r->type_count; i++) {
        if (r->types[i].type >= r->string_count || r->types[i].unit >= r->string_count)
            return hp_pprof_bad(r, "a type of samples is no string of its table");
    }
    return HP_OK;
}

static hp_status take_fact(hp_pprof_reading *r, const hp_wire_field *field) {
    const char *text = hp_pprof_text_of(r, (hp_pprof_text){field->bytes, field->size});
    if (r->text_over || !hp_pprof_may(&r->entries_left, 1))
        return hp_pprof_unfolds(r);
    hp_status status = hp_pprof_fact_read(r->profile, text);
    return status == HP_OK ? HP_OK : hp_pprof_no_memory(r);
}

static hp_status settle(hp_pprof_reading *r) {
    char sentence[120];
    r->profile->meta.samples_kept = r->sample_sum;
    hp_status status = hp_reading_settle_threads(r->profile);
    if (status == HP_OK)
        status = each(r, PROFILE_FACT, take_fact);
    if (status == HP_OK && r->negative != 0) {
        snprintf(sentence, sizeof sentence, "%llu values in the pprof file were negative and were taken for 0",
                 (unsigned long long)r->negative);
        status = hp_profile_add_warning(r->profile, sentence);
    }
    if (status == HP_OK)
        status = hp_profile_summarize(r->profile);
    return status == HP_NO_MEMORY ? hp_pprof_no_memory(r) : status;
}

static hp_status read_raw(hp_pprof_reading *r) {
    hp_status status = each(r, 0, take_head);
    if (status == HP_OK)
        status = check_head(r);
    if (status == HP_OK)
        status = hp_pprof_choose_columns(r);
    if (status == HP_OK)
        status = each(r, PROFILE_FUNCTION, hp_pprof_take_function);
    if (status == HP_OK)
        status = each(r, PROFILE_LOCATION, hp_pprof_take_location);
    if (status == HP_OK)
        status = each(r, PROFILE_SAMPLE, hp_pprof_take_sample);
    if (status == HP_OK)
        status = settle(r);
    return status == HP_OK ? hp_profile_check(r->profile, r->error) : status;
}

static void reading_fini(hp_pprof_reading *r) {
    hp_profile_free(r->profile);
    hp_pairs_fini(&r->function_ids.places);
    hp_pairs_fini(&r->location_ids.places);
    free(r->strings);
    free(r->functions);
    free(r->first_frame);
    free(r->frames);
    free(r->thread_of);
    free(r->stack);
}

/* A file that is not compressed begins, whoever wrote it, with a type of samples: two short numbers in a message. */
bool hp_pprof_recognize(const uint8_t *bytes, size_t size) {
    enum { TYPE_SIZE = 2 * (1 + HP_VARINT_LIMIT) };
    hp_wire wire = {bytes, bytes + size, false};
    hp_wire_field field, part;
    if (hp_gzip_is(bytes, size))
        return true;
    if (!hp_wire_next(&wire, &field) || field.number != PROFILE_SAMPLE_TYPE || field.type != HP_WIRE_BYTES || field.size == 0 ||
        field.size > TYPE_SIZE)
        return false;
    hp_wire inside = hp_wire_inside(&field);
    while (hp_wire_next(&inside, &part)) {
        if ((part.number != VALUE_TYPE && part.number != VALUE_UNIT) || part.type != HP_WIRE_VARINT)
            return false;
    }
    return !inside.bad;
}

static void set_limits(hp_pprof_reading *r, size_t file_size) {
    r->entries_left = file_size > HP_PPROF_ENTRIES_FREE ? file_size : HP_PPROF_ENTRIES_FREE;
    r->text_left = HP_PPROF_TEXT_RATIO * file_size + HP_PPROF_TEXT_FREE;
    r->frames_left = 4 * (uint64_t)r->raw_size + HP_PPROF_ENTRIES_FREE;
}

hp_status hp_pprof_read(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error) {
    hp_pprof_reading r = {.error = error, .raw = bytes, .raw_size = size, .nameless = HP_PPROF_NONE};
    uint8_t *raw = NULL;
    hp_status status = HP_OK;
    if (hp_gzip_is(bytes, size)) {
        status = hp_gunzip(bytes, size, &raw, &r.raw_size, error);
        r.raw = raw;
    }
    if (status == HP_OK && hp_profile_new(&r.profile) != HP_OK)
        status = hp_pprof_no_memory(&r);
    if (status == HP_OK) {
        set_limits(&r, size);
        hp_reading_identify(r.profile, bytes, size);
        status = read_raw(&r);
    }
    if (status == HP_OK) {
        *out = r.profile;
        r.profile = NULL;
    }
    reading_fini(&r);
    free(raw);
    return status;
}
