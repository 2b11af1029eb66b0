/* SPDX-License-Identifier: MIT */
/* Tables of values: each function adds the rows in `decoder->rows` to the record. Private to formats/hyprof/decode.c. */
#ifndef HP_HYPROF_DECODE_COUNTS_H
#define HP_HYPROF_DECODE_COUNTS_H

#include "formats/hyprof/decode.h"

hp_status hp_decode_no_memory(hp_error *error);
/* "WHAT VALUE is out of range: RIGHT LIMIT" */
hp_status hp_decode_refuse(hp_error *error, const char *what, uint64_t value, const char *right, uint64_t limit);
/* Rows that make ids must go on where the last ones ended. */
hp_status hp_decode_first(const hp_decoder *decoder, const char *what, uint32_t count, hp_error *error);

static inline uint64_t hp_decode_column(const hp_decoder *decoder, uint32_t row, unsigned column) {
    return decoder->rows.values[(size_t)column * decoder->rows.rows + row];
}

hp_status hp_decode_sampled(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_exact(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_lines(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_line_counts(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_estimates(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_estimate_counts(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_estimate_variances(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_threads(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_rows(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_edges(hp_decoder *decoder, hp_error *error);
hp_status hp_decode_moments(hp_decoder *decoder, hp_error *error);

#endif
