/* SPDX-License-Identifier: MIT */
#include "formats/pprof/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/sink.h"
#include "formats/text.h"

typedef enum fact_kind { FACT_TEXT, FACT_NUMBER, FACT_RATE, FACT_ID } fact_kind;

typedef struct fact {
    const char *key;
    fact_kind kind;
    size_t offset; /* in hp_meta, or in hp_profile_thread */
} fact;

#define META(key, kind, field) {key, kind, offsetof(hp_meta, field)}
#define THREAD(field) {#field, FACT_NUMBER, offsetof(hp_profile_thread, field)}

static const fact meta_facts[] = {
    META("id", FACT_ID, id),
    META("python", FACT_TEXT, python),
    META("implementation", FACT_TEXT, implementation),
    META("platform", FACT_TEXT, platform),
    META("program", FACT_TEXT, program),
    META("pid", FACT_NUMBER, pid),
    META("rate_hz", FACT_RATE, rate_hz),
    META("sampler_method", FACT_TEXT, sampler_method),
    META("tracer_hook", FACT_TEXT, tracer_hook),
    META("tracing_spared", FACT_TEXT, tracing_spared),
    META("samples_kept", FACT_NUMBER, samples_kept),
    META("samples_retried", FACT_NUMBER, samples_retried),
    META("samples_unresolved", FACT_NUMBER, samples_unresolved),
    META("ticks_missed", FACT_NUMBER, ticks_missed),
    META("ticks", FACT_NUMBER, ticks),
    META("ticks_lowered", FACT_NUMBER, ticks_lowered),
    META("samples_remote", FACT_NUMBER, samples_remote),
    META("unresolved_moved", FACT_NUMBER, unresolved_by[HP_CAUSE_MOVED]),
    META("unresolved_interrupted", FACT_NUMBER, unresolved_by[HP_CAUSE_INTERRUPTED]),
    META("unresolved_changed", FACT_NUMBER, unresolved_by[HP_CAUSE_CHANGED]),
    META("unresolved_switched", FACT_NUMBER, unresolved_by[HP_CAUSE_SWITCHED]),
    META("unresolved_halfway", FACT_NUMBER, unresolved_by[HP_CAUSE_HALFWAY]),
    META("unresolved_code", FACT_NUMBER, unresolved_by[HP_CAUSE_CODE]),
    META("unresolved_memory", FACT_NUMBER, unresolved_by[HP_CAUSE_MEMORY]),
    META("sampler_cpu_ns", FACT_NUMBER, sampler_cpu_ns),
    META("tracing_targets", FACT_NUMBER, tracing_targets),
    META("tracing_calls", FACT_NUMBER, tracing_calls),
    META("tracing_events", FACT_NUMBER, tracing_events),
    META("tracing_gated", FACT_NUMBER, tracing_gated),
    META("tracing_overhead_ns", FACT_NUMBER, tracing_overhead_ns),
    META("tracing_overhead_error_ns", FACT_NUMBER, tracing_overhead_error_ns),
    META("tracing_truncated", FACT_NUMBER, tracing_truncated),
};

static const fact thread_facts[] = {
    THREAD(native_id),  THREAD(samples),  THREAD(traced_samples), THREAD(measured_ns),
    THREAD(sampled_ns), THREAD(exact_ns), THREAD(overhead_ns),    THREAD(unresolved_ns),
};

enum {
    META_FACTS = sizeof meta_facts / sizeof *meta_facts,
    THREAD_FACTS = sizeof thread_facts / sizeof *thread_facts,
    ID_SIZE = sizeof((hp_meta *)0)->id,
    MICRO = 1000000,
    RATE_LIMIT = 1000000000, /* Hz: a sample each ns */
};

static const char thread_key[] = "thread #", warning_key[] = "warning: ";

static void put_fact(hp_sink *sink, const fact *what, const void *base) {
    const char *field = (const char *)base + what->offset;
    if (what->kind == FACT_TEXT) {
        hp_sink_text(sink, *(const char *const *)field);
    } else if (what->kind == FACT_NUMBER) {
        hp_sink_u64(sink, *(const uint64_t *)field);
    } else if (what->kind == FACT_RATE) { /* not printf's %f, which follows the program's locale */
        double rate = *(const double *)field < RATE_LIMIT ? *(const double *)field : RATE_LIMIT;
        uint64_t micro = (uint64_t)(rate * MICRO + 0.5);
        hp_sink_u64(sink, micro / MICRO);
        if (micro % MICRO != 0)
            hp_sink_format(sink, ".%06u", (unsigned)(micro % MICRO));
    } else {
        for (unsigned i = 0; i < ID_SIZE; i++)
            hp_sink_format(sink, "%02x", (unsigned)(uint8_t)field[i]);
    }
}

/* What is 0 or empty says nothing. */
static bool fact_is_told(const fact *what, const void *base) {
    static const char zeros[ID_SIZE] = {0};
    const char *field = (const char *)base + what->offset;
    if (what->kind == FACT_TEXT)
        return **(const char *const *)field != '\0';
    return memcmp(field, zeros, what->kind == FACT_ID ? ID_SIZE : sizeof(uint64_t)) != 0;
}

static void put_thread(hp_sink *sink, const hp_profile *profile, uint32_t index) {
    hp_sink_text(sink, thread_key);
    hp_sink_u64(sink, index + 1);
    for (unsigned i = 0; i < THREAD_FACTS; i++) {
        hp_sink_format(sink, "%s%s ", i == 0 ? ": " : ", ", thread_facts[i].key);
        put_fact(sink, &thread_facts[i], &profile->threads[index]);
    }
}

