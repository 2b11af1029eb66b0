/* SPDX-License-Identifier: MIT */
#include "tree/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/pairs.h"
#include "base/strings.h"
#include "tree/totals.h"

enum { FIRST_INDEX = 64 };

/* What building needs and reading does not. */
struct hp_function_index {
    uint32_t *places; /* open addressing over functions, at most half full; HP_NO_FUNCTION is empty */
    uint32_t mask;
    hp_pairs lines;     /* (node, line) -> its place in `lines` */
    hp_pairs estimates; /* (thread, function) -> its place in `estimates` */
    uint32_t function_capacity, line_capacity, estimate_capacity, thread_capacity, warning_capacity, source_capacity;
};

static void index_free(struct hp_function_index *index) {
    if (index == NULL)
        return;
    free(index->places);
    hp_pairs_fini(&index->lines);
    hp_pairs_fini(&index->estimates);
    free(index);
}

static uint32_t *empty_places(uint32_t size) {
    uint32_t *places = malloc(size * sizeof *places);
    if (places != NULL)
        memset(places, 0xff, size * sizeof *places);
    return places;
}

static struct hp_function_index *index_new(void) {
    struct hp_function_index *index = calloc(1, sizeof *index);
    if (index == NULL)
        return NULL;
    index->places = empty_places(FIRST_INDEX);
    index->mask = FIRST_INDEX - 1;
    if (index->places == NULL) {
        index_free(index);
        return NULL;
    }
    return index;
}

static void meta_clear(hp_meta *meta) {
    meta->python = meta->implementation = meta->platform = meta->program = "";
    meta->sampler_method = meta->tracer_hook = meta->tracing_spared = "";
}

/* Function 0 of every profile: the tree needs to know it before it is short of memory. */
static const hp_function overflow = {HP_CODE_SYNTHETIC, "", "<overflow>", "<overflow>", "", 0};

hp_status hp_profile_new(hp_profile **out) {
    hp_status status = HP_NO_MEMORY;
    hp_profile *profile = calloc(1, sizeof *profile);
    if (profile == NULL)
        return HP_NO_MEMORY;
    meta_clear(&profile->meta);
    profile->strings = hp_strings_new();
    profile->index_ = index_new();
    if (profile->strings == NULL || profile->index_ == NULL || hp_profile_function(profile, &overflow) != 0)
        goto done;
    status = hp_tree_init(&profile->tree, 0, 0);
    if (status != HP_OK)
        goto done;
    *out = profile;
    profile = NULL;
done:
    hp_profile_free(profile);
    return status;
}

void hp_profile_free(hp_profile *profile) {
    if (profile == NULL)
        return;
    hp_tree_fini(&profile->tree);
    free(profile->functions);
    free(profile->lines);
    free(profile->estimates);
    free(profile->threads);
    free(profile->rows);
    free(profile->edges);
    free(profile->meta.warnings);
    free(profile->sources);
    hp_timeline_fini(&profile->timeline);
    hp_strings_free(profile->strings);
    index_free(profile->index_);
    free(profile);
}

/* Cut at a NUL: everything above works with NUL-terminated text. NULL when memory is short. */
static const char *intern(hp_profile *profile, const char *text, size_t size) {
    uint32_t id = hp_strings_id(profile->strings, text, strnlen(text, size));
    return id == HP_NO_STRING ? NULL : hp_strings_text(profile->strings, id);
}

static const char *intern_text(hp_profile *profile, const char *text) {
    return text == NULL ? intern(profile, "", 0) : intern(profile, text, strlen(text));
}

const char *hp_profile_string_sized(hp_profile *profile, const char *text, size_t size) {
    const char *own = text == NULL ? NULL : intern(profile, text, size);
    return own == NULL ? "" : own;
}

const char *hp_profile_string(hp_profile *profile, const char *text) {
    return text == NULL ? "" : hp_profile_string_sized(profile, text, strlen(text));
}

/* Of a function whose strings are interned: addresses stand for contents. */
static uint64_t function_hash(const hp_function *f) {
    uint64_t hash = hp_hash_u64((uint64_t)(uintptr_t)f->qualname ^ (uint64_t)f->first_line << 32 ^ (uint64_t)f->kind << 60);
    hash = hp_hash_u64(hash ^ (uint64_t)(uintptr_t)f->file);
    hash = hp_hash_u64(hash ^ (uint64_t)(uintptr_t)f->module);
    return hp_hash_u64(hash ^ (uint64_t)(uintptr_t)f->name);
}

