/* SPDX-License-Identifier: MIT */
/* What a function below `module/` returns. No function here prints, exits or touches a Python error. */
#ifndef HP_BASE_STATUS_H
#define HP_BASE_STATUS_H

typedef enum hp_status {
    HP_OK = 0,
    HP_NO_MEMORY,   /* malloc or mmap refused */
    HP_IO,          /* a system call failed: hp_error.system has errno */
    HP_BAD_FORMAT,  /* a file is not what it claims to be */
    HP_UNSUPPORTED, /* known, but not possible here (platform, format without a reader, ...) */
    HP_BAD_VALUE,   /* an argument is outside its range */
    HP_AGAIN,       /* the world changed underneath: try again */
    HP_FULL,        /* a bound was reached; what did not fit was counted */
} hp_status;

enum { HP_ERROR_TEXT = 480 };

/* One sentence for the user: what was wrong, with its value, and what would be right. Owner: the caller. */
typedef struct hp_error {
    hp_status status;
    int system; /* errno, or 0 */
    char text[HP_ERROR_TEXT];
} hp_error;

/* Fills `error` (may be NULL) and returns `status`, so that `return hp_fail(error, HP_IO, errno, "...")` is one line. Text is cut to fit.
 */
hp_status hp_fail(hp_error *error, hp_status status, int system, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
