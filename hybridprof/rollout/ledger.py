# SPDX-License-Identifier: MIT
"""What profiling costs in this process, by windows of 250 ms to 10 s: differences between readings of sums.

Nothing is read here (readings.py does that), so that all of it can be tried with made-up numbers. Sums of a session (the sampler's, the tracer's, its writer's) begin anew with the next
session, sums of the process with a fork; a sum that has become smaller is one that began anew, and what it is now is all that is known of the window.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHORTEST, LONGEST = 0.25, 10.0  # seconds
GATED = 1  # units of an event at a closed gate: a call has two of them (HP_UNITS_GATED)


@dataclass(frozen=True, slots=True)
class Reading:
    """Sums at one moment: CPU seconds, events, and bytes that are in use just then.

    at: seconds of a clock that only grows. session: the number of the session that sampler, units, events, gated and streaming belong to. units: events by their weight; unit: what
    one costs, in seconds, as calibrated by now. streaming: of the core's thread that writes; writing: of our own that write and ship. ruler: of the thread that keeps this ledger."""

    at: float
    process: float = 0.0
    session: int = 0
    sampler: float = 0.0
    units: int = 0
    unit: float = 0.0
    events: int = 0
    gated: int = 0
    streaming: float = 0.0
    writing: float = 0.0
    ruler: float = 0.0
    rss: int = 0
    own: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """What happened in `seconds`: CPU seconds of each, events, and bytes at its end. closed: the part of the tracer's that events at closed gates took."""

    seconds: float
    process: float = 0.0
    sampler: float = 0.0
    tracer: float = 0.0
    writer: float = 0.0
    ruler: float = 0.0
    events: int = 0
    gated: int = 0
    rss: int = 0
    own: int = 0
    closed: float = 0.0


def between(old: Reading, new: Reading) -> Window:
    same = new.session == old.session
    seconds = new.at - old.at

    def grown(name: str, of_session: bool) -> float:
        before, now = getattr(old, name), getattr(new, name)
        return now - before if now >= before and (same or not of_session) else now  # type: ignore[no-any-return]

    return Window(
        seconds=seconds,
        process=grown("process", False),
        sampler=grown("sampler", True),
        # Events are recorded with the GIL held: more than all of the time is a calibration that a busy machine made too dear.
        tracer=min(grown("units", True) * new.unit, seconds),
        writer=grown("streaming", True) + grown("writing", False),
        ruler=grown("ruler", False),
        events=int(grown("events", True)),
        gated=int(grown("gated", True)),
        rss=new.rss,
        own=new.own,
        closed=min(grown("gated", True) * GATED * new.unit, seconds),
    )


def total(windows: Iterable[Window]) -> Window:
    """Of windows that follow one another, one at least."""
    all_ = list(windows)
    last = all_[-1]
    return Window(
        sum(each.seconds for each in all_),
        sum(each.process for each in all_),
        sum(each.sampler for each in all_),
        sum(each.tracer for each in all_),
        sum(each.writer for each in all_),
        sum(each.ruler for each in all_),
        sum(each.events for each in all_),
        sum(each.gated for each in all_),
        last.rss,
        last.own,
        sum(each.closed for each in all_),
    )


class Ledger:
    """Guarded by api's lock."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._windows: list[Window] = []  # the newest last

    def add(self, reading: Reading) -> Window | None:
        """The window that this reading closes; None where it is the first one or comes too soon, and then it is as if it had not been taken."""
        last = self._last
        if last is not None and 0 <= reading.at - last.at < SHORTEST:
            return None
        self._last = reading
        if last is None or reading.at < last.at:
            return None
        self._windows.append(between(last, reading))
        while len(self._windows) > 1 and sum(each.seconds for each in self._windows[1:]) >= LONGEST:
            del self._windows[0]
        return self._windows[-1]

    def recent(self) -> Window | None:
        """The last ten seconds or more as one; None before the first window has closed."""
        return total(self._windows) if self._windows else None

    def forget(self) -> None:
        """In a forked child, whose sums are its own."""
        self._last = None
        self._windows.clear()