static bool function_equal(const hp_function *a, const hp_function *b) {
    return a->kind == b->kind && a->module == b->module && a->qualname == b->qualname && a->name == b->name && a->file == b->file &&
           a->first_line == b->first_line;
}

static uint32_t *function_place(const hp_profile *profile, uint32_t *places, uint32_t mask, const hp_function *function) {
    uint32_t at = (uint32_t)function_hash(function) & mask;
    while (places[at] != HP_NO_FUNCTION && !function_equal(&profile->functions[places[at]], function))
        at = (at + 1) & mask;
    return &places[at];
}

static bool functions_widen(hp_profile *profile) {
    struct hp_function_index *index = profile->index_;
    hp_function *functions = hp_array_grow(profile->functions, &index->function_capacity, profile->function_count + 1, sizeof *functions);
    if (functions == NULL)
        return false;
    profile->functions = functions;
    if (profile->function_count < index->mask / 2)
        return true;
    if (index->mask > UINT32_MAX / 4)
        return false;
    uint32_t mask = index->mask * 2 + 1;
    uint32_t *places = empty_places(mask + 1);
    if (places == NULL)
        return false;
    for (uint32_t i = 0; i < profile->function_count; i++)
        *function_place(profile, places, mask, &functions[i]) = i;
    free(index->places);
    index->places = places;
    index->mask = mask;
    return true;
}

uint32_t hp_profile_function(hp_profile *profile, const hp_function *function) {
    struct hp_function_index *index = profile->index_;
    hp_function own = *function;
    own.module = intern_text(profile, function->module);
    own.qualname = intern_text(profile, function->qualname);
    own.name = intern_text(profile, function->name);
    own.file = intern_text(profile, function->file);
    if (own.module == NULL || own.qualname == NULL || own.name == NULL || own.file == NULL)
        return HP_NO_FUNCTION;
    uint32_t known = *function_place(profile, index->places, index->mask, &own);
    if (known != HP_NO_FUNCTION)
        return known;
    if (!functions_widen(profile))
        return HP_NO_FUNCTION;
    uint32_t id = profile->function_count;
    *function_place(profile, index->places, index->mask, &own) = id;
    profile->functions[id] = own;
    profile->function_count++;
    return id;
}

static uint32_t thread_function(hp_profile *profile, const char *name, uint32_t number) {
    char *label = NULL;
    if (asprintf(&label, "<thread %s%s#%u>", name, name[0] == '\0' ? "" : " ", number) < 0)
        return HP_NO_FUNCTION;
    hp_function function = {HP_CODE_SYNTHETIC, "", label, label, "", 0};
    uint32_t id = hp_profile_function(profile, &function);
    free(label);
    return id;
}

uint32_t hp_profile_add_thread(hp_profile *profile, const char *name, uint64_t native_id) {
    uint32_t number = profile->thread_count;
    hp_profile_thread *threads = hp_array_grow(profile->threads, &profile->index_->thread_capacity, number + 1, sizeof *threads);
    if (threads == NULL)
        return HP_NO_NODE;
    profile->threads = threads;
    const char *own_name = intern_text(profile, name);
    uint32_t function = own_name == NULL ? HP_NO_FUNCTION : thread_function(profile, own_name, number + 1);
    if (function == HP_NO_FUNCTION)
        return HP_NO_NODE;
    uint32_t root = hp_tree_find_or_add(&profile->tree, 0, function);
    if (profile->tree.nodes[root].function != function) /* the overflow node */
        return HP_NO_NODE;
    threads[number] = (hp_profile_thread){.name = own_name, .native_id = native_id, .root = root};
    profile->thread_count++;
    return number;
}

hp_status hp_profile_add_line(hp_profile *profile, const hp_line *line) {
    struct hp_function_index *index = profile->index_;
    hp_line *lines = hp_array_grow(profile->lines, &index->line_capacity, profile->line_count + 1, sizeof *lines);
    if (lines == NULL)
        return HP_NO_MEMORY;
    profile->lines = lines;
    uint32_t place = hp_pairs_put(&index->lines, line->node, hp_line_key(line), profile->line_count);
    if (place == HP_NO_PAIR)
        return HP_NO_MEMORY;
    if (place == profile->line_count) {
        lines[place] = (hp_line){.node = line->node, .line = line->line, .state = line->state};
        profile->line_count++;
    }
    lines[place].samples += line->samples; // NOLINT(clang-analyzer-core.uninitialized.Assign): places below the count have been written
    lines[place].sampled += line->sampled;
    return HP_OK;
}

