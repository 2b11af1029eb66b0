/* SPDX-License-Identifier: MIT */
/* Exports in memory, files for tests, golden files. */
#ifndef HP_TESTS_SUPPORT_BYTES_H
#define HP_TESTS_SUPPORT_BYTES_H

#include "formats/format.h"

/* What the format writes, NUL-terminated, for the caller to free; fails the test if it cannot. */
char *hp_test_export(const hp_profile *profile, const hp_format *format, size_t *size);
/* Reads it; fails the test with the format's own sentence if it cannot. */
hp_profile *hp_test_read(const hp_format *format, const void *bytes, size_t size);
/* A file below the source tree, NUL-terminated, for the caller to free; NULL if there is none. */
char *hp_test_source_file(const char *path, size_t *size);
/* Fails unless the bytes are those of this file below the source tree. With HP_GOLDEN=write in the environment the file is written instead.
 */
void hp_test_golden(const char *path, const char *bytes, size_t size);

/* What a test asks of an export. */
typedef void (*hp_test_check)(const hp_profile *profile, const char *text, size_t size);
/* Each fixture's export is formats/FORMAT/golden/FIXTURE.SUFFIX and passes the check (NULL: that is all). */
void hp_test_goldens(const hp_format *format, const char *suffix, hp_test_check check);
/* Exports of 20 random profiles, larger and larger, pass it. */
void hp_test_randoms(const hp_format *format, hp_test_check check);

#endif
