/* SPDX-License-Identifier: MIT */
/* Where the object allocator keeps its arenas, the same in the headers of CPython 3.12 on. Included by frame_312.c to frame_315.c alone. */
#ifndef HP_FRAME_DESCRIBE_ARENAS_H
#define HP_FRAME_DESCRIBE_ARENAS_H

#include <internal/pycore_obmalloc.h>

#define HP_DESCRIBE_ARENAS                                                                                                                 \
    .allocator = offsetof(PyInterpreterState, obmalloc), .arenas = offsetof(struct _obmalloc_state, mgmt.arenas),                          \
    .arena_count = offsetof(struct _obmalloc_state, mgmt.maxarenas), .arena_size = ARENA_SIZE, .arena_step = sizeof(struct arena_object),  \
    .arena_address = offsetof(struct arena_object, address)

#endif