/* The fact of this number, empty where there is none to tell. */
static void put_numbered_fact(hp_sink *sink, const hp_profile *profile, uint32_t number) {
    if (number >= META_FACTS + profile->thread_count) {
        hp_sink_text(sink, warning_key);
        hp_sink_text(sink, profile->meta.warnings[number - META_FACTS - profile->thread_count]);
    } else if (number >= META_FACTS) {
        put_thread(sink, profile, number - META_FACTS);
    } else if (fact_is_told(&meta_facts[number], &profile->meta)) {
        hp_sink_format(sink, "%s: ", meta_facts[number].key);
        put_fact(sink, &meta_facts[number], &profile->meta);
    }
}

/* Who wrote it, what is estimated, what to beware of. */
static void put_comment(hp_sink *sink, const hp_profile *profile, uint32_t number) {
    const hp_meta *meta = &profile->meta;
    if (number == 0) {
        hp_sink_format(sink, "hybridprof%s", meta->python[0] != '\0' ? ", Python " : "");
        hp_text_write(sink, meta->python, 0);
        hp_sink_text(sink, meta->program[0] != '\0' ? ": " : "");
        hp_text_write(sink, meta->program, 0);
    } else if (number == 1 && meta->samples_kept != 0) {
        hp_sink_text(sink, "what is labelled measured:sampled is estimated from ");
        hp_sink_u64(sink, meta->samples_kept);
        hp_sink_text(sink, " samples");
    } else if (number > 1) {
        hp_sink_text(sink, warning_key);
        hp_text_write(sink, meta->warnings[number - 2], 0);
    }
}

static bool give(const hp_profile *profile, uint32_t count, void (*put)(hp_sink *, const hp_profile *, uint32_t), hp_pprof_take take,
                 void *to) {
    bool whole = true;
    for (uint32_t i = 0; whole && i < count; i++) {
        hp_sink *sink = NULL;
        size_t size = 0;
        if (hp_sink_memory(&sink) != HP_OK)
            return false;
        put(sink, profile, i);
        const char *text = (const char *)hp_sink_bytes(sink, &size);
        whole = hp_sink_flush(sink, NULL) == HP_OK && (size == 0 || take(to, text, size));
        hp_sink_free(sink);
    }
    return whole;
}

bool hp_pprof_facts(const hp_profile *profile, hp_pprof_take take, void *to) {
    return give(profile, META_FACTS + profile->thread_count + profile->meta.warning_count, put_numbered_fact, take, to);
}

bool hp_pprof_comments(const hp_profile *profile, hp_pprof_take take, void *to) {
    return give(profile, 2 + profile->meta.warning_count, put_comment, take, to);
}

/* --- and back -------------------------------------------------------------------------------------------------------------------- */

/* Saturates. `text` ends in a byte that is no digit. */
static const char *take_number(const char *text, uint64_t *value) {
    *value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        *value = *value > (UINT64_MAX - 9) / 10 ? UINT64_MAX : *value * 10 + (uint64_t)(*text - '0');
    return text;
}

static double take_rate(const char *text) {
    uint64_t whole = 0;
    double value, place = 1;
    text = take_number(text, &whole);
    value = (double)whole;
    for (text += *text == '.'; *text >= '0' && *text <= '9'; text++) {
        place /= 10;
        value += place * (*text - '0');
    }
    return value;
}

static unsigned hex_digit(char c) {
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static void take_id(uint8_t *id, const char *text, size_t size) {
    uint8_t made[ID_SIZE];
    if (size != 2 * sizeof made)
        return;
    for (unsigned i = 0; i < sizeof made; i++) {
        unsigned high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high > 15 || low > 15)
            return;
        made[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(id, made, sizeof made);
}

static void take_fact(hp_profile *profile, const fact *what, const char *value, size_t size) {
    char *field = (char *)&profile->meta + what->offset;
    uint64_t number = 0;
    if (what->kind == FACT_TEXT)
        *(const char **)field = hp_profile_string_sized(profile, value, size);
    else if (what->kind == FACT_ID)
        take_id((uint8_t *)field, value, size);
    else if (what->kind == FACT_RATE)
        *(double *)field = take_rate(value);
    else if (take_number(value, &number) != value)
        *(uint64_t *)field = number;
}

/* `text`: behind "thread #". */
static void take_thread(hp_profile *profile, const char *text) {
    uint64_t number = 0;
    text = take_number(text, &number);
    if (number == 0 || number > profile->thread_count)
        return;
    for (unsigned i = 0; i < THREAD_FACTS; i++) {
        char *field = (char *)&profile->threads[number - 1] + thread_facts[i].offset;
        size_t size = strlen(thread_facts[i].key);
        text = strstr(text, thread_facts[i].key);
        if (text == NULL || text[size] != ' ')
            return;
        text = take_number(text + size + 1, (uint64_t *)field);
    }
}

hp_status hp_pprof_fact_read(hp_profile *profile, const char *text) {
    if (strncmp(text, warning_key, sizeof warning_key - 1) == 0)
        return hp_profile_add_warning(profile, text + sizeof warning_key - 1);
    if (strncmp(text, thread_key, sizeof thread_key - 1) == 0)
        take_thread(profile, text + sizeof thread_key - 1);
    for (unsigned i = 0; i < META_FACTS; i++) {
        size_t key = strlen(meta_facts[i].key);
        if (strncmp(text, meta_facts[i].key, key) == 0 && strncmp(text + key, ": ", 2) == 0)
            take_fact(profile, &meta_facts[i], text + key + 2, strlen(text + key + 2));
    }
    return HP_OK;
}
