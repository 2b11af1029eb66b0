/* SPDX-License-Identifier: MIT */
#ifndef HP_FORMATS_PSTATS_WRITER_H
#define HP_FORMATS_PSTATS_WRITER_H

#include "formats/format.h"

hp_status hp_pstats_write(hp_sink *sink, const hp_profile *profile, hp_error *error);

#endif
