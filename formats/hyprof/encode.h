/* SPDX-License-Identifier: MIT */
/* From profiles to groups of chunks. Private to formats/hyprof.
 *
 * Two steps, so that a write that fails (disk full) costs nothing but that write: hp_encoder_take finds or makes the ids of everything in a
 * profile and notes its values beside the record; hp_encoder_write turns the difference into chunks. Only hp_encoder_written, called when
 * the bytes are in the file, makes the values the record. Ids that a failed write has left behind are still unwritten and go out with the
 * next one. Owner: one thread, or whoever holds the lock of the stream. */
#ifndef HP_HYPROF_ENCODE_H
#define HP_HYPROF_ENCODE_H

#include "base/pairs.h"
#include "base/strings.h"
#include "formats/hyprof/chunk.h"
#include "formats/hyprof/record.h"

/* What a node shall be when the next group is written. */
typedef struct hp_node_values {
    uint64_t samples, sampled, calls, exact, overhead;
    uint32_t flags;
    bool present;
} hp_node_values;

typedef struct hp_encoder {
    hp_record record;    /* what the file says; `profile` also numbers functions and nodes */
    hp_strings *strings; /* numbers the strings of the file */
    hp_pairs line_ids, estimate_ids;
    /* How many of each the file has. */
    uint32_t written_strings, written_functions, written_nodes, written_lines, written_estimates;

    /* What the profile that was taken says, by file id. */
    const hp_profile *taken;
    hp_node_values *nodes;
    uint32_t node_capacity;
    uint8_t *functions; /* 1: present */
    uint32_t function_capacity;
    hp_line *lines;
    uint32_t line_capacity;
    hp_estimate *estimates;
    uint32_t estimate_capacity;
    hp_profile_thread *threads;
    uint32_t thread_capacity;
    hp_row *rows;
    uint32_t row_count, row_capacity;
    hp_edge *edges;
    uint32_t edge_count, edge_capacity;
    bool moments_elsewhere;            /* the timeline is in the file already, or brought there by another way */
    bool has_timeline;                 /* the file says that there is one */
    uint32_t *function_map, *node_map; /* from the profile's ids to the file's */
    uint32_t function_map_capacity, node_map_capacity;
} hp_encoder;

hp_status hp_encoder_init(hp_encoder *encoder);
void hp_encoder_fini(hp_encoder *encoder);

/* `profile` must live until hp_encoder_written. */
hp_status hp_encoder_take(hp_encoder *encoder, const hp_profile *profile, hp_error *error);
/* Appends one committed group to `group`; whether that worked is the group's to say. */
void hp_encoder_write(const hp_encoder *encoder, hp_group *group);
/* All but the commit, for who has more to put into the group. */
void hp_encoder_write_open(const hp_encoder *encoder, hp_group *group);
/* An empty encoder gives nodes and functions the ids that `from` gave them: what refers to them can be taken over as it is. */
hp_status hp_encoder_number_as(hp_encoder *encoder, const hp_encoder *from);
/* The group is in the file. Cannot fail: whatever it needs was reserved when the profile was taken, and of facts and warnings, which are
 * written whole, an old memory is harmless. */
void hp_encoder_written(hp_encoder *encoder);

#endif
