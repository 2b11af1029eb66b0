# SPDX-License-Identifier: MIT
"""What is promised, in one table, and what is said of a measurement. A busy machine makes intervals wide, and a wide interval is no verdict:
"out of promise" only where the whole interval is outside."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Literal

from .intervals import Estimate

Verdict = Literal["ok", "out of promise", "not shown", "failed"]
BAD: tuple[Verdict, ...] = ("out of promise", "failed")


@dataclass(frozen=True, slots=True)
class Promise:
    """name: as in JSON. unit: the ending of JSON's keys; sign: as a reader writes it. Either from low to high, or never above 0."""

    name: str
    what: str
    unit: str
    sign: str
    high: float
    low: float = -math.inf
    never: bool = False

    def words(self) -> str:
        if self.never:
            return "none"
        sign = f" {self.sign}" if self.sign else ""
        return f"within {self.high:g}{sign}" if self.low == -self.high else f"at most {self.high:g}{sign}"

    def verdict(self, found: Estimate) -> Verdict:
        """`found` of what must never be is a count, or a share with its interval: one is enough to break the promise."""
        if math.isnan(found.value):
            return "not shown"
        if self.never:
            return "out of promise" if found.value > 0 else "ok"
        if found.low > self.high or found.high < self.low:
            return "out of promise"
        return "ok" if self.low <= found.low and found.high <= self.high else "not shown"


# The hook of 3.11 is the interpreter's profile function. It costs more than local events of sys.monitoring do, and while there is one, every
# instruction takes a slower path: loops without calls take up to twice their time, which no calibration of calls can take out again.
OLD_HOOK = sys.version_info < (3, 12)
TRACED_CALL = 0.85 if OLD_HOOK else 0.5
TRACED_SHARE = 12.0 if OLD_HOOK else 3.0

PROMISES = {
    promise.name: promise
    for promise in (
        Promise("impossible_stacks", "sampled stacks that cannot have been", "percent", "%", 0.0, never=True),
        Promise("count_differences", "counts that differ from an oracle's", "count", "", 0.0, never=True),
        Promise("sampling_bias", "sampled share of a half, less the true one", "points", "points", 2.0, -2.0),
        Promise("traced_share_error", "traced share of a half, less the true one", "points", "points", TRACED_SHARE, -TRACED_SHARE),
        Promise("traced_call", "added to a traced call, in cProfile's addition", "of_cprofile", "×", TRACED_CALL),
        Promise("gated_call", "added to a call at a closed gate, the same", "of_cprofile", "×", 0.4),
        Promise("sample_cost", "CPU time of a sample, wake-up included", "us", "µs", 50.0),
        Promise("slowdown_100_hz", "slowdown of a program sampled at 100 Hz", "percent", "%", 1.0),
    )
}
