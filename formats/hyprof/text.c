/* SPDX-License-Identifier: MIT */
#include "formats/hyprof/text.h"

#include <string.h>

#include "formats/hyprof/bytes.h"

/* Length of the sequence at `at` if it is well formed (shortest form, up to U+10FFFF, surrogates allowed), else 0. */
static size_t sequence_size(const uint8_t *at, size_t left) {
    uint8_t lead = at[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size == 0 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] > 0x8f))
        return 0;
    return size;
}

static size_t valid_prefix(const uint8_t *bytes, size_t size) {
    size_t at = 0;
    while (at < size) {
        size_t step = sequence_size(bytes + at, size - at);
        if (step == 0)
            return at;
        at += step;
    }
    return at;
}

/* U+DC80 to U+DCFF, in three bytes. */
static void escape_byte(hp_bytes *out, uint8_t byte) {
    uint8_t escaped[3] = {0xed, (uint8_t)(0xb0 | byte >> 6), (uint8_t)(0x80 | (byte & 0x3f))};
    hp_bytes_add(out, escaped, sizeof escaped);
}

/* The first `good` bytes are as they should be. */
static size_t mended_size(const uint8_t *bytes, size_t size, size_t good) {
    size_t made = size;
    for (size_t at = good; at < size; at += valid_prefix(bytes + at, size - at)) {
        made += 2;
        at++;
    }
    return made;
}

static uint32_t mend(hp_strings *strings, const uint8_t *bytes, size_t size, size_t good, size_t made) {
    hp_bytes mended = {0};
    hp_bytes_reserve(&mended, made);
    for (size_t at = 0; at < size; good = valid_prefix(bytes + at, size - at)) {
        hp_bytes_add(&mended, bytes + at, good);
        at += good;
        if (at < size)
            escape_byte(&mended, bytes[at++]);
    }
    uint32_t id = mended.failed ? HP_NO_STRING : hp_strings_id(strings, (const char *)mended.data, mended.size);
    hp_bytes_free(&mended);
    return id;
}

hp_status hp_text_read(hp_strings *strings, const uint8_t *bytes, size_t size, size_t *mended_left, uint32_t *id, hp_error *error) {
    size_t good = valid_prefix(bytes, size);
    if (size > 0 && memchr(bytes, 0, size) != NULL)
        return hp_fail(error, HP_BAD_FORMAT, 0, "a string of %zu bytes holds a NUL", size);
    size_t made = good < size ? mended_size(bytes, size, good) : 0;
    if (made > *mended_left)
        return hp_fail(error, HP_BAD_FORMAT, 0, "its strings are no text: those that are no UTF-8 take more than %d bytes once mended",
                       HP_MENDED_LIMIT);
    *mended_left -= made;
    *id = good < size ? mend(strings, bytes, size, good, made) : hp_strings_id(strings, size == 0 ? "" : (const char *)bytes, size);
    return *id == HP_NO_STRING ? hp_fail(error, HP_NO_MEMORY, 0, "not enough memory for the file's strings") : HP_OK;
}
