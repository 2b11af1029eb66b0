/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "formats/format.h"
#include "formats/text.h"
#include "support/bytes.h"
#include "support/profiles.h"

static char folder[] = "/tmp/hybridprof-test-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

static const char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_file(const char *path, const char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        abort();
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void assert_format(const char *path, const char *name) {
    const hp_format *format = hp_format_for_path(path);
    if (name == NULL) {
        assert_null(format);
        return;
    }
    assert_non_null(format);
    assert_string_equal(format->name, name);
}

static void test_table(void **state) {
    (void)state;
    assert_string_equal(hp_format_named("pstats")->name, "pstats");
    assert_null(hp_format_named("pstat"));
    assert_null(hp_format_named(""));
    assert_format("out.pstats", "pstats");
    assert_format("/tmp/x.y/out.prof", "pstats");
    assert_format("callgrind.out", "callgrind");
    assert_format("/srv/callgrind.out.svc.42", "callgrind");
    assert_format("callgrind.out.prof", "callgrind");
    assert_format("callgrind.out.d/x.prof", "pstats");
    assert_format("svc.callgrind", "callgrind");
    assert_format("svc.folded", "collapsed");
    assert_format("svc.collapsed", "collapsed");
    assert_format("svc.hyprof", "hyprof");
    assert_format("svc.pb.gz", "pprof");
    assert_format("svc.gz", NULL);
    assert_format("svc.speedscope.json", "speedscope");
    assert_format("svc.gecko.json", "gecko");
    assert_format("svc.json", NULL);
    assert_format("svc.PSTATS", NULL);
    assert_format("out.prof.gz", NULL);
    assert_format("", NULL);
    assert_format("dir.prof/", NULL);
}

static void test_export_and_import(void **state) {
    (void)state;
    const char *path = in_folder("x.pstats");
    hp_error error = {0};
    hp_profile *profile = hp_fixture_make("plain"), *back = NULL;
    assert_int_equal(hp_export(profile, path, hp_format_for_path(path), &error), HP_OK);
    assert_int_equal(hp_import(path, HP_IMPORT_ALL, &back, &error), HP_OK);
    assert_int_equal(back->row_count, profile->row_count);
    assert_int_equal(unlink(path), 0);
    hp_profile_free(back);
    hp_profile_free(profile);
}

/* What cannot be written leaves the old file alone. */
static void test_failed_export(void **state) {
    (void)state;
    const char *path = in_folder("old.collapsed");
    hp_error error = {0};
    hp_profile *profile = hp_fixture_make("plain"), *table = NULL;
    size_t size = 0;
    char *bytes = hp_test_export(profile, hp_format_named("pstats"), &size);
    table = hp_test_read(hp_format_named("pstats"), bytes, size);
    put_file(path, "old", 3);
    assert_int_equal(hp_export(table, path, hp_format_named("collapsed"), &error), HP_UNSUPPORTED);
    assert_non_null(strstr(error.text, "whole stacks"));
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 3);
    assert_int_equal(unlink(path), 0);
    free(bytes);
    hp_profile_free(table);
    hp_profile_free(profile);
}

