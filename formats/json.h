/* SPDX-License-Identifier: MIT */
/* JSON text, written as it comes: nothing is kept but one flag. A comma is due where something stands before within the same brackets, and
 * an opening bracket or a key says that nothing does, so no stack of brackets is needed. Balance is the caller's.
 *
 * Strings are names as viewers can take them (text.h): lone surrogates, control characters, U+2028/2029 and bytes that are no UTF-8 become
 * escapes that a reader sees as text, `\n` or `\xff`. So any text gives valid JSON, and no `</script` that would end a page around it.
 *
 * Numbers are integers, written whole, or decimals made of them: never printf's `%f`, which follows the locale. Readers in JavaScript hold
 * them as doubles: integers up to 2^53 exactly, which is 104 days of ns; beyond that what they show is off by one part in 2^53 at most. */
#ifndef HP_FORMATS_JSON_H
#define HP_FORMATS_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sink.h"

typedef struct hp_json {
    hp_sink *sink;
    bool follows; /* a comma is due before the next value or key */
    bool breaks;  /* and a line break */
} hp_json;

/* '{' or '[', and '}' or ']'. */
void hp_json_open(hp_json *json, char bracket);
void hp_json_close(hp_json *json, char bracket);
/* One of our own words: written as it is. */
void hp_json_key(hp_json *json, const char *key);
/* The next value or key begins a line. For people who read the file. */
void hp_json_break(hp_json *json);

void hp_json_string(hp_json *json, const char *text);
/* The two as one string. */
void hp_json_joined(hp_json *json, const char *first, const char *second);
void hp_json_u64(hp_json *json, uint64_t value);
/* ns as milliseconds with all their digits: 1500000 is 1.5, 1 is 0.000001. A double times 1e6 is the same ns again up to 2^51 of them, 26
 * days. */
void hp_json_ms(hp_json *json, uint64_t ns);
/* JSON already: `true`, `null`, or a list that was made elsewhere. */
void hp_json_raw(hp_json *json, const char *text, size_t size);

/* Whether these bytes begin as an object does and hold `text` near their beginning or end, wherever the exporter put what tells its format.
 */
bool hp_json_recognize(const uint8_t *bytes, size_t size, const char *text);

#endif
