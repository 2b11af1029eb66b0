/* SPDX-License-Identifier: MIT */
/* What readers of other people's files share. */
#ifndef HP_FORMATS_READING_H
#define HP_FORMATS_READING_H

#include <stdbool.h>
#include <stddef.h>

#include "tree/profile.h"
#include "tree/totals.h"

/* The profile's own copy of a text that nobody vouches for: what cannot stand in a profile (NUL, bytes that are no UTF-8) is escaped. ""
 * when memory is short. What it takes, escaped, is counted down from `*left` before it is taken, NULL where it is more; `left` NULL: the
 * file's size bounds it. */
const char *hp_reading_text(hp_profile *profile, const void *text, size_t size, uint64_t *left);
/* The same file read twice must merge as one: its id is made of its bytes. */
void hp_reading_identify(hp_profile *profile, const void *bytes, size_t size);
/* The sums of a file's threads from its tree, for a file that does not tell them: what was measured is what is there. */
hp_status hp_reading_settle_threads(hp_profile *profile);

/* The last part of a dotted name. */
const char *hp_reading_last_part(const char *qualname);
/* Splits a label, `module.qualname` as programs show it, of a function whose `file` is given. `whole`: it is one of ours, which always
 * begin with a module (or what stands for it); else it may be the qualname alone. */
void hp_reading_name(hp_profile *profile, const char *label, bool whole, hp_function *function);
/* What has no file is no Python code: `<block NAME>`, `<thread NAME #n>` and a few more are ours, the rest are functions in C. */
void hp_reading_name_unfiled(hp_profile *profile, const char *name, hp_function *function);
/* Whether a name is `<thread NAME #n>`, and the thread of that name, with its root: its number may be another here. HP_NO_NODE when memory
 * is short. */
bool hp_reading_is_thread(const char *name);
uint32_t hp_reading_add_thread(hp_profile *profile, const char *name);

#endif
