/* SPDX-License-Identifier: MIT */
#include "bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profiles.h"

static char *copy(const void *bytes, size_t size) {
    char *made = malloc(size + 1);
    assert_non_null(made);
    memcpy(made, bytes, size);
    made[size] = '\0';
    return made;
}

char *hp_test_export(const hp_profile *profile, const hp_format *format, size_t *size) {
    hp_sink *sink = NULL;
    hp_error error = {0};
    assert_int_equal(hp_sink_memory(&sink), HP_OK);
    if (format->write(sink, profile, &error) != HP_OK)
        fail_msg("%s: %s", format->name, error.text);
    const uint8_t *bytes = hp_sink_bytes(sink, size);
    char *made = copy(bytes, *size);
    hp_sink_free(sink);
    return made;
}

hp_profile *hp_test_read(const hp_format *format, const void *bytes, size_t size) {
    hp_profile *profile = NULL;
    hp_error error = {0};
    if (format->read(bytes, size, &profile, &error) != HP_OK)
        fail_msg("%s: %s", format->name, error.text);
    return profile;
}

static void source_path(char *out, size_t size, const char *path) {
    const char *root = getenv("HP_SOURCE_ROOT");
    snprintf(out, size, "%s/%s", root != NULL ? root : ".", path);
}

char *hp_test_source_file(const char *path, size_t *size) {
    char full[1024];
    uint8_t *bytes = NULL;
    source_path(full, sizeof full, path);
    if (hp_read_file(full, (size_t)1 << 24, &bytes, size, NULL) != HP_OK)
        return NULL;
    char *made = copy(bytes, *size);
    free(bytes);
    return made;
}

static size_t first_difference(const char *a, const char *b, size_t size) {
    size_t at = 0;
    while (at < size && a[at] == b[at])
        at++;
    return at;
}

void hp_test_golden(const char *path, const char *bytes, size_t size) {
    const char *mode = getenv("HP_GOLDEN");
    size_t expected_size = 0;
    if (mode != NULL && strcmp(mode, "write") == 0) {
        char full[1024];
        source_path(full, sizeof full, path);
        FILE *file = fopen(full, "wb");
        if (file == NULL)
            abort();
        assert_int_equal(fwrite(bytes, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
        return;
    }
    char *expected = hp_test_source_file(path, &expected_size);
    if (expected == NULL)
        fail_msg("%s does not exist: run the test with HP_GOLDEN=write and look at what it writes", path);
    size_t at = first_difference(expected, bytes, expected_size < size ? expected_size : size);
    if (expected_size != size || at != size)
        fail_msg("%s differs from what is written now, first at byte %zu (%zu bytes there, %zu now)", path, at, expected_size, size);
    free(expected);
}

void hp_test_goldens(const hp_format *format, const char *suffix, hp_test_check check) {
    for (size_t i = 0; hp_fixtures[i].name != NULL; i++) {
        char path[128];
        size_t size = 0;
        hp_profile *profile = hp_fixtures[i].make();
        char *text = hp_test_export(profile, format, &size);
        snprintf(path, sizeof path, "formats/%s/golden/%s.%s", format->name, hp_fixtures[i].name, suffix);
        hp_test_golden(path, text, size);
        if (check != NULL)
            check(profile, text, size);
        free(text);
        hp_profile_free(profile);
    }
}

void hp_test_randoms(const hp_format *format, hp_test_check check) {
    for (uint64_t seed = 0; seed < 20; seed++) {
        size_t size = 0;
        hp_profile *profile = hp_fixture_random(seed, 50 + 40 * (uint32_t)seed, 4 + (uint32_t)seed * 3, 40, 1 + (uint32_t)seed % 3);
        char *text = hp_test_export(profile, format, &size);
        check(profile, text, size);
        free(text);
        hp_profile_free(profile);
    }
}
