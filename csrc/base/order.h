/* SPDX-License-Identifier: MIT */
/* Structures that a forked child must be able to use although the fork cut another thread in half within them.
 *
 * A child gets the stores of a vanished thread up to some point of its program order (fork write-protects its parent's pages; a thread
 * that meets one waits until the fork is over). So a structure is safe if every prefix of the stores of each of its functions leaves it
 * usable: what is reachable is complete first, then one word makes it reachable, then what it replaced is freed. malloc itself is made
 * whole in the child by libc. */
#ifndef HP_BASE_ORDER_H
#define HP_BASE_ORDER_H

#include <stdatomic.h>

/* Stores before it are in a child that has a store behind it. Release: neither compiler nor processor moves the former behind the latter.
 */
static inline void hp_order_stores(void) {
    atomic_thread_fence(memory_order_release);
}

#endif
