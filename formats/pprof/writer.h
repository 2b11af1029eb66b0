/* SPDX-License-Identifier: MIT */
#ifndef HP_PPROF_WRITER_H
#define HP_PPROF_WRITER_H

#include "formats/format.h"

hp_status hp_pprof_write(hp_sink *sink, const hp_profile *profile, hp_error *error);

#endif
