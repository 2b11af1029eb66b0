/* SPDX-License-Identifier: MIT */
/* Stopping one thread by a signal, for as long as it is read.
 *
 * The handler does nothing but wait: the thread stands still inside it while the sampler walks its stack from outside, with the code that
 * walks all stacks. The signal is SIGURG, which is ignored by default (a pending one harms no program that is exec'ed), and carries our
 * mark. A program that handles SIGURG itself, from before or from some later time on, is left alone. */
#ifndef HP_SAMPLER_STOP_H
#define HP_SAMPLER_STOP_H

#include <stdbool.h>
#include <stdint.h>

/* [GIL] Installs the handler; NULL, or why that is not possible (static text). */
const char *hp_stop_begin(void);
/* [GIL] Puts the earlier handler back, unless somebody has replaced ours since. The sampler thread is not running. */
void hp_stop_end(void);
/* Our handler is still the one in force: a program's own would be called for nothing. A system call. */
bool hp_stop_is_ours(void);

/* True: the thread stands still until hp_stop_release. It must not hold a lock that the caller takes until then. False after 2 ms: it has
 * the signal blocked, has ended, or got no CPU. */
bool hp_stop_thread(uint64_t native_id);
/* Lets it go. False: it had gone on by itself before (it waits at most 20 ms), so what was read is worth nothing. */
bool hp_stop_release(void);

#endif
