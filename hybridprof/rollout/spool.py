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
from dataclasses import dataclass

from .trust import distrust_folder, make_folder

SUFFIX = ".hyprof"
_WORD = re.compile(r"[^A-Za-z0-9_-]")
_NAME = re.compile(
    r"[A-Za-z0-9_-]{1,64}@[A-Za-z0-9_-]{1,64}\.s[A-Za-z0-9_-]{1,32}\.p\d{1,10}\.(?P<moment>\d{8}T\d{6}\.\d{3})Z(\.\d{1,4})?\.hyprof"
)
_HALF_WRITTEN = re.compile(r"\.hybridprof-(\d{1,10})-[0-9a-f]{8}\.tmp")
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
    moment = time.gmtime(started)
    milliseconds = int(started * 1000) % 1000
    return (
        f"{word(service, 64)}@{word(host, 64)}.s{word(slot, 32)}.p{pid}."
        f"{time.strftime('%Y%m%dT%H%M%S', moment)}.{milliseconds:03d}Z{SUFFIX}"
    )


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
    """A folder's profiles of one service on one host. clock: seconds that only grow; wall: seconds since the epoch."""

    def __init__(
        self, folder: str, service: str, host: str, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self._prefix = f"{word(service, 64)}@{word(host, 64)}.s"
        self._clock, self._wall = clock, wall
        self._wall_ahead = wall() - clock()

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
        removed = [entry for entry in _surplus(self.entries(), limits, self._now()) if _is_unlinked(entry)]
        self._sweep()
        return removed

    def remove_oldest(self, name: str) -> Entry | None:
        """In favour of a profile with this name, which no later one makes room for. None where there is nothing older. Raises OSError as above."""
        match = _NAME.fullmatch(name)
        moment = match["moment"] if match is not None else ""
        older = (entry for entry in self.entries() if entry.moment < moment)
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
        if count <= limits.files and size <= limits.bytes and now - entry.modified <= limits.age:
            return
        yield entry
        size, count = size - entry.size, count - 1
