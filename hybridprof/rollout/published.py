# SPDX-License-Identifier: MIT
"""What this process says of itself, a file in state_dir that `hybridprof status` reads: status.PID.json.

Written when something has changed and every ten seconds besides (while nothing runs it is touched instead: its time says when its process was last heard of), whole or not at all, 0600, without fsync: it is worth nothing after a crash. It goes with the process; those that killed ones
left behind go when the next process of the folder publishes its first.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .locks import opened, why

EVERY = 10.0  # seconds; twice as long while nothing runs
SOONEST = 0.9 * EVERY  # whoever looks every ten seconds is not exact
_NAME = re.compile(r"status\.(\d+)\.json")
_LEFT = re.compile(r"status\.(\d+)\.json|\.status\.(\d+)\.json\.[0-9a-f]{12}")  # whole or half written
_LARGEST = 1 << 20  # bytes


def started(pid: int) -> int | None:
    """When a process began, in clock ticks since the boot; None where there is none with this pid."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def reports(folder: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Of all processes that publish there and run; those that do not are left out. Raises OSError for a folder that cannot be read."""
    for path in sorted(Path(folder).iterdir()):
        report = _read(path) if _NAME.fullmatch(path.name) else None
        if report is not None and started(report["pid"]) == report["started"]:
            yield report


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with opened(path, os.O_RDONLY) as file:
            found = json.loads(os.read(file, _LARGEST))
            said = os.fstat(file).st_mtime
        if isinstance(found, dict) and type(found.get("pid")) is int and type(found.get("started")) is int:
            return {**found, "at": said}
    except (OSError, ValueError, RecursionError):
        pass
    return None


class Published:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._place: tuple[str | None, int] | None = None
        self._path: Path | None = None
        self._started: int | None = None  # this process
        self._said: object = None
        self._at = 0.0
        self._settled = False  # it was written a while after its gist had changed, so that costs have come to rest too
        self.problem: str | None = None

    def say(self, folder: str | None, gist: object, report: Callable[[], dict[str, Any]], still: bool = False) -> None:
        """gist: what a change of is worth a new file at once. still: nothing runs, and without such a change the file is as good as a new one. Never raises."""
        place = (folder, os.getpid())
        if place != self._place:
            self.end()
            self._place, self._started = place, started(os.getpid())
            self._path = None if folder is None else Path(folder) / f"status.{os.getpid()}.json"
            _sweep(self._path)
        path = self._path
        now = self._clock()
        if path is None or (gist == self._said and 0 <= now - self._at < SOONEST):
            return
        if still and self._settled and gist == self._said and _touched(path):
            self._at = now
            return
        self._said, self._at, self._settled = gist, now, gist == self._said
        try:
            _write(path, {"pid": os.getpid(), "started": self._started, **report()})
            self.problem = None
        except Exception as error:
            self.problem = f"{path}: cannot be written: {why(error)}"

    def end(self) -> None:
        path, self._path, self._place, self._said = self._path, None, None, None
        try:
            if path is not None and path.name == f"status.{os.getpid()}.json":
                path.unlink(missing_ok=True)
        except OSError:
            pass

    def forget(self) -> None:
        """In a forked child: the file is the parent's."""
        self._path = self._place = self._said = None


def _touched(path: Path) -> bool:
    try:
        os.utime(path, follow_symlinks=False)
        return True
    except OSError:
        return False


def _write(path: Path, report: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    text = json.dumps(report, default=str).encode() + b"\n"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.write(file, text) != len(text):
            raise OSError(28, os.strerror(28))
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)


def _sweep(ours: Path | None) -> None:
    """What killed processes left. Another container's pids mean nothing here; its processes write theirs again within ten seconds."""
    try:
        for path in ours.parent.iterdir() if ours is not None else ():
            match = _LEFT.fullmatch(path.name)
            if match and path != ours and started(int(match[1] or match[2])) is None:
                path.unlink(missing_ok=True)
    except OSError:
        pass
