/* SPDX-License-Identifier: MIT */
/* A profile by another name: what is promised to others is written down once, in types that do not move when ours do. */
#include "formats/hyprof/hyprof_reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/hyprof/hyprof.h"

_Static_assert((int)HYPROF_PYTHON == (int)HP_CODE_PYTHON && (int)HYPROF_C == (int)HP_CODE_C, "kinds of functions");
_Static_assert((int)HYPROF_BLOCK == (int)HP_CODE_BLOCK && (int)HYPROF_SYNTHETIC == (int)HP_CODE_SYNTHETIC, "kinds of functions");
_Static_assert((int)HYPROF_SAMPLED == (int)HP_SAMPLED && (int)HYPROF_EXACT == (int)HP_EXACT && (int)HYPROF_MIXED == (int)HP_MIXED,
               "measured");
_Static_assert(HYPROF_NONE == HP_NO_NODE, "no node");
_Static_assert(HYPROF_NONE == HP_NO_FUNCTION, "no function");

#define READ_LIMIT ((size_t)4 << 30)

static const hp_profile *held(const hyprof_profile *profile) {
    return (const hp_profile *)(const void *)profile;
}

static hyprof_profile *opened(hp_status status, hp_profile *profile, const hp_error *error, char *reason, size_t room) {
    if (status == HP_OK)
        return (hyprof_profile *)(void *)profile;
    if (room > 0)
        snprintf(reason, room, "%s", error->text[0] != '\0' ? error->text : "not enough memory for the profile in the file");
    return NULL;
}

hyprof_profile *hyprof_open_bytes(const void *bytes, size_t size, char *reason, size_t room) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    hp_status status = hp_format_hyprof.read(bytes, size, &profile, &error);
    return opened(status, profile, &error, reason, room);
}

hyprof_profile *hyprof_open(const char *path, char *reason, size_t room) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    hp_error error = {0};
    hp_profile *profile = NULL;
    hp_status status = hp_read_file(path, READ_LIMIT, &bytes, &size, &error);
    if (status == HP_OK)
        status = hp_format_hyprof.read(bytes, size, &profile, &error);
    free(bytes);
    return opened(status, profile, &error, reason, room);
}

void hyprof_free(hyprof_profile *profile) {
    hp_profile_free((hp_profile *)(void *)profile);
}

hyprof_meta hyprof_meta_of(const hyprof_profile *profile) {
    const hp_meta *meta = &held(profile)->meta;
    hyprof_meta made = {.python = meta->python,
                        .implementation = meta->implementation,
                        .platform = meta->platform,
                        .program = meta->program,
                        .pid = meta->pid,
                        .started_ns = meta->started_ns,
                        .duration_ns = meta->duration_ns,
                        .cpu_clock = meta->clock == HP_CLOCK_CPU,
                        .rate_hz = meta->rate_hz,
                        .samples_kept = meta->samples_kept,
                        .samples_unresolved = meta->samples_unresolved,
                        .ticks_missed = meta->ticks_missed};
    for (size_t i = 0; i < sizeof made.id; i++)
        made.id[i] = meta->id[i];
    return made;
}

uint32_t hyprof_warning_count(const hyprof_profile *profile) {
    return held(profile)->meta.warning_count;
}
uint32_t hyprof_function_count(const hyprof_profile *profile) {
    return held(profile)->function_count;
}
uint32_t hyprof_node_count(const hyprof_profile *profile) {
    return held(profile)->tree.count;
}
uint32_t hyprof_thread_count(const hyprof_profile *profile) {
    return held(profile)->thread_count;
}
uint32_t hyprof_row_count(const hyprof_profile *profile) {
    return held(profile)->row_count;
}

const char *hyprof_warning_at(const hyprof_profile *profile, uint32_t index) {
    return index < hyprof_warning_count(profile) ? held(profile)->meta.warnings[index] : NULL;
}

bool hyprof_function_at(const hyprof_profile *profile, uint32_t index, hyprof_function *out) {
    if (index >= hyprof_function_count(profile))
        return false;
    const hp_function *one = &held(profile)->functions[index];
    *out = (hyprof_function){(hyprof_kind)one->kind, one->module, one->qualname, one->name, one->file, one->first_line};
    return true;
}

bool hyprof_node_at(const hyprof_profile *profile, uint32_t index, hyprof_node *out) {
    if (index >= hyprof_node_count(profile))
        return false;
    const hp_node *one = &held(profile)->tree.nodes[index];
    *out = (hyprof_node){.parent = index == 0 ? HYPROF_NONE : one->parent,
                         .function = index == 0 ? HYPROF_NONE : one->function,
                         .samples = one->samples,
                         .sampled_ns = one->sampled,
                         .calls = one->calls,
                         .exact_ns = one->exact,
                         .overhead_ns = one->overhead};
    return true;
}

bool hyprof_thread_at(const hyprof_profile *profile, uint32_t index, hyprof_thread *out) {
    if (index >= hyprof_thread_count(profile))
        return false;
    const hp_profile_thread *one = &held(profile)->threads[index];
    *out = (hyprof_thread){.name = one->name,
                           .native_id = one->native_id,
                           .root = one->root,
                           .samples = one->samples,
                           .measured_ns = one->measured_ns,
                           .sampled_ns = one->sampled_ns,
                           .exact_ns = one->exact_ns,
                           .overhead_ns = one->overhead_ns,
                           .unresolved_ns = one->unresolved_ns};
    return true;
}

bool hyprof_row_at(const hyprof_profile *profile, uint32_t index, hyprof_row *out) {
    if (index >= hyprof_row_count(profile))
        return false;
    const hp_row *one = &held(profile)->rows[index];
    *out = (hyprof_row){.function = one->function,
                        .measured = (hyprof_measured)one->measured,
                        .samples = one->samples,
                        .calls = one->calls,
                        .primitive_calls = one->primitive_calls,
                        .self_sampled_ns = one->self_sampled,
                        .self_exact_ns = one->self_exact,
                        .total_sampled_ns = one->total_sampled,
                        .total_exact_ns = one->total_exact,
                        .self_error_ns = one->self_error_ns,
                        .total_error_ns = one->total_error_ns};
    return true;
}
