/* SPDX-License-Identifier: MIT */
#ifndef HP_FORMATS_SPEEDSCOPE_H
#define HP_FORMATS_SPEEDSCOPE_H

#include "formats/format.h"

extern const hp_format hp_format_speedscope;

#endif
