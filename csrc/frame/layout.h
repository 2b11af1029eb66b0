/* SPDX-License-Identifier: MIT */
/* Picks the frame layout of the interpreter that this is compiled for. Each layout_3NN.h says:
 *   hp_layout_top(state)          the top frame of a thread state
 *   hp_layout_executable(frame)   what runs in it: a code object, or something else for a shim
 *   hp_layout_is_shim(owner)      whether such a frame is no function's but the interpreter's own
 *   hp_layout_instruction(frame)  address of the instruction unit it stands at */
#ifndef HP_FRAME_LAYOUT_H
#define HP_FRAME_LAYOUT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if PY_VERSION_HEX >= 0x03100000
#error "this interpreter is newer than the frame layouts known here (3.11 to 3.15)"
#elif PY_VERSION_HEX >= 0x030F0000
#include "frame/layout_315.h"
#elif PY_VERSION_HEX >= 0x030E0000
#include "frame/layout_314.h"
#elif PY_VERSION_HEX >= 0x030D0000
#include "frame/layout_313.h"
#elif PY_VERSION_HEX >= 0x030C0000
#include "frame/layout_312.h"
#elif PY_VERSION_HEX >= 0x030B0000
#include "frame/layout_311.h"
#else
#error "this interpreter is older than the frame layouts known here (3.11 to 3.15)"
#endif

#endif