static void assert_refused(const char *path, hp_status status, const char *words) {
    hp_error error = {0};
    hp_profile *profile = NULL;
    assert_int_equal(hp_import(path, HP_IMPORT_ALL, &profile, &error), status);
    assert_null(profile);
    assert_non_null(strstr(error.text, path));
    if (strstr(error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
}

static void assert_bytes_refused(const char *bytes, size_t size, hp_status status, const char *words) {
    const char *path = in_folder("bad");
    put_file(path, bytes, size);
    assert_refused(path, status, words);
    assert_int_equal(unlink(path), 0);
}

static void test_refusals(void **state) {
    (void)state;
    assert_refused(in_folder("missing"), HP_IO, "No such file");
    assert_refused(folder, HP_BAD_VALUE, "is a directory");
    assert_bytes_refused("", 0, HP_BAD_FORMAT, "is empty");
    assert_bytes_refused("\x89PNG\r\n", 6, HP_BAD_FORMAT, "is not a profile that can be read");
    assert_bytes_refused("{\"a\": 1}", 8, HP_BAD_FORMAT, "pstats");
    assert_bytes_refused("# callgrind format\n", 19, HP_UNSUPPORTED, "callgrind file");
    static const char speedscope[] = "{\"profiles\": [], \"$schema\": \"https://www.speedscope.app/file-format-schema.json\"}";
    assert_bytes_refused(speedscope, sizeof speedscope - 1, HP_UNSUPPORTED, "is a speedscope file, which is only written, not read");
    static const char gecko[] = "{\"meta\":{\"preprocessedProfileVersion\":58}}";
    assert_bytes_refused(gecko, sizeof gecko - 1, HP_UNSUPPORTED, "is a gecko file, which is only written, not read");
    assert_bytes_refused("{(\x03\0\0\0", 6, HP_BAD_FORMAT, "cut short");
    assert_bytes_refused("\x1f\x8b\x08\0", 4, HP_BAD_FORMAT, "cut short");
    assert_bytes_refused("Chapter 1\nof a book\n", 20, HP_BAD_FORMAT, "is not a profile that can be read");
    assert_bytes_refused("Chapter 1\nChapter 2\n", 20, HP_BAD_FORMAT, "no collapsed stacks");
    assert_bytes_refused("{)\x02i\0\0\0\0", 8, HP_BAD_FORMAT, "(file, line, name)");
}

static void test_too_large(void **state) {
    (void)state;
    const char *path = in_folder("large.prof");
    put_file(path, "{(", 2);
    assert_int_equal(truncate(path, ((off_t)4 << 30) + 1), 0);
    hp_error error = {0};
    hp_profile *profile = NULL;
    assert_int_equal(hp_import(path, HP_IMPORT_ALL, &profile, &error), HP_BAD_VALUE);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(unlink(path), 0);
}

static void assert_escaped(const char *text, unsigned also, const char *expected) {
    char out[256];
    size_t size = hp_text_escape(out, text, strlen(text), also);
    assert_string_equal(out, expected);
    assert_int_equal(size, strlen(expected));
    assert_int_equal(size, hp_text_escaped_size(text, strlen(text), also));
    assert_true(size < hp_text_escaped_limit(strlen(text)));
    assert_int_equal(hp_text_is_plain(text, strlen(text), also), strcmp(text, expected) == 0);
    /* Once escaped, nothing is left to escape. */
    assert_true(hp_text_is_plain(out, size, also));
    hp_sink *sink = NULL;
    assert_int_equal(hp_sink_memory(&sink), HP_OK);
    hp_text_write(sink, text, also);
    const uint8_t *bytes = hp_sink_bytes(sink, &size);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(bytes, expected, size);
    hp_sink_free(sink);
}

static void test_escapes(void **state) {
    (void)state;
    assert_escaped("plain <lambda> na\xc3\xafve \xf0\x9f\x90\x8d \\ %s ; \"", 0, "plain <lambda> na\xc3\xafve \xf0\x9f\x90\x8d \\ %s ; \"");
    assert_escaped("a\nb\rc\td\x0b\x01\x7f", 0, "a\\nb\\rc\\td\\x0b\\x01\\x7f");
    assert_escaped("\xc2\x85\xc2\x9f\xc2\xa0", 0, "\\x85\\x9f\xc2\xa0");
    assert_escaped("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 0, "\\u2028\\u2029\xe2\x80\xaa");
    assert_escaped("\xed\xa0\x80\xed\xbf\xbf\xed\x9f\xbf\xee\x80\x80", 0, "\\ud800\\udfff\xed\x9f\xbf\xee\x80\x80");
    assert_escaped("\xff\xc0\x80\xe2\x80", 0, "\\xff\\xc0\\x80\\xe2\\x80");
    assert_escaped("\xf4\x90\x80\x80\xf0\x8f\xbf\xbf", 0, "\\xf4\\x90\\x80\\x80\\xf0\\x8f\\xbf\\xbf");
    assert_escaped("a;b", HP_TEXT_SEMICOLON, "a\\x3bb");
    assert_escaped("</SCript> </scrip <", HP_TEXT_SCRIPT, "<\\/SCript> </scrip <");
    assert_escaped("", HP_TEXT_SCRIPT, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),    cmocka_unit_test(test_export_and_import), cmocka_unit_test(test_failed_export),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_too_large),         cmocka_unit_test(test_escapes),
    };
    return cmocka_run_group_tests_name("formats", tests, make_folder, remove_folder);
}
