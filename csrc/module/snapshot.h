/* SPDX-License-Identifier: MIT */
/* The half of a snapshot that needs the GIL. */
#ifndef HP_MODULE_SNAPSHOT_H
#define HP_MODULE_SNAPSHOT_H

#include "module/assemble.h"
#include "module/session.h"

/* [GIL] Copies all that the session has gathered so far; of a timeline see hp_sampler_collect. HP_OK, or a status and nothing to free;
 * leaves no exception behind. Runs no Python code and keeps the GIL. */
hp_status hp_gather(hp_module_state *state, hp_session *session, uint64_t first_moment, hp_gathered *gathered);

#endif
