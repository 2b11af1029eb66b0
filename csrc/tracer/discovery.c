/* SPDX-License-Identifier: MIT */
#include "tracer/discovery.h"

enum {
    HP_FREE_WINDOWS = 4, /* the first ones may follow each other at once */
    HP_DISTANCE_NS = 50000000,
    HP_DURATION_NS = 1000000000,
    HP_RESTART_NS = 4000, /* measured: 0.2 to 4 us to restart, 17 to 50 ns for each function met again */
    HP_FUNCTION_NS = 50,
    HP_SHARE = 200, /* a window may cost 1/200 of the time until the next */
};

void hp_discovery_init(hp_discovery *discovery) {
    *discovery = (hp_discovery){.next_window = 1};
}

static int64_t distance_ns(const hp_discovery *discovery, uint64_t functions) {
    if (discovery->windows < HP_FREE_WINDOWS)
        return 0;
    int64_t by_cost = (HP_RESTART_NS + HP_FUNCTION_NS * (int64_t)functions) * HP_SHARE;
    return by_cost > HP_DISTANCE_NS ? by_cost : HP_DISTANCE_NS;
}

bool hp_discovery_begin(hp_discovery *discovery, int64_t now_ns, uint64_t functions) {
    discovery->extents++;
    bool due = discovery->extents >= discovery->next_window || discovery->found > 0;
    if (!due || now_ns - discovery->opened_at_ns < distance_ns(discovery, functions))
        return false;
    discovery->windows++;
    discovery->next_window = discovery->extents * 2;
    discovery->watched_since = discovery->extents;
    discovery->found = 0;
    discovery->opened_at_ns = now_ns;
    discovery->open = true;
    return true;
}

bool hp_discovery_keeps(hp_discovery *discovery, int64_t now_ns, bool idle) {
    if (discovery->open && (idle || now_ns - discovery->opened_at_ns > HP_DURATION_NS))
        discovery->open = false;
    return discovery->open;
}

uint64_t hp_discovery_let_go(const hp_discovery *discovery) {
    return discovery->extents;
}

/* Unless the very next call was watched. It may be that none has been since. */
bool hp_discovery_missed(const hp_discovery *discovery, uint64_t let_go_at) {
    return discovery->extents > let_go_at && discovery->watched_since != let_go_at + 1;
}
