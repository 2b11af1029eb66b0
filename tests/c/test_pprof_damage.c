/* SPDX-License-Identifier: MIT */
/* Damaged and hostile pprof files: a sentence or a sound profile, in bounded memory and time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "support/check.h"

#include "formats/pprof/gzip.h"
#include "formats/pprof/pprof.h"
#include "support/bytes.h"
#include "support/messages.h"
#include "support/profiles.h"

/* --- damage ------------------------------------------------------------------------------------------------------------------------ */

/* A sentence, or a profile that is sound; of compressed files, whose checksum tells, only the same profile. */
static bool survives(const uint8_t *bytes, size_t size) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    hp_status status = hp_format_pprof.read(bytes, size, &profile, &error);
    if (status == HP_OK)
        assert_ok(hp_profile_check(profile, &error));
    else
        assert_int_not_equal(error.text[0], '\0');
    hp_profile_free(profile);
    return status == HP_OK;
}

static void test_damage(void **state) {
    (void)state;
    for (size_t i = 0; hp_fixtures[i].name != NULL; i++) {
        char path[128];
        size_t size = 0;
        snprintf(path, sizeof path, "formats/pprof/golden/%s.pb", hp_fixtures[i].name);
        char *bytes = hp_test_source_file(path, &size);
        assert_non_null(bytes);
        for (size_t at = 0; at < size; at++) {
            uint8_t *cut = malloc(at + 1);
            memcpy(cut, bytes, at);
            survives(cut, at);
            free(cut);
            bytes[at] ^= (char)(1u << at % 8);
            survives((uint8_t *)bytes, size);
            bytes[at] ^= (char)(1u << at % 8);
        }
        assert_true(survives((uint8_t *)bytes, size));
        free(bytes);
    }
}

static bool inflates_to(const uint8_t *bytes, size_t size, const uint8_t *raw, size_t raw_size) {
    uint8_t *other = NULL;
    size_t other_size = 0;
    bool same = hp_gunzip(bytes, size, &other, &other_size, NULL) == HP_OK && other_size == raw_size && memcmp(raw, other, raw_size) == 0;
    free(other);
    return same;
}

