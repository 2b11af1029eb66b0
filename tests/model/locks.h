/* SPDX-License-Identifier: MIT */
/* What the models share. A lock holds 0 (free) or its owner's pid + 1; giving back what one does not own is an error. */
#define ME (_pid + 1)
#define lock(m) atomic { m == 0 -> m = ME }
#define unlock(m) atomic { assert(m == ME); m = 0 }
