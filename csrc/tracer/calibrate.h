/* SPDX-License-Identifier: MIT */
/* What recording one activation costs, measured through the real hook on throw-away code: when tracing begins, and now and then while the
 * program runs. See looks.h for what several measurements come to. */
#ifndef HP_TRACER_CALIBRATE_H
#define HP_TRACER_CALIBRATE_H

#include "tracer/tracer.h"

/* Once per tracer, before anything else is armed; about a millisecond. -1 with a Python exception. */
int hp_tracer_calibrate(hp_tracer *tracer);
/* In a copy of the tree that was taken while another thread looks: what that has recorded so far is no part of the program. */
void hp_calibration_hide(const hp_tracer *tracer, hp_tree *tree);
/* The tracer ends, perhaps within a look. */
void hp_calibration_free(hp_tracer *tracer);

#endif
