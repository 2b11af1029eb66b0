/* SPDX-License-Identifier: MIT */
/* Names as every viewer can take them: control characters, U+2028/2029, lone surrogates and bytes that are no UTF-8 are written as
 * escapes (`\n`, `\x0b`, `\u2028`), all else as it is. A backslash is not doubled, so what was escaped once stays the same the second time.
 */
#ifndef HP_FORMATS_TEXT_H
#define HP_FORMATS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sink.h"

enum {
    HP_TEXT_SEMICOLON = 1u << 0, /* also `;`, which separates frames in collapsed stacks */
    HP_TEXT_SCRIPT = 1u << 1,    /* also `</script`, which ends snakeviz's page: becomes `<\/script` */
};

enum { HP_TEXT_STEP_LIMIT = 8 }; /* bytes that one step writes at most */

/* Writes what stands for the first character of `text` (`left` > 0 bytes), moves `*out` behind it and returns how many bytes of `text` it
 * took. */
size_t hp_text_step(char **out, const char *text, size_t left, unsigned also);
/* How many bytes hp_text_escape may need at most, the final NUL included. */
static inline size_t hp_text_escaped_limit(size_t size) {
    return 4 * size + 1;
}
/* How many bytes hp_text_escape writes, the final NUL not included. */
size_t hp_text_escaped_size(const char *text, size_t size, unsigned also);
/* Whether these bytes are UTF-8 (surrogates allowed). */
bool hp_text_is_utf8(const void *bytes, size_t size);
/* Whether hp_text_escape would change nothing. */
bool hp_text_is_plain(const char *text, size_t size, unsigned also);
/* Writes the escaped text and a NUL; returns its length. `out` has hp_text_escaped_limit(size) bytes. */
size_t hp_text_escape(char *out, const char *text, size_t size, unsigned also);
/* What sentences show of a text of the file: its beginning, escaped, in `out`, and `...` where there is more. */
enum { HP_TEXT_SHOWN = 40, HP_TEXT_SHOWN_ROOM = 4 * HP_TEXT_SHOWN + HP_TEXT_STEP_LIMIT + 4 };
const char *hp_text_shown(char out[HP_TEXT_SHOWN_ROOM], const void *text, size_t size);
void hp_text_write(hp_sink *sink, const char *text, unsigned also);

#endif
