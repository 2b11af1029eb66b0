/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/facts.h"

#include <math.h>
#include <msgpack.h>

#include "base/strings.h"
#include "formats/hyprof/text.h"

typedef enum fact_kind { FACT_ID, FACT_TEXT, FACT_U64, FACT_I64, FACT_CLOCK, FACT_RATE } fact_kind;

typedef struct fact {
    const char *key;
    fact_kind kind;
    size_t offset; /* in hp_profile */
} fact;

#define FACT(key, kind, field) {key, kind, offsetof(hp_profile, field)}

static const fact meta_facts[] = {
    FACT("id", FACT_ID, meta.id),
    FACT("python", FACT_TEXT, meta.python),
    FACT("implementation", FACT_TEXT, meta.implementation),
    FACT("platform", FACT_TEXT, meta.platform),
    FACT("program", FACT_TEXT, meta.program),
    FACT("pid", FACT_U64, meta.pid),
    FACT("started_ns", FACT_I64, meta.started_ns),
    FACT("clock", FACT_CLOCK, meta.clock),
    FACT("rate_hz", FACT_RATE, meta.rate_hz),
    FACT("sampler_method", FACT_TEXT, meta.sampler_method),
    FACT("tracer_hook", FACT_TEXT, meta.tracer_hook),
    FACT("tracing_spared", FACT_TEXT, meta.tracing_spared),
};

static const fact counter_facts[] = {
    FACT("duration_ns", FACT_U64, meta.duration_ns),
    FACT("samples_kept", FACT_U64, meta.samples_kept),
    FACT("samples_retried", FACT_U64, meta.samples_retried),
    FACT("samples_unresolved", FACT_U64, meta.samples_unresolved),
    FACT("ticks_missed", FACT_U64, meta.ticks_missed),
    FACT("ticks", FACT_U64, meta.ticks),
    FACT("ticks_lowered", FACT_U64, meta.ticks_lowered),
    FACT("samples_remote", FACT_U64, meta.samples_remote),
    FACT("unresolved_moved", FACT_U64, meta.unresolved_by[HP_CAUSE_MOVED]),
    FACT("unresolved_interrupted", FACT_U64, meta.unresolved_by[HP_CAUSE_INTERRUPTED]),
    FACT("unresolved_changed", FACT_U64, meta.unresolved_by[HP_CAUSE_CHANGED]),
    FACT("unresolved_switched", FACT_U64, meta.unresolved_by[HP_CAUSE_SWITCHED]),
    FACT("unresolved_halfway", FACT_U64, meta.unresolved_by[HP_CAUSE_HALFWAY]),
    FACT("unresolved_code", FACT_U64, meta.unresolved_by[HP_CAUSE_CODE]),
    FACT("unresolved_memory", FACT_U64, meta.unresolved_by[HP_CAUSE_MEMORY]),
    FACT("sampler_cpu_ns", FACT_U64, meta.sampler_cpu_ns),
    FACT("tracing_targets", FACT_U64, meta.tracing_targets),
    FACT("tracing_calls", FACT_U64, meta.tracing_calls),
    FACT("tracing_events", FACT_U64, meta.tracing_events),
    FACT("tracing_gated", FACT_U64, meta.tracing_gated),
    FACT("tracing_overhead_ns", FACT_U64, meta.tracing_overhead_ns),
    FACT("tracing_overhead_error_ns", FACT_U64, meta.tracing_overhead_error_ns),
    FACT("tracing_truncated", FACT_U64, meta.tracing_truncated),
    FACT("tree_overflowed", FACT_U64, tree.overflowed),
    FACT("left_out", FACT_U64, left_out),
    FACT("timeline_lost", FACT_U64, timeline.lost),
};

enum { META_COUNT = sizeof meta_facts / sizeof meta_facts[0], COUNTER_COUNT = sizeof counter_facts / sizeof counter_facts[0] };

static size_t fact_size(fact_kind kind) {
    static const size_t sizes[] = {[FACT_ID] = 16,
                                   [FACT_TEXT] = sizeof(const char *),
                                   [FACT_U64] = sizeof(uint64_t),
                                   [FACT_I64] = sizeof(int64_t),
                                   [FACT_CLOCK] = sizeof(hp_clock_kind),
                                   [FACT_RATE] = sizeof(double)};
    return sizes[kind];
}

