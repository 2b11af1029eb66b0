/* SPDX-License-Identifier: MIT */
/* Metadata and session-wide counters as msgpack maps: only what changed is written, keys that a reader does not know are passed over.
 * Private to formats/hyprof. */
#ifndef HP_HYPROF_FACTS_H
#define HP_HYPROF_FACTS_H

#include "formats/hyprof/chunk.h"
#include "formats/hyprof/cursor.h"
#include "tree/profile.h"

struct msgpack_packer;

/* Writes META and COUNTERS, each if something in it differs between what is `known` and what is `now`. */
void hp_facts_write(hp_group *group, const hp_profile *known, const hp_profile *now);
/* One map of all that differs from nothing, as the sources of a merged profile are written. */
void hp_facts_pack_meta(struct msgpack_packer *packer, const hp_meta *meta);
/* The map at the cursor; its end is behind it. `mended_left`: as hp_text_read has it. */
hp_status hp_facts_read_map(hp_profile *profile, hp_cursor *cursor, size_t *mended_left, hp_error *error);
/* Reads either map into `profile`, whose strings own the texts. */
hp_status hp_facts_read(hp_profile *profile, const uint8_t *raw, size_t size, size_t *mended_left, hp_error *error);
/* Copies all facts (the warnings are not among them); `to` owns its copies of the texts. Where memory is short `to` keeps what it had of
 * some. */
hp_status hp_facts_copy(hp_profile *to, const hp_profile *from);

#endif
