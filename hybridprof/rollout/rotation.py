# SPDX-License-Identifier: MIT
"""Continuous profiling: what was measured goes to a file each minute, in a thread of its own.

The session goes on meanwhile (`_core.window`): a file has what its own minute brought, every sample and call is in one file, and files follow
one another without a gap. Moments are taken from a clock that nobody sets. What cannot be written is kept in memory and tried again, up to a
bound, and what goes beyond that is counted. The program is never waited for, but for the copying that a snapshot takes, and never waits.
"""

from __future__ import annotations

import _thread
import errno
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import _core
from .follower import Follower
from .locks import why
from .pace import Pace
from .spool import Limits, Spool, free_path, name_of, refusal

NAME = "hybridprof-output"
TICK = 1.0  # seconds between two looks at whether it is time
FULL = (errno.ENOSPC, errno.EDQUOT)
MOST_FREED = 16  # old files that go for one new one: where others fill the disk, ours are not all to go at once
KEPT = 4  # profiles that wait in memory for a disk
LARGE = 200_000  # calling contexts from which on a session begins anew: each cut copies all of them while the program waits
PATIENCE = 0.2  # seconds that a fork waits for a write


@dataclass(frozen=True, slots=True)
class Settings:
    """interval: seconds that a file covers, or more; short_paths: names of files without the folders that they lie in; budget: of the process' CPU time, percent, for writing and handing over."""

    folder: str
    service: str
    host: str
    interval: float
    limits: Limits
    short_paths: bool = False
    budget: float = 100.0


def roots(short_paths: bool) -> list[str] | None:
    """What is taken off the paths of files: the folders that modules are imported from; None where paths are to be whole."""
    if not short_paths:
        return None
    return [os.path.abspath(each).rstrip("/") for each in [*sys.path, sys.prefix, sys.base_prefix] if isinstance(each, str)]


def shortened(file: str, folders: Sequence[str] | None) -> str:
    """As snapshots name it (short_file in csrc/module/assemble.c). folders: as `roots` gives them."""
    if folders is None or not file.startswith("/"):
        return file
    longest = max((len(each) for each in folders if each and file.startswith(each + "/")), default=0)
    return file[longest + 1 :] if longest else os.path.basename(file)


def program() -> str:
    """What runs, without its arguments, which may be secrets, and without its folder."""
    argv = getattr(sys, "argv", None) or [""]
    path = argv[0] if isinstance(argv[0], str) else ""
    return os.path.basename(os.path.dirname(path) if path.endswith("/__main__.py") else path)  # python -m package


def _take(settings: Settings) -> _core.Profile | None:
    return _core.window(roots=roots(settings.short_paths), program=program())


