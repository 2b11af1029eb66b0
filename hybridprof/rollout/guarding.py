# SPDX-License-Identifier: MIT
"""The crash guard of this process: a life begins before anything runs and ends with the process, a fork or another state_dir.

Markers are written with api's lock held, before the stage that they speak of is made true: a crash in the first sample must be known to the next life. That is a small file, and only
where the stage changes; the regular look at what other workers met is taken without the lock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hybridprof

from .crash_loop import Clock, Decision, Guard
from .crash_rules import Standing

FOLDER = "crashes"  # in state_dir
LOOK = 5.0  # seconds between two looks
ANYWAY = 60.0  # likewise, where nothing is held against the program and nobody has written down a crash
CLEAR = (Standing.CLEAR, "")


class Guarding:
    """folder None: nobody guards, and nothing is held against the program."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock, self._times = clock, Clock(clock, wall)
        self._guard: Guard | None = None
        self._asked: tuple[str, str] | None = None  # configuration and stage as the guard knows them
        self._place: tuple[str, str] | None = None  # folder and slot
        self._looked = 0.0
        self._closed = False
        self.standing: tuple[Standing, str] = CLEAR

    def announce(self, folder: str | None, slot: str, config: str, stage: str) -> None:
        """This stage is about to be asked for. `standing` then says what may run of it."""
        place = None if folder is None or self._closed else (folder, slot)
        if place != self._place:
            self.end()
            self._place = place
            if place is not None:
                self._begin(place, config, stage)
        elif self._guard is not None and (config, stage) != self._asked:
            self._take(self._guard.changed(config, stage))
            self._asked = (config, stage)

    def _begin(self, place: tuple[str, str], config: str, stage: str) -> None:
        folder, slot = place
        _make(folder)
        self._guard = Guard(Path(folder) / FOLDER, version=hybridprof.__version__, config=config, slot=slot, clock=self._times)
        self._take(self._guard.begin(stage))
        self._asked = (config, stage)
        _end_with_multiprocessing(self._guard.end)

    def is_due(self) -> bool:
        """Whether a look could find anything: what it reads is mostly as it was."""
        since = self._clock() - self._looked
        if self._guard is None or 0 <= since < LOOK:
            return False
        return not 0 <= since < ANYWAY or self.standing[0] is not Standing.CLEAR or self._guard.may_differ()

    def look(self) -> None:
        """What other workers met, and health; every five seconds at most."""
        if self._guard is not None and self.is_due():
            self._looked = self._clock()
            self._take(self._guard.tick())

    def _take(self, decision: Decision) -> None:
        self.standing = (decision.standing, decision.reason)

    def end(self) -> None:
        """A clean end of this life, or of this guard's part in it."""
        guard, self._guard = self._guard, None
        self._asked = self._place = None
        self.standing = CLEAR
        if guard is not None:
            guard.end()

    def close(self) -> None:
        """The process ends as it should: exit handlers that still start something leave no marker."""
        self._closed = True
        self.end()

    def forget(self) -> None:
        """In a forked child: the marker is the parent's, and what was held against that is asked for anew."""
        self._guard = self._asked = self._place = None
        self.standing = CLEAR

    def report(self) -> dict[str, Any]:
        guard = self._guard
        if guard is None:
            return {"guarded": False, "problem": None}
        return {"guarded": True, **guard.status(), "problem": guard.problem}


def is_helper() -> bool:
    """Whether this process is a child of multiprocessing. Its parent ends those by SIGTERM as a matter of course (a pool does), which is no crash."""
    process = sys.modules.get("multiprocessing.process")
    if process is None:
        return False
    # While a spawned one imports the main module it has no parent yet.
    return process.parent_process() is not None or bool(getattr(process.current_process(), "_inheriting", False))


def _end_with_multiprocessing(end: Callable[[], None]) -> None:
    """Before 3.13 its children run no exit handlers of `atexit`."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and is_helper():
        util.Finalize(None, end, exitpriority=0)


def _make(folder: str) -> None:
    try:
        os.mkdir(folder, 0o700)
    except OSError:  # it is there, or the guard says what is wrong with it
        pass
