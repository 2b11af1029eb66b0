/* SPDX-License-Identifier: MIT */
/* How rows and edges are computed from the tree (hp_profile_summarize in tree/profile.h).
 *
 * Self values are sums over all nodes of a function or of a caller-callee pair. Inclusive values count once per stack, at the
 * outermost activation: a node adds its inclusive value to its function only where no node above it has that function, and to its
 * edge only where no pair above it is the same edge. A call is primitive where its function is not on the stack above.
 *
 * EXACT: called while traced, never met by samples, never marked partial, and never merely passed through (a node without calls and
 * times is an activation that nobody counted). SAMPLED: nothing exact of its own. MIXED: the rest; `calls` is a lower bound, and so are its
 * times: where a thread was sampled their error has what no sample can meet, where it was not there is no error and they are marked. */
#ifndef HP_TREE_SUMMARY_H
#define HP_TREE_SUMMARY_H

#include "tree/profile.h"

/* What the nodes of one row or edge have shown of themselves. */
enum {
    HP_SEEN_CALLS = 1u << 0,
    HP_SEEN_EXACT = 1u << 1,   /* time or calls */
    HP_SEEN_SAMPLED = 1u << 2, /* samples or sampled time */
    HP_SEEN_BOUND = 1u << 3,   /* calls are a lower bound */
};

unsigned hp_node_seen(const hp_node *node);
hp_measured hp_seen_measured(unsigned seen);
/* Nobody counted all of its activations: calls are a lower bound, or there is time of one that began unseen. */
bool hp_seen_is_bound(unsigned seen);

#endif
