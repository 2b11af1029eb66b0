/* SPDX-License-Identifier: MIT */
/* Small profiles with known numbers, for the tests of formats and their golden files. Each has 10 s in all and every value is a multiple
 * of 1 ms, so that no viewer's display rounds. */
#ifndef HP_TESTS_SUPPORT_PROFILES_H
#define HP_TESTS_SUPPORT_PROFILES_H

#include "tree/profile.h"

typedef struct hp_fixture {
    const char *name;
    hp_profile *(*make)(void); /* summarized; stops the test when memory is short */
} hp_fixture;

extern const hp_fixture hp_fixtures[]; /* ends with a NULL name */
hp_profile *hp_fixture_make(const char *name);

/* A tree of about `nodes` nodes over `functions` functions, none deeper than `depth`, the same for the same seed: sampled and exact mixed,
 * recursion of all kinds. */
hp_profile *hp_fixture_random(uint64_t seed, uint32_t nodes, uint32_t functions, uint32_t depth, uint32_t threads);

#endif
