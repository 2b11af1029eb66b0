# SPDX-License-Identifier: MIT
"""The last verdict on this rollout, a small file in state_dir: no stage above the one it names runs until there is another verdict, or none.

    {"stage": "dark", "verdict": "fail", "reason": "p95: ...", "at": 1700000000.0, "uid": 0}

`hybridprof judge --apply` writes it, by whoever may write to the folder, and each service that has the folder follows it as it follows its configuration. The configuration names the goal
and the verdict how far the rollout has come: a canary that passed raises it (`--promote-to`), one that failed lowers it. A file that is damaged, or that anybody could have written, holds the stage
at which nothing runs: who has broken it may have wanted to stop something.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from .locks import opened, why
from .stages import NOTHING_RUNS, STAGES
from .trust import distrust_file, distrust_folder
from .watched import WatchedFile

FILE = "verdict.json"
_LARGEST = 64 << 10  # bytes
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """stage: the highest that may run. verdict: "fail", "pass" or "unreadable". at: seconds since 1970. uid: whose it is."""

    stage: str
    verdict: str
    reason: str
    at: float = 0.0
    uid: int = 0


def read(folder: str | os.PathLike[str], user: int | None = None) -> Verdict | None:
    """None where there is none. user: whose word counts besides root's, else this process'. Raises ValueError or OSError."""
    user = os.geteuid() if user is None else user
    try:
        if os.path.isdir(folder) and (complaint := distrust_folder(os.stat(folder), user)):  # who may write there can take a verdict away
            raise ValueError(f"{folder} {complaint}")
        with opened(Path(folder) / FILE, os.O_RDONLY) as file:
            complaint = distrust_file(os.fstat(file), user)
            raw = os.read(file, _LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if complaint:
        raise ValueError(f"it {complaint}")
    try:
        found = Verdict(**json.loads(raw))
    except (ValueError, TypeError, RecursionError):
        raise ValueError("it is damaged; write another with hybridprof judge --apply, or delete it") from None
    if found.stage not in STAGES or not all(isinstance(each, str) for each in (found.verdict, found.reason)):
        raise ValueError(f"it names no stage but {found.stage!r:.60}; write another with hybridprof judge --apply, or delete it")
    return found


def write(folder: str | os.PathLike[str], stage: str, verdict: str, reason: str) -> Verdict:
    """Whole or not at all; on the disk when it returns. Raises OSError."""
    path = Path(folder) / FILE
    made = Verdict(stage, verdict, reason[:_LONGEST_REASON], time.time(), os.getuid())
    temporary = path.with_name(f".{FILE}.{os.urandom(6).hex()}")
    text = json.dumps(asdict(made)).encode() + b"\n"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.write(file, text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        give_to_owner(file, path.parent)
        os.fsync(file)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)
    return made


def withdraw(folder: str | os.PathLike[str]) -> None:
    """Raises OSError."""
    (Path(folder) / FILE).unlink(missing_ok=True)


def give_to_owner(file: int | Path, folder: Path) -> None:
    """What root writes into a service's folder must be the service's: it could not read it, or append to it, otherwise."""
    of = os.stat(folder)
    if os.geteuid() == 0 and of.st_uid != 0:
        os.chown(file, of.st_uid, of.st_gid)


class Followed:
    """The verdict of a folder, read again when it has changed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._file: WatchedFile | None = None
        self.verdict: Verdict | None = None

    def look(self, folder: str | None) -> None:
        """Never raises."""
        path = None if folder is None else os.path.join(folder, FILE)
        if path is None:
            self._file = self.verdict = None
            return
        if self._file is None or self._file.path != path:
            self._file = WatchedFile(path, self._clock)
        if self._file.changed():
            try:
                self.verdict = read(folder or "")
            except (OSError, ValueError) as error:
                self.verdict = _unreadable(path, error)
                self._file.not_read(error)

    def may_differ(self, folder: str | None) -> bool:
        """Whether a look at this folder could find another verdict."""
        return folder is not None and (self._file is None or self._file.may_differ())

    @property
    def ceilings(self) -> dict[str, tuple[str, str]]:
        """For resolve.Layers."""
        return ceilings(self.verdict)


def ceilings(verdict: Verdict | None) -> dict[str, tuple[str, str]]:
    return {} if verdict is None else {"judge": (verdict.stage, verdict.reason)}


def read_or_stop(path: str, user: int | None = None) -> Verdict | None:
    try:
        return read(os.path.dirname(path), user)
    except (OSError, ValueError) as error:
        return _unreadable(path, error)


def _unreadable(path: str, error: Exception) -> Verdict:
    return Verdict(NOTHING_RUNS, "unreadable", f"{path} cannot be used: {why(error)}")