hp_status hp_profile_add_estimate(hp_profile *profile, const hp_estimate *estimate) {
    struct hp_function_index *index = profile->index_;
    hp_estimate *estimates = hp_array_grow(profile->estimates, &index->estimate_capacity, profile->estimate_count + 1, sizeof *estimates);
    if (estimates == NULL)
        return HP_NO_MEMORY;
    profile->estimates = estimates;
    uint32_t place = hp_pairs_put(&index->estimates, estimate->thread, estimate->function, profile->estimate_count);
    if (place == HP_NO_PAIR)
        return HP_NO_MEMORY;
    if (place == profile->estimate_count) {
        estimates[place] = (hp_estimate){.thread = estimate->thread, .function = estimate->function};
        profile->estimate_count++;
    }
    hp_estimate *own = &estimates[place];
    own->self_samples += estimate->self_samples; // NOLINT(clang-analyzer-core.uninitialized.Assign): as above
    own->self_runs += estimate->self_runs;
    own->total_samples += estimate->total_samples;
    own->total_runs += estimate->total_runs;
    own->self_variance_us2 = hp_add_saturated(own->self_variance_us2, estimate->self_variance_us2);
    own->total_variance_us2 = hp_add_saturated(own->total_variance_us2, estimate->total_variance_us2);
    return HP_OK;
}

hp_status hp_profile_add_warning(hp_profile *profile, const char *sentence) {
    hp_meta *meta = &profile->meta;
    const char *own = intern_text(profile, sentence);
    const char **warnings =
        own == NULL ? NULL : hp_array_grow(meta->warnings, &profile->index_->warning_capacity, meta->warning_count + 1, sizeof *warnings);
    if (warnings == NULL)
        return HP_NO_MEMORY;
    meta->warnings = warnings;
    warnings[meta->warning_count++] = own;
    return HP_OK;
}

hp_status hp_profile_copy_meta(hp_profile *profile, hp_meta *meta, const hp_meta *from) {
    hp_meta copy = *from;
    const char **const texts[] = {&copy.python,         &copy.implementation, &copy.platform,      &copy.program,
                                  &copy.sampler_method, &copy.tracer_hook,    &copy.tracing_spared};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = intern_text(profile, *texts[i]);
        if (*texts[i] == NULL)
            return HP_NO_MEMORY;
    }
    copy.warnings = meta->warnings;
    copy.warning_count = meta->warning_count;
    *meta = copy;
    return HP_OK;
}

hp_status hp_profile_add_source(hp_profile *profile, const hp_meta *source) {
    hp_meta *sources = hp_array_grow(profile->sources, &profile->index_->source_capacity, profile->source_count + 1, sizeof *sources);
    if (sources == NULL)
        return HP_NO_MEMORY;
    profile->sources = sources;
    sources[profile->source_count] = (hp_meta){0};
    if (hp_profile_copy_meta(profile, &sources[profile->source_count], source) != HP_OK)
        return HP_NO_MEMORY;
    profile->source_count++;
    return HP_OK;
}

int64_t hp_profile_residual_ns(const hp_profile *profile) {
    uint64_t measured = 0, known = 0; /* of a profile that was let in neither wraps: tree/totals.h */
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        const hp_profile_thread *thread = &profile->threads[i];
        measured += thread->measured_ns;
        known += thread->sampled_ns + thread->exact_ns + thread->overhead_ns;
    }
    return hp_residual_ns(measured, known);
}

uint64_t hp_profile_bytes(const hp_profile *profile) {
    uint64_t nodes = profile->tree.capacity * sizeof *profile->tree.nodes;
    if (profile->tree.index != NULL)
        nodes += ((uint64_t)profile->tree.index_mask + 1) * sizeof *profile->tree.index;
    return sizeof *profile + nodes + profile->function_count * sizeof *profile->functions + profile->line_count * sizeof *profile->lines +
           profile->estimate_count * sizeof *profile->estimates + profile->thread_count * sizeof *profile->threads +
           profile->row_count * sizeof *profile->rows + profile->edge_count * sizeof *profile->edges +
           profile->timeline.capacity * sizeof *profile->timeline.moments + hp_strings_bytes(profile->strings);
}