/* The header's time, flags and system may change, and what stands for the same content; all else the checksum finds. */
static void test_damage_of_compressed(void **state) {
    (void)state;
    size_t size = 0;
    hp_profile *profile = hp_fixture_make("mixed");
    uint8_t *bytes = (uint8_t *)hp_test_export(profile, &hp_format_pprof, &size);
    uint8_t *raw = NULL;
    size_t raw_size = 0;
    assert_ok(hp_gunzip(bytes, size, &raw, &raw_size, NULL));
    assert_true(survives(bytes, size));
    for (size_t at = 0; at < size; at++) {
        assert_false(survives(bytes, at));
        for (unsigned bit = (unsigned)at % 3; bit < 8 && (at < 3 || at > 9); bit += 3) {
            bytes[at] ^= (uint8_t)(1u << bit);
            if (survives(bytes, size) && !inflates_to(bytes, size, raw, raw_size))
                fail_msg("bit %u of byte %zu of %zu: nothing was found", bit, at, size);
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
    hp_error error = {0};
    hp_profile *back = NULL;
    assert_int_equal(hp_format_pprof.read(bytes, size - 20, &back, &error), HP_BAD_FORMAT);
    assert_non_null(strstr(error.text, "cut short"));
    free(raw);
    free(bytes);
    hp_profile_free(profile);
}

/* --- bombs ------------------------------------------------------------------------------------------------------------------------- */

static uint8_t *compressed(const hp_message *message, size_t *size) {
    z_stream stream = {0};
    size_t room = compressBound(message->bytes.size) + 64;
    uint8_t *bytes = malloc(room);
    assert_int_equal(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = message->bytes.data;
    stream.avail_in = (uInt)message->bytes.size;
    stream.next_out = bytes;
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *size = room - stream.avail_out;
    deflateEnd(&stream);
    return bytes;
}

/* In a process that may use 256 MiB: a sentence. */
static void assert_bounded(hp_message *message, const char *words) {
    size_t size = 0;
    int exit_status = 1;
    uint8_t *bytes = compressed(message, &size);
    hp_bytes_free(&message->bytes);
    pid_t child = fork();
    if (child == 0) {
        hp_profile *profile = NULL;
        hp_error error = {0};
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their shadow memory needs terabytes of address space */
        struct rlimit limit = {(256u << 20) + size, (256u << 20) + size};
        setrlimit(RLIMIT_AS, &limit);
#endif
        hp_status status = hp_format_pprof.read(bytes, size, &profile, &error);
        if (status != HP_BAD_FORMAT || strstr(error.text, words) == NULL)
            fprintf(stderr, "%zu bytes: %s\n", size, error.text);
        _exit(status == HP_BAD_FORMAT && strstr(error.text, words) != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    assert_int_equal(exit_status, 0);
    free(bytes);
}

/* What deflates a thousand to one: zeros, empty strings, one endless stack, one long name for many. */
static void test_bombs(void **state) {
    (void)state;
    enum { MANY = 3 << 20 };
    hp_message m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    uint8_t *zeros = calloc(1, 65 << 20);
    hp_wire_bytes(&m.bytes, PROFILE_STRING, zeros, 65 << 20);
    assert_bounded(&m, "more than a profile of that size would be");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    for (uint32_t i = 0; i < MANY; i++)
        message_text(&m, PROFILE_STRING, "");
    assert_bounded(&m, "unfolds to more");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    memset(zeros, 1, MANY);
    hp_bytes inner = {0};
    hp_wire_bytes(&inner, SAMPLE_LOCATION, zeros, MANY);
    hp_wire_bytes(&inner, SAMPLE_VALUE, "\1", 1);
    hp_wire_bytes(&m.bytes, PROFILE_SAMPLE, inner.data, inner.size);
    hp_bytes_free(&inner);
    assert_bounded(&m, "unfolds to more");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    memset(zeros, 'x', 1 << 20);
    hp_wire_bytes(&m.bytes, PROFILE_STRING, zeros, 1 << 20);
    for (uint32_t i = 0; i < 1000; i++)
        MESSAGE_NUMBERS(&m, PROFILE_FUNCTION, i + 2, 1, 0, 5, i);
    assert_bounded(&m, "unfolds to more");
    free(zeros);
}

/* Inlined frames: a byte of a stack is a thousand steps. */
static void test_steps(void **state) {
    (void)state;
    hp_message m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    hp_bytes location = {0}, inner = {0};
    uint8_t stack[20000];
    hp_wire_number(&location, LOCATION_ID, 2);
    for (uint32_t i = 0; i < 1000; i++)
        hp_wire_bytes(&location, LOCATION_LINE, "\x08\x01", 2);
    hp_wire_bytes(&m.bytes, PROFILE_LOCATION, location.data, location.size);
    memset(stack, 2, sizeof stack);
    for (uint32_t i = 0; i < 40; i++) {
        inner.size = 0;
        hp_wire_bytes(&inner, SAMPLE_LOCATION, stack, 1000); /* a million frames, the same each time */
        hp_wire_bytes(&inner, SAMPLE_VALUE, "\1", 1);
        hp_wire_bytes(&m.bytes, PROFILE_SAMPLE, inner.data, inner.size);
    }
    hp_bytes_free(&inner);
    assert_message(&m, HP_BAD_FORMAT, "unfolds to more");
    m = small_profile(small_strings, small_types, (uint64_t[]){1}, 1);
    hp_wire_bytes(&location, LOCATION_LINE, "\x08\x01", 2);
    hp_wire_bytes(&m.bytes, PROFILE_LOCATION, location.data, location.size);
    hp_bytes_free(&location);
    assert_message(&m, HP_BAD_FORMAT, "more than 1000 lines");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_damage_of_compressed),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_steps),
    };
    return cmocka_run_group_tests_name("pprof damage", tests, NULL, NULL);
}
