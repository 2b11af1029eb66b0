# SPDX-License-Identifier: MIT
"""What the audit log is told of this process: every change of what is in force, of overrides and of the ladder, and what control and others have to say.

Notes are taken with or without api's lock, and written by `flush` without it: a record is on the disk before `append` returns, and nobody who starts a profiler is to wait for that. What waits
is bounded; past the bound the oldest go, counted like all that cannot be written. Where there is no state_dir nothing is kept.
"""

from __future__ import annotations

import _thread
import os
from collections import deque
from collections.abc import Iterator
from typing import Any

from .audit import Actor, Log
from .resolve import InForce

FILE = "audit.jsonl"
MOST_WAITING = 1000  # records
KEYS = ("sampler.rate", "sampler.clock", "sampler.budget", "deep.targets", "deep.rate", "deep.budget", "deep.event_limit", "memory.budget")

Change = tuple[str, object, object, str]  # what, old, new, by what way


def changes(old: InForce | None, new: InForce) -> Iterator[Change]:
    """Between two looks. old None: a life begins, and what is as it is by default is no change."""
    before = old.stage if old is not None else None
    if new.stage != before:
        yield "stage", before, new.stage, new.values["stage"].layer
    for key in KEYS:
        was, is_ = old.values.get(key) if old is not None else None, new.values.get(key)
        if is_ is None or (was is None and is_.layer == "default") or (was is not None and was.value == is_.value):
            continue
        yield (
            key,
            None if was is None else _plain(was.value),
            _plain(is_.value),
            is_.layer if is_.layer != "default" or was is None else was.layer,
        )
    runs = (new.samples, new.traces)
    if old is None or runs != (old.samples, old.traces):
        yield "runs", None if old is None else _runs(old), _runs(new), new.values["stage"].layer


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _runs(now: InForce) -> list[str]:
    return [name for name, on in (("sampler", now.samples), ("tracer", now.traces)) if on]


class Journal:
    def __init__(self) -> None:
        self._log: Log | None = None
        self._waiting: deque[tuple[str, object, object, Actor, float | None]] = deque()
        self._dropped = 0
        self._recorded: InForce | None = None  # what the log knows
        self._said: dict[str, object] = {}  # likewise, of what is no value in force
        self._writing = _thread.allocate_lock()  # one writer at a time keeps the order

    def keep_in(self, folder: str | None) -> None:
        """Where from now on; None: nowhere."""
        path = None if folder is None else os.path.join(folder, FILE)
        if path is None:
            self._log = None
            self._waiting.clear()
        elif self._log is None or str(self._log.path) != path:
            self._log = Log(path)

    def note(self, what: str, old: object, new: object, actor: Actor, until: float | None = None) -> None:
        """until: seconds since 1970. Never raises, never waits."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append((what, old, new, actor, until))

    def record(self, now: InForce) -> None:
        """What has changed since the last record; with api's lock held, as the next."""
        for what, old, new, via in changes(self._recorded, now):
            self.note(what, old, new, Actor.here(via))
        self._recorded = now

    def record_said(self, what: str, now: object, via: str) -> None:
        """The same of something else that is the case, or None."""
        old = self._said.get(what)
        if now != old:
            self._said[what] = now
            self.note(what, old, now, Actor.here(via))

    def flush(self) -> None:
        """Writes what waits. Never raises. What cannot be written is counted by the log, and does not wait for better times."""
        log = self._log
        if log is None or not self._waiting or not self._writing.acquire(blocking=False):
            return
        try:
            while self._waiting:
                log.append(*self._waiting.popleft())
        except IndexError:  # `note` took the last one away
            pass
        finally:
            self._writing.release()

    def forget(self) -> None:
        """In a forked child: what waits is the parent's to write, and its other threads are not here. The child's life is recorded from its beginning."""
        self._waiting.clear()
        self._said.clear()
        self._recorded = None
        self._dropped = 0
        self._writing = _thread.allocate_lock()

    def report(self) -> dict[str, Any]:
        log = self._log
        if log is None:
            return {"path": None, "problem": None, "lost": self._dropped}
        return {"path": str(log.path), "problem": log.problem, "lost": log.lost + self._dropped}
