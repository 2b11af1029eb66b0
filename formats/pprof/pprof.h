/* SPDX-License-Identifier: MIT */
#ifndef HP_FORMATS_PPROF_H
#define HP_FORMATS_PPROF_H

#include "formats/format.h"

extern const hp_format hp_format_pprof;

#endif
