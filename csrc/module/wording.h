/* SPDX-License-Identifier: MIT */
/* What a profile may say of where files lie and how the program was started, for whoever takes it out of the process. */
#ifndef HP_MODULE_WORDING_H
#define HP_MODULE_WORDING_H

#include "module/assemble.h"
#include "module/module.h"

/* [GIL] What Python gave as roots= and program=, each None for what is as it is. -1 with an exception set; hp_gathered_fini() in any case.
 */
int hp_wording_read(PyObject *roots, PyObject *program, hp_gathered *words);

/* Moves them to where a profile is made from. Cannot fail: what was gathered is nobody's if it is not returned. */
void hp_wording_move(hp_gathered *words, hp_gathered *gathered);

#endif
