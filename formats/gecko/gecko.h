/* SPDX-License-Identifier: MIT */
#ifndef HP_FORMATS_GECKO_H
#define HP_FORMATS_GECKO_H

#include "formats/format.h"

extern const hp_format hp_format_gecko;

#endif
