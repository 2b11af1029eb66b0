/* SPDX-License-Identifier: MIT */
/* What every C test includes: cmocka behind the headers that it wants first. */
#ifndef HP_TESTS_CHECK_H
#define HP_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#define assert_ok(expression) assert_int_equal((expression), 0)

#endif
