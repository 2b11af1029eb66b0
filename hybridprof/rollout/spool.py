# SPDX-License-Identifier: MIT
"""The folder in which profiles wait: their names, and which of them go when there are too many.

A name is SERVICE@HOST.sSLOT.pPID.STARTED.hyprof, the moment in UTC. Only files whose whole name is of this form, with this service and host, are
ever looked at or removed: the folder may hold anything else.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from .trust import distrust_folder, make_folder

SUFFIX = ".hyprof"
_WORD = re.compile(r"[^A-Za-z0-9_-]")
_NAME = re.compile(
    r"[A-Za-z0-9_-]{1,64}@[A-Za-z0-9_-]{1,64}\.s[A-Za-z0-9_-]{1,32}\.p\d{1,10}\.(?P<moment>\d{8}T\d{6}\.\d{3})Z(\.\d{1,4})?\.hyprof"
)
_HALF_WRITTEN = re.compile(r"\.hybridprof-(\d{1,10})-[0-9a-f]{8}\.tmp")
STEP = 0.001  # seconds between two files that follow one another though the clock says otherwise
HALF_WRITTEN_AGE = 3600.0  # seconds after which nobody writes it any more


@dataclass(frozen=True, slots=True)
class Limits:
    """What may lie in the folder, of one service on one host. age: seconds."""

    files: int
    bytes: int
    age: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished profile. modified: seconds since the epoch; moment: of its beginning, as its name has it."""

    path: str
    size: int
    modified: float
    moment: str


def word(text: str, longest: int) -> str:
    """As a part of a name; what is no letter, digit, `_` or `-` becomes `_`."""
    return _WORD.sub("_", text)[:longest] or "_"


def name_of(service: str, host: str, slot: str, pid: int, started: float) -> str:
    """started: seconds since the epoch."""
    return f"{word(service, 64)}@{word(host, 64)}.s{word(slot, 32)}.p{pid}.{_moment(started)}Z{SUFFIX}"


def _moment(seconds: float) -> str:
    """As names have it: what is later comes later in the alphabet."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(seconds))}.{int(seconds * 1000) % 1000:03d}"


def free_path(folder: str, name: str) -> str:
    """Where nothing is yet: after a clock was set back a name may come again."""
    path, stem = os.path.join(folder, name), name.removesuffix(SUFFIX)
    for number in range(2, 10_000):
        if not os.path.lexists(path):
            break
        path = os.path.join(folder, f"{stem}.{number}{SUFFIX}")
    return path


def refusal(folder: str) -> str:
    """Why nothing is written into this folder, "" if it may be. Makes one that is missing, for this user alone; its parent must be there. Raises OSError."""
    make_folder(folder)
    return distrust_folder(os.stat(folder), os.geteuid())  # whoever can put a link there decides where we write


class Spool:
    """A folder's profiles of one service on one host. clock: seconds that only grow; wall: seconds since the epoch; before: the spool that this one takes the place of, as what it knows of
    clocks that were set is still so."""

    def __init__(
        self,
        folder: str,
        service: str,
        host: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        before: Spool | None = None,
    ) -> None:
        self.folder = folder
        self._prefix = f"{word(service, 64)}@{word(host, 64)}.s"
        self._clock, self._wall = clock, wall
        self._wall_ahead: float = wall() - clock() if before is None else before._wall_ahead
        self._newest = 0.0  # when the last file was modified, of those that were there at the last `prune`

    def entries(self) -> list[Entry]:
        """The oldest first. Raises OSError where the folder cannot be read."""
        return sorted(self._scan(), key=lambda entry: (entry.modified, entry.path))

    def _scan(self) -> Iterator[Entry]:
        with os.scandir(self.folder) as found:
            for each in found:
                match = _NAME.fullmatch(each.name) if each.name.startswith(self._prefix) else None
                if match is None:
                    continue
                try:
                    status = each.stat(follow_symlinks=False)
                except FileNotFoundError:  # another worker was quicker
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield Entry(each.path, status.st_size, status.st_mtime, match["moment"])

    def _now(self) -> float:
        """A clock that was set forward makes nothing old: the earlier of what it says and what has passed since we began counts."""
        return min(self._wall(), self._clock() + self._wall_ahead)

    def prune(self, limits: Limits) -> list[Entry]:
        """Removes the oldest beyond the limits, and returns those that it removed. Raises OSError where the folder cannot be read or changed."""
        entries = self.entries()
        self._newest = entries[-1].modified if entries else 0.0
        removed = [entry for entry in _surplus(entries, limits, self._now()) if _is_unlinked(entry)]
        self._sweep()
        return removed

    def put_last(self, path: str) -> None:
        """A new file. Where the clock was set back it would be older than those that were there before, and go in their place for as long as that lasts. Never raises."""
        with suppress(OSError):
            modified = os.lstat(path).st_mtime
            if modified < self._newest:
                modified = self._newest + STEP
                os.utime(path, (modified, modified), follow_symlinks=False)
            self._newest = modified

    def remove_oldest(self, name: str) -> Entry | None:
        """In favour of a profile with this name, which no later one makes room for. None where there is nothing older. Raises OSError as above.
        Names of a time that is still to come are from before the clock was set back."""
        match = _NAME.fullmatch(name)
        moment = match["moment"] if match is not None else ""
        now = _moment(self._wall())
        older = (entry for entry in self.entries() if entry.moment < moment or entry.moment > now)
        return next((entry for entry in older if _is_unlinked(entry)), None)

    def _sweep(self) -> None:
        """What a process that was killed in the middle of a write has left."""
        with os.scandir(self.folder) as found:
            halves = [each.path for each in found if _HALF_WRITTEN.fullmatch(each.name)]
        for path in halves:
            try:
                if self._now() - os.lstat(path).st_mtime > HALF_WRITTEN_AGE:
                    os.unlink(path)
            except OSError:  # not ours to remove, or gone
                pass


def _is_unlinked(entry: Entry) -> bool:
    try:
        os.unlink(entry.path)
    except FileNotFoundError:  # another worker was quicker, and counts it
        return False
    return True


def _surplus(entries: list[Entry], limits: Limits, now: float) -> Iterable[Entry]:
    """entries: the oldest first. The newest stays whatever its size: else a limit that is too small would leave nothing at all."""
    size, count = sum(entry.size for entry in entries), len(entries)
    for entry in entries[:-1]:
        if count <= limits.files and size <= limits.bytes and _age(entry, now) <= limits.age:
            return
        yield entry
        size, count = size - entry.size, count - 1


def _age(entry: Entry, now: float) -> float:
    """Seconds. A time that is still to come says nothing (`put_last`); then what was measured counts."""
    if entry.modified <= now:
        return now - entry.modified
    try:
        return now - datetime.fromisoformat(f"{entry.moment}Z").timestamp()
    except ValueError:  # no calendar has it
        return 0.0
