/* SPDX-License-Identifier: MIT */
/* What recording one activation costs, measured through the real hook on throw-away code. */
#ifndef HP_TRACER_CALIBRATE_H
#define HP_TRACER_CALIBRATE_H

#include "tracer/tracer.h"

/* Once per tracer, before anything else is armed; about a millisecond. -1 with a Python exception. */
int hp_tracer_calibrate(hp_tracer *tracer);

#endif
