/* SPDX-License-Identifier: MIT */
/* Two targets behind one byte: a whole file as it is, and chunks whose checksums this makes right, so that mutation reaches what lies below
 * them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "formats/hyprof/chunk.h"
#include "formats/hyprof/hyprof.h"
#include "formats/pprof/pprof.h"

/* Which of so many, by all of the bytes: with every format for every file it would take minutes. */
static size_t chosen(const uint8_t *bytes, size_t size, size_t count) {
    size_t sum = 0;
    if (count == 0)
        abort();
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum % count;
}

/* A table has no stacks, and pprof refuses what its readers could not add up. */
static bool is_right(const hp_profile *profile, const hp_format *format, hp_status status) {
    bool table = profile->tree.count <= 1 && profile->row_count != 0;
    bool wants_stacks = (format->keeps & HP_KEEPS_STACKS) != 0 && format != &hp_format_hyprof;
    if (table && wants_stacks)
        return status == HP_UNSUPPORTED;
    return status == HP_OK || (status == HP_UNSUPPORTED && format == &hp_format_pprof);
}

/* Whatever numbers the file claims, its profile can be exported. Small trees only: some formats repeat each stack. */
static void check_export(const hp_profile *profile, const hp_format *format) {
    hp_sink *sink = NULL;
    hp_error error = {0};
    if (profile->tree.count > 1000 || format->write == NULL)
        return;
    if (hp_sink_memory(&sink) != HP_OK)
        abort();
    hp_status status = format->write(sink, profile, &error);
    if (!is_right(profile, format, status) || (status != HP_OK && !is_sentence(&error)))
        abort();
    hp_sink_free(sink);
}

/* As merges read files that nobody vouches for. What is read of less cannot fail where all could be read. */
static void check_cheaper(const uint8_t *bytes, size_t size, bool readable) {
    const hp_read_function cheaper[] = {hp_format_hyprof.read_parts, hp_format_hyprof.read_sources};
    for (size_t i = 0; i < sizeof cheaper / sizeof *cheaper; i++) {
        hp_profile *profile = NULL;
        hp_error error = {0};
        hp_status status = cheaper[i](bytes, size, &profile, &error);
        if ((status == HP_OK) != (profile != NULL) || (status != HP_OK && (!is_sentence(&error) || readable)))
            abort();
        if (status == HP_OK && hp_profile_check_parts(profile, &error) != HP_OK)
            abort();
        hp_profile_free(profile);
    }
}

static size_t format_count(void) {
    size_t count = 0;
    while (hp_formats[count] != NULL)
        count++;
    return count;
}

/* What could be read must be a profile that writes, and reads again as the same bytes. */
static void check_read(const uint8_t *bytes, size_t size) {
    hp_profile *profile = NULL;
    hp_sink *sink = NULL;
    hp_error error = {0};
    size_t written = 0;
    hp_status status = hp_format_hyprof.read(bytes, size, &profile, &error);
    hp_format_hyprof.recognize(bytes, size);
    check_cheaper(bytes, size, status == HP_OK);
    if (status != HP_OK) {
        if (profile != NULL || !is_sentence(&error))
            abort();
        return;
    }
    if (hp_profile_check(profile, &error) != HP_OK || hp_sink_memory(&sink) != HP_OK)
        abort();
    if (hp_format_hyprof.write(sink, profile, &error) != HP_OK || hp_sink_flush(sink, &error) != HP_OK)
        abort();
    check_export(profile, hp_formats[chosen(bytes, size, format_count())]);
    hp_profile_free(profile);
    const uint8_t *again = hp_sink_bytes(sink, &written);
    if (hp_format_hyprof.read(again, written, &profile, &error) != HP_OK)
        abort();
    hp_profile_free(profile);
    hp_sink_free(sink);
}

/* {type, size (2 bytes), payload} again and again; type 255 commits. The last commit and the end mark are given. */
static void check_chunks(const uint8_t *bytes, size_t size) {
    hp_group group = {0};
    hp_group_file_header(&group);
    while (size >= 3) {
        size_t payload = bytes[1] | (size_t)bytes[2] << 8;
        if (payload > size - 3)
            payload = size - 3;
        if (bytes[0] == 255)
            hp_group_commit(&group);
        else
            hp_group_chunk(&group, bytes[0], bytes + 3, payload, 0);
        bytes += 3 + payload;
        size -= 3 + payload;
    }
    hp_group_commit(&group);
    hp_group_end(&group);
    if (hp_group_status(&group, NULL) == HP_OK)
        check_read(group.out.data, group.out.size);
    hp_group_free(&group);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size > 0 && (bytes[0] & 1) == 0)
        check_read(bytes + 1, size - 1);
    else if (size > 0)
        check_chunks(bytes + 1, size - 1);
    return 0;
}
