/* SPDX-License-Identifier: MIT */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* errno is set first so that a format may say `%m` for the system's own words. */
hp_status hp_fail(hp_error *error, hp_status status, int system, const char *format, ...) {
    if (error == NULL)
        return status;
    error->status = status;
    error->system = system;
    va_list arguments;
    va_start(arguments, format);
    errno = system;
    if (vsnprintf(error->text, sizeof error->text, format, arguments) < 0)
        error->text[0] = '\0';
    va_end(arguments);
    return status;
}