/* Fields are copied by size: one table instead of a case for each. */
static void fact_get(const hp_profile *profile, const fact *what, void *value) {
    memcpy(value, (const char *)profile + what->offset, fact_size(what->kind));
}

static void fact_set(hp_profile *profile, const fact *what, const void *value) {
    memcpy((char *)profile + what->offset, value, fact_size(what->kind));
}

static const char *fact_text(const hp_profile *profile, const fact *what) {
    const char *text;
    fact_get(profile, what, &text);
    return text == NULL ? "" : text;
}

static bool fact_differs(const fact *what, const hp_profile *a, const hp_profile *b) {
    if (what->kind == FACT_TEXT)
        return strcmp(fact_text(a, what), fact_text(b, what)) != 0;
    return memcmp((const char *)a + what->offset, (const char *)b + what->offset, fact_size(what->kind)) != 0;
}

static void pack_bin(msgpack_packer *packer, const void *bytes, size_t size) {
    msgpack_pack_bin(packer, size);
    msgpack_pack_bin_body(packer, bytes, size);
}

static void fact_pack(msgpack_packer *packer, const fact *what, const hp_profile *profile) {
    union {
        uint8_t id[16];
        uint64_t unsigned_value;
        int64_t signed_value;
        hp_clock_kind clock;
        double rate;
    } value = {0};
    msgpack_pack_str(packer, strlen(what->key));
    msgpack_pack_str_body(packer, what->key, strlen(what->key));
    if (what->kind == FACT_TEXT) {
        pack_bin(packer, fact_text(profile, what), strlen(fact_text(profile, what)));
        return;
    }
    fact_get(profile, what, &value);
    if (what->kind == FACT_ID)
        pack_bin(packer, value.id, sizeof value.id);
    else if (what->kind == FACT_U64)
        msgpack_pack_uint64(packer, value.unsigned_value);
    else if (what->kind == FACT_I64)
        msgpack_pack_int64(packer, value.signed_value);
    else if (what->kind == FACT_CLOCK)
        msgpack_pack_uint64(packer, (uint64_t)value.clock);
    else
        msgpack_pack_double(packer, value.rate);
}

static uint32_t facts_changed(const fact *facts, uint32_t count, const hp_profile *known, const hp_profile *now) {
    uint32_t changed = 0;
    for (uint32_t i = 0; i < count; i++)
        changed += fact_differs(&facts[i], known, now);
    return changed;
}

static void facts_pack(msgpack_packer *packer, const fact *facts, uint32_t count, const hp_profile *known, const hp_profile *now) {
    for (uint32_t i = 0; i < count; i++)
        if (fact_differs(&facts[i], known, now))
            fact_pack(packer, &facts[i], now);
}

static void facts_write(hp_group *group, hp_chunk_type type, const fact *facts, uint32_t count, const hp_profile *known,
                        const hp_profile *now) {
    hp_bytes raw = {0};
    msgpack_packer packer;
    uint32_t changed = facts_changed(facts, count, known, now);
    if (changed == 0)
        return;
    msgpack_packer_init(&packer, &raw, hp_bytes_pack);
    msgpack_pack_map(&packer, changed);
    facts_pack(&packer, facts, count, known, now);
    if (raw.failed)
        group->failed = true;
    else
        hp_group_chunk(group, (uint16_t)type, raw.data, raw.size, 0);
    hp_bytes_free(&raw);
}

void hp_facts_write(hp_group *group, const hp_profile *known, const hp_profile *now) {
    facts_write(group, HP_CHUNK_META, meta_facts, META_COUNT, known, now);
    facts_write(group, HP_CHUNK_COUNTERS, counter_facts, COUNTER_COUNT, known, now);
}

void hp_facts_pack_meta(msgpack_packer *packer, const hp_meta *meta) {
    const hp_profile nothing = {0}, now = {.meta = *meta};
    msgpack_pack_map(packer,
                     facts_changed(meta_facts, META_COUNT, &nothing, &now) + facts_changed(counter_facts, COUNTER_COUNT, &nothing, &now));
    facts_pack(packer, meta_facts, META_COUNT, &nothing, &now);
    facts_pack(packer, counter_facts, COUNTER_COUNT, &nothing, &now);
}

