# SPDX-License-Identifier: MIT
"""Where the ledger's numbers come from: the core, the process' clocks, /proc. And which target costs how much, asked when one has to go."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

from .. import _core
from ..patterns import Pattern
from .ledger import Reading
from .pace import Spent

RSS_EVERY = 5.0  # seconds: it is for status alone, and the dearest of all that is read here
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Readings:
    """Sums that the core does not keep are kept here: `charge` may be called by any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._writing = Spent()
        self._ruler = Spent()
        self._rss, self._rss_at = 0, float("-inf")

    def charge(self, seconds: float) -> None:
        """CPU seconds of a thread of ours that writes or ships profiles."""
        self._writing.add(seconds)

    def charge_ruler(self, seconds: float) -> None:
        self._ruler.add(seconds)

    def __call__(self) -> Reading:
        costs, now = _core.costs(), self._clock()
        if not 0 <= now - self._rss_at < RSS_EVERY:
            self._rss, self._rss_at = _rss(), now
        return Reading(
            at=now,
            process=time.process_time(),
            session=costs["session"],
            sampler=costs["sampler_cpu_ns"] / 1e9,
            units=costs["units"],
            unit=costs["unit_ns"] / 1e9,
            events=costs["events"],
            gated=costs["gated"],
            streaming=costs["writer_cpu_ns"] / 1e9,
            writing=self._writing.total(),
            ruler=self._ruler.total(),
            rss=self._rss,
            own=costs["own_bytes"],
        )


def _rss() -> int:
    """Bytes; 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


class TargetCosts:
    """Which targets the traced calls were beneath, since it was last asked. A snapshot of the session is taken for that: dear, and so only where a target has to go."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._session = 0

    def shares(self, targets: Sequence[str]) -> Mapping[str, float]:
        """Of all traced calls; nothing where none are known. A call beneath two targets is the outer one's, which would be traced without the inner."""
        try:
            profile = _core.snapshot()
            calls = calls_by_target(profile.nodes(), [(row[1], row[0]) for row in profile.functions()], targets)
        except (RuntimeError, MemoryError, ValueError):
            return {}
        session = _core.costs()["session"]
        before = self._before if session == self._session else {}
        self._before, self._session = calls, session
        since = {target: max(0, count - before.get(target, 0)) for target, count in calls.items()}
        all_of_them = sum(since.values())
        return {target: count / all_of_them for target, count in since.items()} if all_of_them else {}


def calls_by_target(
    nodes: Sequence[tuple[int, int, int | None, int, int, int, str]], functions: Sequence[tuple[str, str]], targets: Sequence[str]
) -> dict[str, int]:
    """nodes: as Profile.nodes(), parents first. functions: module and qualified name."""
    patterns = [Pattern(target) for target in targets]
    owners = [
        next((each.text for each in patterns if each.everything or (each.is_for((module,)) and each.matches(name))), "")
        for module, name in functions
    ]
    owner_of_node = [""] * len(nodes)
    calls = dict.fromkeys(targets, 0)
    for index, (parent, function, count, *_) in enumerate(nodes):
        owner = owner_of_node[parent] if parent >= 0 else ""
        if not owner and count and function >= 0:
            owner = owners[function]
        owner_of_node[index] = owner
        if owner and count:
            calls[owner] += count
    return calls
