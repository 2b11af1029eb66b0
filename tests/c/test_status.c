/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/status.h"
#include "support/check.h"

static void test_fills_and_returns(void **state) {
    (void)state;
    hp_error error = {0};
    assert_int_equal(hp_fail(&error, HP_IO, ENOENT, "cannot read %s: %m", "x"), HP_IO);
    assert_int_equal(error.status, HP_IO);
    assert_int_equal(error.system, ENOENT);
    assert_string_equal(error.text, "cannot read x: No such file or directory");
    assert_int_equal(hp_fail(NULL, HP_FULL, 0, "nobody listens"), HP_FULL);
}

static void test_cuts_long_text(void **state) {
    (void)state;
    hp_error error;
    char text[2 * HP_ERROR_TEXT];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    hp_fail(&error, HP_BAD_VALUE, 0, "%s", text);
    assert_int_equal(strlen(error.text), HP_ERROR_TEXT - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fills_and_returns), cmocka_unit_test(test_cuts_long_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
