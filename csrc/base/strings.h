/* SPDX-License-Identifier: MIT */
/* Interned strings: equal bytes are one string with one id and one address, so that the floors above compare integers.
 *
 * Invariant: ids are dense from 0 in order of first appearance; an address stays valid until hp_strings_free.
 * Fork-safe in the sense of base/order.h (a string that the fork cut off may later get a second id). Owner: one thread, or whoever holds
 * the lock of the structure it is part of. */
#ifndef HP_BASE_STRINGS_H
#define HP_BASE_STRINGS_H

#include <stddef.h>
#include <stdint.h>

#define HP_NO_STRING UINT32_MAX

typedef struct hp_strings hp_strings;

/* NULL when memory is short. */
hp_strings *hp_strings_new(void);
void hp_strings_free(hp_strings *strings);

/* The id of these bytes, new or known; HP_NO_STRING when memory is short. A string may hold NULs; it is NUL-terminated in any case. */
uint32_t hp_strings_id(hp_strings *strings, const char *text, size_t size);
/* HP_NO_STRING if it was never added. */
uint32_t hp_strings_find(const hp_strings *strings, const char *text, size_t size);
const char *hp_strings_text(const hp_strings *strings, uint32_t id);
size_t hp_strings_size(const hp_strings *strings, uint32_t id);
uint32_t hp_strings_count(const hp_strings *strings);
/* Of memory, about: what the arena has taken in advance is not in it. */
uint64_t hp_strings_bytes(const hp_strings *strings);

/* The interned address of a NUL-terminated string; NULL when memory is short. */
const char *hp_strings_intern(hp_strings *strings, const char *text);

#endif
