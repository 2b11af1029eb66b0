/* SPDX-License-Identifier: MIT */
/* What targets do with every format: what must hold whatever the bytes are, or the process aborts. */
#ifndef HP_TESTS_FUZZ_CHECKED_H
#define HP_TESTS_FUZZ_CHECKED_H

#include <stdlib.h>
#include <string.h>

#include "formats/format.h"
#include "formats/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

typedef hp_status (*hp_read_function)(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);

/* A line that a terminal can show, whatever is in the file. */
static inline bool is_sentence(const hp_error *error) {
    return error->text[0] != '\0' && hp_text_is_plain(error->text, strlen(error->text), 0);
}

/* A sound profile; NULL where the bytes were refused with a sentence. */
static inline hp_profile *checked_read(const hp_format *format, const uint8_t *bytes, size_t size) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    hp_status status = format->read(bytes, size, &profile, &error);
    if ((status == HP_OK) != (profile != NULL) || (status != HP_OK && !is_sentence(&error)))
        abort();
    if (status == HP_OK && hp_profile_check(profile, &error) != HP_OK)
        abort();
    return profile;
}

static inline hp_sink *checked_write(const hp_format *format, const hp_profile *profile, hp_status expected) {
    hp_sink *sink = NULL;
    hp_error error = {0};
    if (hp_sink_memory(&sink) != HP_OK || format->write(sink, profile, &error) != expected)
        abort();
    return sink;
}

#endif
