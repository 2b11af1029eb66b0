/* SPDX-License-Identifier: MIT */
/* What a file's values mean. Ours are known by their names, also when pprof itself has written the file anew. Of others one value is the
 * time: the default one if that is a time, else the last that is one, as pprof itself would show; or a count of samples, if the period says
 * what one of them stands for. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "formats/pprof/reading.h"
#include "formats/pprof/samples.h"
#include "formats/text.h"

/* ns in a unit, 0 if it is none of time. */
static uint64_t unit_ns(const hp_pprof_reading *r, uint64_t unit) {
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"nanoseconds", 1},        {"ns", 1},       {"microseconds", 1000},  {"us", 1000},
                 {"milliseconds", 1000000}, {"ms", 1000000}, {"seconds", 1000000000}, {"s", 1000000000}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (hp_pprof_is(r, unit, units[i].name))
            return units[i].ns;
    }
    return 0;
}

static hp_pprof_column column_named(const hp_pprof_reading *r, const char *name, bool time) {
    for (uint32_t i = 0; i < r->type_count; i++) {
        uint64_t ns = unit_ns(r, r->types[i].unit);
        if (hp_pprof_is(r, r->types[i].type, name) && (ns != 0) == time)
            return (hp_pprof_column){i, time ? ns : 1};
    }
    return (hp_pprof_column){HP_PPROF_NONE, 1};
}

static uint32_t default_type(const hp_pprof_reading *r) {
    for (uint32_t i = 0; i < r->type_count; i++) {
        if (r->default_type != 0 && r->types[i].type == r->default_type)
            return i;
    }
    return r->type_count - 1;
}

static hp_pprof_column time_column(const hp_pprof_reading *r) {
    uint32_t shown = default_type(r);
    if (unit_ns(r, r->types[shown].unit) != 0)
        return (hp_pprof_column){shown, unit_ns(r, r->types[shown].unit)};
    for (uint32_t i = r->type_count; i-- > 0;) {
        if (unit_ns(r, r->types[i].unit) != 0)
            return (hp_pprof_column){i, unit_ns(r, r->types[i].unit)};
    }
    uint64_t period = unit_ns(r, r->period_type.unit);
    if (period != 0 && r->period != 0 && r->period <= INT64_MAX / period && hp_pprof_is(r, r->types[shown].unit, "count"))
        return (hp_pprof_column){shown, r->period * period};
    return (hp_pprof_column){HP_PPROF_NONE, 1};
}

static hp_status no_time(hp_pprof_reading *r) {
    const hp_pprof_type *type = &r->types[default_type(r)];
    const hp_pprof_text *name = &r->strings[type->type], *unit = &r->strings[type->unit];
    char name_shown[HP_TEXT_SHOWN_ROOM], unit_shown[HP_TEXT_SHOWN_ROOM];
    return hp_fail(r->error, HP_UNSUPPORTED, 0, "this pprof file holds no time but %s (%s): hybridprof reads profiles of time",
                   hp_text_shown(name_shown, name->bytes, name->size), hp_text_shown(unit_shown, unit->bytes, unit->size));
}

static void settle_rate(hp_pprof_reading *r) {
    uint64_t scale = unit_ns(r, r->period_type.unit);
    if (scale != 0 && r->period != 0 && r->period <= INT64_MAX)
        r->profile->meta.rate_hz = 1e9 / ((double)r->period * (double)scale);
}

static bool has(const hp_pprof_text *text, const char *word) {
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= text->size; i++)
        if (memcmp(text->bytes + i, word, size) == 0 && (i == 0 || !isalpha(text->bytes[i - 1]))) /* no `clock` is a lock */
            return true;
    return false;
}

/* By the name of what was chosen as time: `cpu` and `cpu-time`, Go's `delay`, others' `lock-acquire-wait` and `contention`. */
static hp_clock_kind clock_of(const hp_pprof_reading *r, uint64_t name) {
    const hp_pprof_text none = {NULL, 0}, *text = name < r->string_count ? &r->strings[name] : &none;
    if (text->size >= 3 && memcmp(text->bytes, "cpu", 3) == 0)
        return HP_CLOCK_CPU;
    return has(text, "delay") || has(text, "lock") || has(text, "contention") || has(text, "mutex") ? HP_CLOCK_WAITS : HP_CLOCK_WALL;
}

static hp_clock_kind own_clock(const hp_pprof_reading *r) {
    static const char *const names[] = HP_PPROF_CLOCK_NAMES;
    for (hp_clock_kind clock = HP_CLOCK_CPU; clock <= HP_CLOCK_WAITS; clock++)
        if (column_named(r, names[clock], true).at != HP_PPROF_NONE)
            return clock;
    return HP_CLOCK_WALL;
}

hp_status hp_pprof_choose_columns(hp_pprof_reading *r) {
    static const char *const names[] = HP_PPROF_VALUE_NAMES;
    bool ours = true;
    r->samples = column_named(r, names[VALUE_SAMPLES], false);
    r->calls = column_named(r, names[VALUE_CALLS], false);
    r->sampled = column_named(r, names[VALUE_SAMPLED], true);
    r->exact = column_named(r, names[VALUE_EXACT], true);
    r->overhead = column_named(r, names[VALUE_OVERHEAD], true);
    const hp_pprof_column *all[] = {&r->samples, &r->calls, &r->sampled, &r->exact, &r->overhead};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ours = ours && all[i]->at != HP_PPROF_NONE;
    settle_rate(r);
    if (ours) {
        r->profile->meta.clock = own_clock(r);
        return HP_OK;
    }
    r->calls.at = r->exact.at = r->overhead.at = HP_PPROF_NONE;
    r->sampled = time_column(r);
    if (r->sampled.at == HP_PPROF_NONE)
        return no_time(r);
    const hp_pprof_type *type = &r->types[r->sampled.at];
    r->profile->meta.clock = clock_of(r, unit_ns(r, type->unit) != 0 ? type->type : r->period_type.type);
    return HP_OK;
}
