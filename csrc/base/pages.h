/* SPDX-License-Identifier: MIT */
/* Memory of tables that grow for as long as a session runs.
 *
 * Large ones are pages from the system: growing moves page-table entries and copies nothing, and no holes stay behind in the heap, where
 * each earlier size of a doubling table would (with four such tables, half of what a long session had taken). Small ones are malloc's. */
#ifndef HP_BASE_PAGES_H
#define HP_BASE_PAGES_H

#include <stddef.h>

/* Like realloc, and the size it has now must be known: 0 with a NULL pointer. NULL: no memory, the old block stays. New bytes are not
 * initialised. */
void *hp_pages_resize(void *block, size_t size, size_t new_size);
/* NULL is allowed. */
void hp_pages_free(void *block, size_t size);

#endif
