/* SPDX-License-Identifier: MIT */
/* Names that threads keep in a file with a timeline.
 *
 * A thread's name is part of its stacks. Under another name they are other stacks, and the samples in the order of time that a file has
 * already stay with the old ones, which are gone: they would be lost, for each request of a server that names its threads after requests,
 * and for each thread from the 1,025th on, as those go on with the record of one that has ended. So a thread keeps its first name there,
 * and a sentence says so. */
#ifndef HP_MODULE_STREAM_NAMES_H
#define HP_MODULE_STREAM_NAMES_H

#include "module/assemble.h"

/* All zero: nothing is known yet. Owner: the stream, as its file. */
typedef struct hp_stream_names {
    char **names; /* by index of the thread; NULL: it had none so far */
    uint32_t count, capacity;
    bool replaced; /* some thread has another name than the file says */
} hp_stream_names;

/* Gives threads the names that they had first. Where memory is short they have what they have: samples are lost then, and counted. */
void hp_stream_names_keep(hp_stream_names *names, hp_gathered *gathered);
void hp_stream_names_fini(hp_stream_names *names);

#endif
