/* SPDX-License-Identifier: MIT */
/* {(file, line, name): (primitive calls, calls, self s, total s, {caller key: (calls, primitive calls, self s, total s)})}: in a caller the
 * two counts stand the other way round. SPEC.md says what each reader needs; the writer's own traps:
 * - tuna reads the file as text if its first 8 KB are valid UTF-8, so the first row's total is moved by less than a ns until it is not;
 * - locale: numbers in our sentences are put together from integers, for printf follows the program's LC_NUMERIC. */
#include "formats/pstats/writer.h"

#include <inttypes.h>
#include <stdio.h>

#include "formats/pstats/marshal.h"
#include "formats/pstats/table.h"
#include "formats/text.h"

static double seconds(uint64_t ns) {
    return (double)ns / 1e9;
}

/* A byte of the form 10xxxxxx cannot follow the type code before it, so one in front makes the eight bytes, and the file, no UTF-8. The
 * lowest byte stands in front, and goes to the nearest that will do: 96 steps of the last place at most, 2.2e-14 of the value, and few
 * values need it (10.0 does). */
static double seconds_not_utf8(uint64_t ns) {
    double value = seconds(ns);
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    if (ns == 0 || !hp_text_is_utf8(&bits, sizeof bits))
        return value;
    uint64_t low = bits & 0xff;
    bits = low < 0x20 ? bits - low - 0x41 : low < 0x80 ? bits - low + 0x80 : bits - low + 0xbf;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void put_row(hp_sink *sink, const uint8_t *key, size_t size, const hp_pstats_value *value, double total) {
    uint8_t head[64];
    hp_sink_write(sink, key, size);
    uint8_t *at = hp_marshal_head(head, HP_MARSHAL_TUPLE, 5);
    at = hp_marshal_count(at, value->primitive_calls);
    at = hp_marshal_count(at, value->calls);
    at = hp_marshal_double(at, seconds(value->self_ns));
    at = hp_marshal_double(at, total);
    *at++ = HP_MARSHAL_DICT;
    hp_sink_write(sink, head, (size_t)(at - head));
}

static void put_caller(hp_sink *sink, const uint8_t *key, size_t size, const hp_pstats_value *value) {
    uint8_t tuple[64];
    hp_sink_write(sink, key, size);
    uint8_t *at = hp_marshal_head(tuple, HP_MARSHAL_TUPLE, 4);
    at = hp_marshal_count(at, value->calls);
    at = hp_marshal_count(at, value->primitive_calls);
    at = hp_marshal_double(at, seconds(value->self_ns));
    at = hp_marshal_double(at, seconds(value->total_ns));
    hp_sink_write(sink, tuple, (size_t)(at - tuple));
}

static void put_end(hp_sink *sink) {
    hp_sink_byte(sink, HP_MARSHAL_NULL);
}

enum { ALL_THREADS_LIMIT = HP_PSTATS_KEY_LIMIT + sizeof HP_PSTATS_ALL_THREADS };

static size_t all_threads_key(uint8_t *out) {
    return hp_pstats_key_encode(out, "~", 0, HP_PSTATS_ALL_THREADS);
}

/* snakeviz draws only what lies beneath one row without callers: where there are several threads, this one stands above them. It also
 * stands alone where nothing was measured, for nobody reads an empty dict. */
static void put_all_threads(hp_sink *sink, const hp_pstats_table *table) {
    uint8_t key[ALL_THREADS_LIMIT];
    put_row(sink, key, all_threads_key(key), &(hp_pstats_value){0}, seconds_not_utf8(table->threads_total_ns));
    put_end(sink);
}

static void put_key(hp_sink *sink, const hp_pstats_table *table, uint32_t key, bool first) {
    const hp_pstats_keys *keys = &table->keys;
    const hp_pstats_value *value = &table->values[key];
    double total = first ? seconds_not_utf8(value->total_ns) : seconds(value->total_ns);
    put_row(sink, keys->bytes + keys->start[key], keys->start[key + 1] - keys->start[key], value, total);
    if (table->is_thread[key] && table->thread_count > 1) {
        uint8_t all[ALL_THREADS_LIMIT];
        put_caller(sink, all, all_threads_key(all), value);
    }
    for (uint32_t i = table->caller_start[key]; i < table->caller_start[key + 1]; i++) {
        uint32_t caller = table->callers[i].caller;
        put_caller(sink, keys->bytes + keys->start[caller], keys->start[caller + 1] - keys->start[caller], &table->callers[i].value);
    }
    put_end(sink);
}

typedef struct marker {
    uint64_t self_ns, uncounted_ns; /* of all rows; of those without calls */
    uint32_t sampled, mixed;        /* rows */
} marker;

static marker marker_make(const hp_profile *profile) {
    marker made = {0};
    for (uint32_t i = 0; i < profile->row_count; i++) {
        const hp_row *row = &profile->rows[i];
        made.self_ns += row->self_sampled + row->self_exact;
        made.sampled += row->self_sampled + row->total_sampled != 0 || row->samples != 0;
        made.mixed += row->measured == HP_MIXED;
        if (row->measured == HP_SAMPLED)
            made.uncounted_ns += row->self_sampled + row->self_exact;
    }
    return made;
}

/* A decimal with up to three places, none where they are zeros. */
static void put_decimal(char *out, size_t size, double value) {
    uint64_t thousandths = value > 0 && value < 1e15 ? (uint64_t)(value * 1000 + 0.5) : 0;
    int used = snprintf(out, size, "%" PRIu64 ".%03" PRIu64, thousandths / 1000, thousandths % 1000);
    while (used > 0 && out[used - 1] == '0')
        out[--used] = '\0';
    if (used > 0 && out[used - 1] == '.')
        out[used - 1] = '\0';
}

/* A row of zeros whose name tells the reader what is estimated. The reader takes samples and rate from it: reader.c knows these words. */
static void put_marker(hp_sink *sink, const hp_profile *profile) {
    marker made = marker_make(profile);
    if (made.sampled == 0)
        return;
    char share[32], hz[32], rate[48] = "", mixed[96] = "", name[320];
    put_decimal(share, sizeof share, made.self_ns != 0 ? (double)made.uncounted_ns * 100 / (double)made.self_ns : 0);
    put_decimal(hz, sizeof hz, profile->meta.rate_hz);
    if (profile->meta.rate_hz > 0)
        snprintf(rate, sizeof rate, " at %s Hz", hz);
    if (made.mixed != 0)
        snprintf(mixed, sizeof mixed, "; %" PRIu32 " rows with calls are estimated in part, their calls a lower bound", made.mixed);
    snprintf(name, sizeof name, "[%s %% of the time was sampled only: rows without calls are estimated from %" PRIu64 " samples%s%s]",
             share, profile->meta.samples_kept, rate, mixed);
    uint8_t key[HP_PSTATS_KEY_LIMIT + sizeof HP_PSTATS_MARKER_FILE + sizeof name];
    put_row(sink, key, hp_pstats_key_encode(key, HP_PSTATS_MARKER_FILE, 0, name), &(hp_pstats_value){0}, 0.0);
    put_end(sink);
}

hp_status hp_pstats_write(hp_sink *sink, const hp_profile *profile, hp_error *error) {
    hp_pstats_table table = {0};
    hp_status status = hp_pstats_table_init(&table, profile);
    if (status != HP_OK)
        return hp_fail(error, status, 0, "not enough memory to write a pstats file");
    bool above = table.thread_count > 1 || table.keys.count == 0;
    hp_sink_byte(sink, HP_MARSHAL_DICT);
    if (above)
        put_all_threads(sink, &table);
    else
        put_key(sink, &table, table.longest, true);
    for (uint32_t key = 0; key < table.keys.count; key++) {
        if (above || key != table.longest)
            put_key(sink, &table, key, false);
    }
    if (table.keys.count != 0)
        put_marker(sink, profile);
    put_end(sink);
    hp_pstats_table_fini(&table);
    return hp_sink_flush(sink, error);
}
