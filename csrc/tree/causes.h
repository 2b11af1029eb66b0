/* SPDX-License-Identifier: MIT */
/* Why a sample could not be resolved: what stood in the way at the last attempt. */
#ifndef HP_TREE_CAUSES_H
#define HP_TREE_CAUSES_H

typedef enum hp_cause {
    HP_CAUSE_MOVED,       /* the running thread was not met on the CPU where it was looked for */
    HP_CAUSE_INTERRUPTED, /* the thread ran on while it was read, or the read took so long that it may have */
    HP_CAUSE_CHANGED,     /* read from another CPU: no two copies in a row were equal */
    HP_CAUSE_SWITCHED,    /* the GIL changed hands during the read */
    HP_CAUSE_HALFWAY,     /* it stayed in the midst of a call, where its caller cannot be told */
    HP_CAUSE_CODE,        /* a code object died during the read, or an address held none */
    HP_CAUSE_MEMORY,      /* memory was short: no room for a stack so deep, or for code that was new */
    HP_CAUSES,
} hp_cause;

#define HP_CAUSE_NAMES {"moved", "interrupted", "changed", "switched", "halfway", "code", "memory"}

#endif