class Rotation:
    """One per process. take: the next part of a session, None where there is nothing; left: how many parts of sessions that were replaced there are,
    how many the core could not keep, and how many calling contexts the session has."""

    def __init__(
        self,
        settings: Settings,
        slot: Callable[[], str] = lambda: "0",
        *,
        take: Callable[[Settings], Any] = _take,
        left: Callable[[], tuple[int, int, int]] = _core.windows,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        pace: Pace | None = None,
        charge: Callable[[float], None] = lambda seconds: None,
        period: float = TICK,
    ) -> None:
        self._pace = pace or Pace(clock)
        self._slot, self._take, self._left, self._clock, self._wall = slot, take, left, clock, wall
        self._turn = _thread.allocate_lock()  # whose holder cuts and writes
        self._hurry = False
        self._waiting: deque[Any] = deque()
        self.written = self.failures = self.lost = self.removed = self.postponed = 0
        self.problem = self.last_file = ""
        self.held = 0  # bytes of what waits for a disk: more than for the moment in which it is written
        self._waits = False  # for the budget
        self._unpaid_from = float("-inf")  # when the next file may be written that is not paid for
        self.on_removed: Callable[[int], None] = lambda files: None  # files that went before anybody had them
        self.on_written: Callable[[], None] = lambda: None
        self.on_large: Callable[[], None] = lambda: None
        self._follower = Follower(self.look, period, NAME, PATIENCE, charge)
        self.settings, self.spool = settings, self._spool_of(settings)
        self._due = clock() + settings.interval

    def change(self, settings: Settings) -> None:
        """From the next file on. The one that is under way ends when it would have, or sooner."""
        self.settings, self.spool = settings, self._spool_of(settings, self.spool)
        self._due = min(self._due, self._clock() + settings.interval)

    def _spool_of(self, settings: Settings, before: Spool | None = None) -> Spool:
        return Spool(settings.folder, settings.service, settings.host, self._clock, self._wall, before)

    def begin(self) -> None:
        """Starts the thread if there is none."""
        try:
            self._follower.start()
        except RuntimeError as error:
            self.problem = f"no thread could be started to write profiles: {error}"

    def rests(self) -> bool:
        """Nothing runs any more: once all of it is written there is no thread, until `begin`. It is not waited for: a look under way is its last."""
        rests = not (self._hurry or self._waiting or self.problem)
        if rests:
            self._follower.stop(0.0)
        return rests

    def hurry(self) -> None:
        """What there is goes to a file at the next look, paid for or not, but once in an interval: nothing runs any more."""
        self._hurry = True

    # --- in the thread -----------------------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Writes if it is time. Never raises."""
        now = self._clock()
        if not self._hurry and now < self._due:
            return
        if self._turn.acquire(False):  # after a fork a second thread may be here while the first one still waits for its disk
            try:
                if not self._may_write(now):
                    return
                late = self._hurry or now - self._due > self.settings.interval
                self._due = self.settings.interval + (now if late else self._due)
                self._hurry = self._waits = False
                self.cut()
            finally:
                self._turn.release()

    def _may_write(self, now: float) -> bool:
        """Else the file comes later, and covers more time."""
        if self._pace.allows(self.settings.budget, NAME):
            self._pace.begin()
            return True
        if (
            self._hurry and now >= self._unpaid_from
        ):  # the end of a session does not wait, but sessions may end all the time; it is owed with the rest
            self._unpaid_from = now + self.settings.interval
            return True
        self.postponed += not self._waits
        self._waits = True
        return False

    def cut(self) -> None:
        """Takes all that is there, and writes what can be written. Never raises."""
        self.problem = ""
        try:
            for _ in range(self._left()[0] + 1):  # and that of the session there is now
                profile = self._take(self.settings)
                if profile is not None:
                    self._waiting.append(profile)
            if self._left()[2] > LARGE:
                self.on_large()
        except Exception as error:  # short of memory, or just starting: the next look has it
            self.failures += 1
            self.problem = f"what was measured could not be taken: {why(error)}"
        self._write_waiting()

    def _write_waiting(self) -> None:
        try:
            complaint = refusal(self.settings.folder)
            if complaint:
                raise OSError(None, complaint)
            if self._waiting:
                with suppress(OSError):  # what is too old goes whether or not there is room for more; the one below complains
                    self._prune()
            while self._waiting:
                self._write(self._waiting[0])
                self._waiting.popleft()
            self._prune()
            self.held = 0
        except Exception as error:
            self.failures += 1
            while len(self._waiting) > KEPT:
                self._waiting.popleft()
                self.lost += 1
            self.held = sum(map(sys.getsizeof, self._waiting))
            self.problem = f"profiles cannot be written to {self.settings.folder}: {why(error)}; {len(self._waiting)} wait in memory"

    def _write(self, profile: Any) -> None:
        name = name_of(self.settings.service, self.settings.host, self._slot(), os.getpid(), self._started(profile))
        path = free_path(self.settings.folder, name)
        self._write_making_room(profile, path, name)
        self.spool.put_last(path)
        self.written += 1
        self.last_file = path
        self.on_written()

    def _write_making_room(self, profile: Any, path: str, name: str) -> None:
        for more in range(MOST_FREED, -1, -1):
            try:
                profile.write(path, "hyprof")
                return
            except OSError as error:
                if error.errno not in FULL or not more or not self._make_room(name):
                    raise

    def _started(self, profile: Any) -> float:
        """Seconds since the epoch."""
        try:
            return datetime.fromisoformat(profile.meta()["started"]).timestamp()
        except (ValueError, OverflowError):  # a clock that was set to a year that no calendar has
            return self._wall()

    def _make_room(self, name: str) -> bool:
        """A folder of old profiles must not keep new ones from being written: what they are worth goes down with time."""
        found = self.spool.remove_oldest(name) is not None
        self._count_removed(int(found))
        return found

    def _prune(self) -> None:
        self._count_removed(len(self.spool.prune(self.settings.limits)))

    def _count_removed(self, files: int) -> None:
        self.removed += files
        if files:
            self.on_removed(files)

    # --- the process -------------------------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        self._follower.stop()

    def after_fork_in_child(self) -> None:
        """What waits is the parent's, and so are its counts."""
        self._turn = _thread.allocate_lock()
        self._waiting.clear()
        self.held = 0
        self.written = self.failures = self.lost = self.removed = self.postponed = 0
        self.problem = self.last_file = ""
        self._hurry = self._waits = False
        self._pace.begin()
        self._unpaid_from = float("-inf")
        self._due = self._clock() + self.settings.interval
        self._follower.forget()

    def end(self, patience: float) -> bool:
        """The last file. A disk that hangs must not keep the program from ending: false where `patience` seconds were not enough."""

        def last() -> None:
            if self._turn.acquire(timeout=patience):
                try:
                    self.cut()
                finally:
                    self._turn.release()

        if not self._follower.runs and not (self._hurry or self._waiting or self._left()[0]):
            return self._follower.close(None, 0.0)  # it rests, with nothing to write: this thread would wait for the disk itself
        return self._follower.close(last, patience)

    def status(self) -> dict[str, Any]:
        """For status(): counts since the process began."""
        return {
            "folder": self.settings.folder,
            "interval_s": self.settings.interval,
            "written": self.written,
            "postponed": self.postponed,
            "waits_for_budget": self._waits,
            "last_file": self.last_file,
            "waiting": len(self._waiting),
            "failures": self.failures,
            "lost": self.lost + self._left()[1],
            "removed": self.removed,
            "problem": self.problem,
        }
