/* SPDX-License-Identifier: MIT */
/* What finding the running task needs before CPython 3.14, the same in these versions' headers. Included by frame_311.c to frame_313.c
 * alone. */
#ifndef HP_FRAME_DESCRIBE_DICT_H
#define HP_FRAME_DESCRIBE_DICT_H

#include <internal/pycore_dict.h>

#define HP_DESCRIBE_DICT                                                                                                                   \
    .dict_keys = offsetof(PyDictObject, ma_keys), .dict_values = offsetof(PyDictObject, ma_values), .dict_before = 3 * sizeof(void *),     \
    .keys_index_bytes = offsetof(struct _dictkeysobject, dk_log2_index_bytes), .keys_kind = offsetof(struct _dictkeysobject, dk_kind),     \
    .keys_count = offsetof(struct _dictkeysobject, dk_nentries), .keys_indices = offsetof(struct _dictkeysobject, dk_indices)

#endif
