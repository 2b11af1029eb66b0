/* SPDX-License-Identifier: MIT */
/* Strings from untrusted bytes. Private to formats/hyprof. */
#ifndef HP_HYPROF_TEXT_H
#define HP_HYPROF_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/strings.h"

/* What all mended texts of a file may take together. A bad byte becomes three, and 64 of them may be one byte of the file. */
enum { HP_MENDED_LIMIT = 16 << 20 };

/* Interns what the file holds as text. Valid UTF-8, and lone surrogates in three bytes, stay as they are, so a round trip is exact; a byte
 * that is neither becomes the lone surrogate U+DC00 + byte, as Python's `surrogateescape` does, so that whoever decodes the text later
 * cannot fail; what a mended text takes is counted down from `*mended_left` first. HP_BAD_FORMAT for a NUL, which nothing can hold, and
 * where too little is left. */
hp_status hp_text_read(hp_strings *strings, const uint8_t *bytes, size_t size, size_t *mended_left, uint32_t *id, hp_error *error);

#endif
