# SPDX-License-Identifier: MIT
"""What a check's process prints, what its processes together say, and what becomes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .intervals import Estimate
from .promises import BAD, Promise, Verdict

Raw = dict[str, Any]  # what one process measured; survives JSON
Found = tuple[Estimate, dict[str, Any]]  # details: for JSON, units in the names

MORE_S = 15.0  # that a process may go on where a busy machine has let it see next to nothing

NOTHING = Estimate(math.nan, -math.inf, math.inf)
TOO_WIDE = "the interval is too wide on this machine"
TOO_LITTLE = "too little could be measured on this machine"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the answer. why: a sentence where the verdict is not "ok"."""

    promise: Promise
    found: Estimate
    verdict: Verdict
    why: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def bad(self) -> bool:
        return self.verdict in BAD

    def as_json(self) -> dict[str, Any]:
        """Plain values, the unit in the keys' names; null for what is not known or has no bound."""
        unit = self.promise.unit
        numbers = {
            "measured": self.found.value,
            "low": self.found.low,
            "high": self.found.high,
            "promised_low": self.promise.low,
            "promised_high": self.promise.high,
        }
        return {
            "name": self.promise.name,
            "what": self.promise.what,
            "verdict": self.verdict,
            "why": self.why,
            **{f"{name}_{unit}": number if math.isfinite(number) else None for name, number in numbers.items()},
            "details": self.details,
        }


def result_of(promise: Promise, found: Found) -> Result:
    estimate, details = found
    verdict = promise.verdict(estimate)
    why = None
    if verdict == "not shown":
        why = TOO_LITTLE if math.isnan(estimate.value) else TOO_WIDE
    elif verdict == "out of promise" and details.get("examples"):
        why = "for instance: " + "; ".join(details["examples"])
    return Result(promise, estimate, verdict, why, details)


def failed(promise: Promise, why: str) -> Result:
    """The program did not come to its end."""
    return Result(promise, NOTHING, "failed", why)
