/* SPDX-License-Identifier: MIT */
/* The types of a sample's values, in the order in which they are written, and the labels. Private to formats/pprof. */
#ifndef HP_PPROF_SAMPLES_H
#define HP_PPROF_SAMPLES_H

/* The last is what a program shows that is not told otherwise: all time, named by its clock. */
enum { VALUE_SAMPLES, VALUE_CALLS, VALUE_SAMPLED, VALUE_EXACT, VALUE_OVERHEAD, VALUE_TIME, VALUE_COUNT };

#define HP_PPROF_VALUE_NAMES {"samples", "calls", "sampled", "exact", "overhead"}
#define HP_PPROF_CLOCK_NAMES {"wall", "cpu", "delay"}
#define HP_PPROF_THREAD "thread"
#define HP_PPROF_STATE "state"
#define HP_PPROF_MEASURED "measured"
#define HP_PPROF_MIXED "mixed"

#endif
