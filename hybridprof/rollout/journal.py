# SPDX-License-Identifier: MIT
"""What the audit log is told of this process: every change of what is in force, of overrides and of the ladder, and what control and others have to say. Values stand there as they are, the
words of output.command too: no key is a place for a secret.

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
from .config import Settings, Written
from .resolve import InForce, Value
from .schema import SCHEMA
from .stages import default

FILE = "audit.jsonl"
MOST_WAITING = 1000  # records
# What is told one by one when a life begins too; the other keys are one record then, as each record is waited for until it is on the disk.
KEYS = ("sampler.rate", "sampler.clock", "sampler.budget", "deep.targets", "deep.rate", "deep.budget", "deep.event_limit", "memory.budget")
OTHERS = tuple(key for key in SCHEMA if key != "stage" and key not in KEYS)

Change = tuple[str, object, object, str]  # what, old, new, by what way


def changes(old: InForce | None, new: InForce) -> Iterator[Change]:
    """Between two looks. old None: a life begins, and what is as it is by default is no change."""
    before = old.stage if old is not None else None
    if new.stage != before:
        yield "stage", before, new.stage, new.values["stage"].layer
    for key in KEYS if old is None else (*KEYS, *OTHERS):
        was, is_ = old.values.get(key) if old is not None else None, new.values.get(key)
        if not _is_same(key, was, is_, before, new.stage):
            yield key, _plain(was), _plain(is_), _way(was, is_)
    if old is None:
        yield from _beginnings(new)
    runs = (new.samples, new.traces)
    if old is None or runs != (old.samples, old.traces):
        yield "runs", None if old is None else _runs(old), _runs(new), new.values["stage"].layer


def _is_same(key: str, was: Value | None, is_: Value | None, stage_before: str | None, stage: str) -> bool:
    """Also where nobody has said anything: what is as it is by default, also by that of another stage."""
    if was is None or is_ is None:
        return (was is None or was.layer == "default") and (is_ is None or is_.layer == "default")
    if was.value == is_.value:
        return True
    return (
        stage_before is not None
        and (was.value, is_.value) == (default(key, stage_before), default(key, stage))
        and _way(was, is_) == "default"
    )


def _way(was: Value | None, is_: Value | None) -> str:
    """What is as it is by default again is so by the way that the other value came."""
    return next((each.layer for each in (is_, was) if each is not None and each.layer != "default"), "default")


def _beginnings(now: InForce) -> Iterator[Change]:
    """What is in force of the other keys, one record for each way that they came."""
    by_way: dict[str, dict[str, Any]] = {}
    for key in OTHERS:
        value = now.values.get(key)
        if value is not None and value.layer != "default":
            by_way.setdefault(value.layer, {})[key] = _plain(value)
    for way, values in by_way.items():
        yield "settings", None, values, way


def _plain(value: Value | None) -> Any:
    if value is None:
        return None
    return list(value.value) if isinstance(value.value, tuple) else value.value


def _runs(now: InForce) -> list[str]:
    return [name for name, on in (("sampler", now.samples), ("tracer", now.traces)) if on]


class Journal:
    def __init__(self) -> None:
        self._log: Log | None = None
        self._waiting: deque[tuple[str, object, object, Actor, float | None]] = deque()
        self._dropped = 0
        self._recorded: InForce | None = None  # what the log knows
        self._written: Written | None = None  # the file that it knows
        self._overridden: dict[str, tuple[Actor, float]] = {}  # who set an override, and until when
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

    def overridden(self, key: str, actor: Actor, until: float) -> None:
        """Whose value is in force from now on, until a moment."""
        self._overridden[key] = actor, until

    def record(self, now: InForce, file: Settings | None = None) -> None:
        """What has changed since the last record; with api's lock held, as the next. file: the one that rules."""
        written = file.written if file is not None else None
        author = written if written != self._written else None  # a value that is in force again is nobody's who wrote the file long ago
        for what, old, new, via in changes(self._recorded, now):
            self.note(what, old, new, *self._actor(what, via, now, author))
        self._recorded, self._written = now, written

    def _actor(self, what: str, via: str, now: InForce, author: Written | None) -> tuple[Actor, float | None]:
        if via == "file" and author is not None:
            return Actor(author.uid, os.getpid(), via, author.modified), None
        value = now.values.get(what)
        if value is not None and value.layer == "override" and what in self._overridden:
            actor, until = self._overridden[what]
            return Actor(actor.uid, actor.pid, via), until
        return Actor.here(via), None

    def record_said(self, what: str, now: object, via: str) -> None:
        """The same of something else that is the case, or None."""
        old = self._said.get(what)
        if now != old:
            self._said[what] = now
            self.note(what, old, now, Actor.here(via))

    def flush(self) -> None:
        """Writes what waits. Never raises. What cannot be written is counted by the log; what is behind it waits for the next time."""
        log = self._log
        if log is None or not self._waiting or not self._writing.acquire(blocking=False):
            return
        try:
            while self._waiting:
                if not log.append(*self._waiting.popleft()):
                    break  # somebody holds the log: each record would wait for it, and a kill for them all
        except IndexError:  # `note` took the last one away
            pass
        finally:
            self._writing.release()

    def forget(self) -> None:
        """In a forked child: what waits is the parent's to write, and its other threads are not here. The child's life is recorded from its beginning."""
        self._waiting.clear()
        self._said.clear()
        self._recorded = self._written = None
        self._dropped = 0
        self._writing = _thread.allocate_lock()

    def report(self) -> dict[str, Any]:
        log = self._log
        if log is None:
            return {"path": None, "problem": None, "lost": self._dropped}
        return {"path": str(log.path), "problem": log.problem, "lost": log.lost + self._dropped}
