/* SPDX-License-Identifier: MIT */
/* Reading collapsed stacks: reader.c goes through the lines, frames.c knows what a frame says. */
#ifndef HP_COLLAPSED_READER_H
#define HP_COLLAPSED_READER_H

#include "base/strings.h"
#include "formats/format.h"

bool hp_collapsed_recognize(const uint8_t *bytes, size_t size);
hp_status hp_collapsed_read(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);

/* What a frame's text stands for. A text is judged once, however often it occurs. */
typedef struct hp_collapsed_frame {
    uint32_t function; /* HP_NO_FUNCTION: not judged yet */
    uint32_t thread;   /* the thread that it is the root of, or HP_NO_NODE */
    uint32_t line;     /* where it was, 0: not told */
} hp_collapsed_frame;

typedef struct hp_collapsed_frames {
    hp_profile *profile;
    hp_strings *texts;
    hp_collapsed_frame *frames; /* by text */
    uint32_t capacity;
    bool ours; /* a number behind a file is the function's first line; else the line that ran */
} hp_collapsed_frames;

/* Whether the text is `<thread NAME #n>`, as all of our lines begin. */
bool hp_collapsed_is_thread(const uint8_t *text, size_t size);
/* How much of the text is the thread, as others write it at the beginning of a stack: `P1;T2` (Austin), `tid:3` (Tachyon). 0: nothing. */
size_t hp_collapsed_thread_size(const uint8_t *text, size_t size);
/* NULL when memory is short; valid until the next call. */
const hp_collapsed_frame *hp_collapsed_frame_of(hp_collapsed_frames *all, const uint8_t *text, size_t size);
void hp_collapsed_frames_fini(hp_collapsed_frames *all);

#endif
