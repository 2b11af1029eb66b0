/* SPDX-License-Identifier: MIT */
#ifndef HP_FORMATS_COLLAPSED_H
#define HP_FORMATS_COLLAPSED_H

#include "formats/format.h"

extern const hp_format hp_format_collapsed;

/* Lines with two numbers, `stack SAMPLED EXACT`: of a profile that hp_diff_stacks made, before and after. */
hp_status hp_collapsed_write_both(hp_sink *sink, const hp_profile *profile, hp_error *error);

#endif
