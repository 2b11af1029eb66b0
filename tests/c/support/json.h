/* SPDX-License-Identifier: MIT */
/* A strict JSON reader for tests: whatever RFC 8259 does not allow fails the test. */
#ifndef HP_TESTS_SUPPORT_JSON_H
#define HP_TESTS_SUPPORT_JSON_H

#include <stddef.h>
#include <stdint.h>

typedef struct hp_test_json {
    char type;  /* '{', '[', '"', '0' (a number), 't', 'f', 'n' */
    char *text; /* of a string, decoded; of a number, as it stands */
    size_t count;
    struct hp_test_json *items; /* of an object: its values */
    char **keys;
} hp_test_json;

/* One value and nothing but white space after it; for the caller to free. */
hp_test_json *hp_test_json_parse(const char *text, size_t size);
void hp_test_json_free(hp_test_json *value);

/* Fails the test where there is no such member. */
const hp_test_json *hp_test_json_at(const hp_test_json *object, const char *key);
/* Fails the test where it is no string. */
const char *hp_test_json_text(const hp_test_json *value);
/* Of a number that is a natural number. */
uint64_t hp_test_json_u64(const hp_test_json *value);
/* Of a number in ms, in ns: it must have six digits after the point at most. */
uint64_t hp_test_json_ns(const hp_test_json *value);

#endif
