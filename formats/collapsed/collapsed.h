/* SPDX-License-Identifier: MIT */
#ifndef HP_FORMATS_COLLAPSED_H
#define HP_FORMATS_COLLAPSED_H

#include "formats/format.h"

extern const hp_format hp_format_collapsed;

#endif
