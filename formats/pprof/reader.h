/* SPDX-License-Identifier: MIT */
#ifndef HP_PPROF_READER_H
#define HP_PPROF_READER_H

#include "formats/format.h"

bool hp_pprof_recognize(const uint8_t *bytes, size_t size);
hp_status hp_pprof_read(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);

#endif
