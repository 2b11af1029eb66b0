# SPDX-License-Identifier: MIT
"""Values that outrank the file for some time: what the control socket sets. None is without an end, and none is above a cap of the local file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .resolve import Override
from .schema import SCHEMA, cap_of, checked

LONGEST = 7 * 86400.0  # seconds


class Overrides:
    """Guarded by api's lock; `copy` may be called without. Moments are given in seconds since the epoch and kept on a clock that nobody sets, so that an
    adjusted wall clock neither ends an override nor makes it last. A forked child has its parent's."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock, self._wall = clock, wall
        self._set: dict[str, Override] = {}

    def set(self, key: str, value: object, until: float, by: str, caps: Mapping[str, Any], stage: str) -> None:
        """stage: the one in force. Raises ValueError, one sentence."""
        right = checked(key, value)
        if not SCHEMA[key].overridable:
            raise ValueError(
                f"{key} is set by the local file alone; an override may set {', '.join(k for k in SCHEMA if SCHEMA[k].overridable)}"
            )
        cap, who = cap_of(key, caps, stage)
        if who and right > cap:
            raise ValueError(f"{key} is {right:g}, and {who} allows at most {cap:g}")
        self._set[key] = Override(right, self._clock() + _lasting(until, self._wall()), by)

    def withdraw(self, key: str) -> Override | None:
        return self._set.pop(key, None)

    def are_set(self) -> bool:
        """Those too that have ended and were not asked for by `ended`."""
        return bool(self._set)

    def ended(self) -> dict[str, Override]:
        """Those that have ended by themselves since it was last asked."""
        now = self._clock()
        over = {key: each for key, each in self._set.items() if now >= each.until}
        for key in over:
            del self._set[key]
        return over

    def copy(self) -> dict[str, Override]:
        """Those that have not ended."""
        now = self._clock()
        return {key: each for key, each in list(self._set.items()) if now < each.until}

    def listed(self) -> list[dict[str, Any]]:
        """For status(): key, value, by, seconds_left."""
        now = self._clock()
        return [{"key": key, "value": each.value, "by": each.by, "seconds_left": each.until - now} for key, each in self.copy().items()]


def _lasting(until: object, now: float) -> float:
    if type(until) is bool or not isinstance(until, (int, float)):
        raise ValueError(f"until is a moment in seconds since the epoch, not {type(until).__name__} {until!r}")
    if not 0 < until - now <= LONGEST:
        raise ValueError(f"until must be after now ({now:.0f}) and at most {LONGEST / 86400:.0f} days away, not {until!r}")
    return float(until - now)
