/* SPDX-License-Identifier: MIT */
#ifndef HP_FORMATS_PSTATS_READER_H
#define HP_FORMATS_PSTATS_READER_H

#include "formats/format.h"

bool hp_pstats_recognize(const uint8_t *bytes, size_t size);
hp_status hp_pstats_read(const uint8_t *bytes, size_t size, hp_profile **out, hp_error *error);

#endif