hp_status hp_facts_copy(hp_profile *to, const hp_profile *from) {
    for (uint32_t i = 0; i < META_COUNT + COUNTER_COUNT; i++) {
        const fact *what = i < META_COUNT ? &meta_facts[i] : &counter_facts[i - META_COUNT];
        uint8_t value[16];
        fact_get(from, what, value);
        if (what->kind == FACT_TEXT) {
            const char *text = hp_strings_intern(to->strings, fact_text(from, what));
            if (text == NULL)
                return HP_NO_MEMORY;
            memcpy(value, &text, sizeof text);
        }
        fact_set(to, what, value);
    }
    return HP_OK;
}

static const fact *fact_named(const uint8_t *key, size_t size) {
    for (uint32_t i = 0; i < META_COUNT + COUNTER_COUNT; i++) {
        const fact *what = i < META_COUNT ? &meta_facts[i] : &counter_facts[i - META_COUNT];
        if (strlen(what->key) == size && memcmp(what->key, key, size) == 0)
            return what;
    }
    return NULL;
}

static hp_status text_read(hp_profile *profile, const fact *what, hp_cursor *cursor, size_t *mended_left, hp_error *error) {
    size_t size;
    const uint8_t *bytes = hp_cursor_bytes(cursor, &size);
    if (cursor->bad)
        return HP_OK;
    if (what->kind == FACT_ID) {
        cursor->bad = size != sizeof profile->meta.id;
        if (!cursor->bad)
            fact_set(profile, what, bytes);
        return HP_OK;
    }
    uint32_t id = HP_NO_STRING;
    hp_status status = hp_text_read(profile->strings, bytes, size, mended_left, &id, error);
    if (status == HP_OK) {
        const char *text = hp_strings_text(profile->strings, id);
        fact_set(profile, what, &text);
    }
    return status;
}

static void number_read(hp_profile *profile, const fact *what, hp_cursor *cursor) {
    if (what->kind == FACT_RATE) {
        double rate = hp_cursor_double(cursor);
        cursor->bad |= !isfinite(rate) || rate < 0;
        fact_set(profile, what, &rate);
    } else if (what->kind == FACT_I64) {
        int64_t value = hp_cursor_i64(cursor);
        fact_set(profile, what, &value);
    } else if (what->kind == FACT_U64) {
        uint64_t value = hp_cursor_u64(cursor);
        fact_set(profile, what, &value);
    } else {
        uint64_t value = hp_cursor_u64(cursor);
        hp_clock_kind clock = value <= HP_CLOCK_WAITS ? (hp_clock_kind)value : HP_CLOCK_WALL;
        cursor->bad |= value > HP_CLOCK_WAITS;
        fact_set(profile, what, &clock);
    }
}

hp_status hp_facts_read_map(hp_profile *profile, hp_cursor *cursor, size_t *mended_left, hp_error *error) {
    hp_status status = HP_OK;
    uint32_t pairs = hp_cursor_map(cursor);
    for (uint32_t i = 0; i < pairs && status == HP_OK && !cursor->bad; i++) {
        size_t key_size;
        const uint8_t *key = hp_cursor_bytes(cursor, &key_size);
        const fact *what = fact_named(key, key_size);
        if (what == NULL)
            hp_cursor_skip(cursor);
        else if (what->kind == FACT_TEXT || what->kind == FACT_ID)
            status = text_read(profile, what, cursor, mended_left, error);
        else
            number_read(profile, what, cursor);
        if (cursor->bad && status == HP_OK)
            return hp_fail(error, HP_BAD_FORMAT, 0, "the metadata is malformed at \"%.40s\"", what == NULL ? "an unknown key" : what->key);
    }
    return cursor->bad && status == HP_OK ? hp_fail(error, HP_BAD_FORMAT, 0, "the metadata is not a map") : status;
}

hp_status hp_facts_read(hp_profile *profile, const uint8_t *raw, size_t size, size_t *mended_left, hp_error *error) {
    hp_cursor cursor = {raw, raw + size, false};
    return hp_facts_read_map(profile, &cursor, mended_left, error);
}
