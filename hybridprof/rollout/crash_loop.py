# SPDX-License-Identifier: MIT
"""Crashes of this program, known to its next lives. crash_rules.py says what follows from them.

A life leaves a marker in the state folder and takes it away when it ends as it should: atexit, or C's exit where a server does without that. os._exit, SIGKILL, SIGSEGV, the OOM
killer, and a signal such as SIGTERM that the program does not handle leave it. Whoever begins a life looks through the markers: one whose owner is dead is a crash. The owner is known by pid, start time and boot, so that a
later process with the same pid is not taken for it; a marker from before a reboot is no crash. Where the owner has pids of its own (another container with the same folder) nothing is known
of it but that it still holds a record lock on its marker, which ends with the process and is not inherited by forks.

Markers that are found at once are one crash: who kills a service with all its workers has not killed it as many times. Each worker of a prefork server begins a life of its own, after
the fork; the folder is theirs together, under a lock. A fork that begins none has no marker, and leaves its parent's alone. A program that becomes a daemon begins after that.

A folder that cannot be read, written or understood says nothing about crashes: then nothing deep is traced, and `problem` says why. The program is never harmed.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import _core
from . import memory_kills
from .crash_rules import DISABLED_FOR, HEALTHY, Crash, Crashes, Standing, allowed, cleared, disabled_until, recorded, standing
from .locks import locked, why
from .markers import Marker, read_json, read_marker, state_of, this_boot, this_process
from .trust import distrust_folder, make_folder

FILE = "crashes.json"
_HALF_WRITTEN = re.compile(r"\.(?:crashes|worker\..+\.(?P<pid>\d{1,10}))\.json\.[0-9a-f]{12}")  # by `_write`
LEFT = 60.0  # seconds after which nobody writes a marker any more, which takes none; another container's process is not in our /proc
END_PATIENCE = 2.0  # seconds that the end of a life waits for another thread of its process


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds. monotonic: the same for all processes since the boot; wall: to bridge a reboot."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Decision:
    """stage: the one that may be in force. reason: one sentence; empty where nothing is held against the program."""

    stage: str
    standing: Standing
    reason: str


_REASONS = {
    Standing.CLEAR: "",
    Standing.DOWN: f"it crashed: down a stage until it has been well for {HEALTHY:g} s",
    Standing.SAMPLER_ONLY: f"it crashed twice in 10 minutes: the sampler alone until it has been well for {HEALTHY:g} s",
    Standing.DISABLED: "it crashed three times in an hour: disabled for 24 hours, or until the version or the configuration changes",
}

_OUT_OF_MEMORY = " (the kernel had killed in its cgroup for want of memory)"

_guards: weakref.WeakSet[Guard] = weakref.WeakSet()


class Guard:
    """One life of one worker. `slot` is the worker's place, the same in its next life. All methods return or do nothing; none raises."""

    def __init__(self, folder: str | os.PathLike[str], *, version: str, config: str, slot: str = "0", clock: Clock | None = None) -> None:
        self.folder = Path(folder)
        self.problem: str | None = None
        self._version, self._config, self._slot = version, config, slot
        self._clock = clock or Clock()
        self._stage = "off"
        self._born = self._clock.monotonic()
        self._marker: Marker | None = None
        self._kills_of, self._killed = "", 0
        self._file = -1  # the marker's, kept open for its lock
        self._found = False  # whether all markers were looked through
        self._over = False  # it has ended: a look that comes late leaves no marker
        self._crashes: Crashes = ()
        self._read_at: tuple[int, ...] = ()
        self._lock = threading.Lock()
        _guards.add(self)

    @property
    def key(self) -> str:
        """What crashes are blamed on."""
        return _key(self._version, self._config)

    def begin(self, stage: str) -> Decision:
        """A life begins, with this stage asked for. Looks for crashes of others first."""
        atexit.register(self.end)
        with self._lock:
            self._stage, self._born, self._over = stage, self._clock.monotonic(), False
            self._kills_of = memory_kills.counter()
            self._killed = memory_kills.killed(self._kills_of)
            return self._kept(self._find_crashes)

    def changed(self, config: str, stage: str) -> Decision:
        """Another configuration or stage is asked for. Another configuration must show its own health."""
        with self._lock:
            if config != self._config:
                self._config, self._born = config, self._clock.monotonic()
            self._stage = stage
            return self._kept(self._look)

    def tick(self) -> Decision:
        """To be called every few seconds: what other workers met counts here too, and health is noted."""
        with self._lock:
            return self._kept(self._look)

    def foreseen(self, user: int) -> Decision:
        """What a life of this user would be told if it began now. Nothing is written, and no folder made."""
        try:
            if self.folder.exists():
                _check_trust(self.folder, user)
                self._crashes = self._load()
                _, dead, damaged = self._looked_through()
                for key, memory in sorted(dead.items()):
                    self._crashes = recorded(self._crashes, key, self._clock.monotonic(), memory)
                if damaged is not None:
                    raise damaged
        except Exception as error:
            self._blame(error)
        return self._decision()

    def may_differ(self) -> bool:
        """Whether somebody has written down crashes since they were read here. Reads no file."""
        return _written(self.folder) != self._read_at

    def end(self) -> None:
        """The life ends as it should."""
        atexit.unregister(self.end)
        if not self._lock.acquire(timeout=END_PATIENCE):  # a signal handler that ends the process may have interrupted whoever holds it
            return
        try:
            with contextlib.suppress(Exception):
                self._over = True
                self._unmark()
        finally:
            self._lock.release()

    def status(self) -> dict[str, Any]:
        now = self._clock.monotonic()
        until = disabled_until(self._crashes, self.key, now)
        decision = self._decision()
        return {
            "standing": decision.standing.name.lower(),
            "stage": decision.stage,
            "reason": decision.reason,
            "crashes": len(recent := [each for each in self._crashes if each.key == self.key and now - each.at < DISABLED_FOR]),
            "out_of_memory": sum(1 for each in recent if each.memory),
            "disabled_for_s": None if until is None else round(until - now),
        }

    def _kept(self, work: Callable[[], None]) -> Decision:
        """What follows from that work; where it or the marker fails, nothing deep does."""
        self.problem = None
        for step in (work, lambda: self._mark(self._decision().stage)):
            try:
                step()
            except Exception as error:
                self._blame(error)
        return self._decision()

    def _blame(self, error: Exception) -> None:
        self.problem = f"{self.folder}: crashes cannot be known, so nothing deep is traced: {why(error)}"

    def _decision(self) -> Decision:
        found = standing(self._crashes, self.key, self._clock.monotonic())
        if self.problem is not None:
            found = max(found, Standing.SAMPLER_ONLY)
        return Decision(allowed(self._stage, found), found, self.problem or _REASONS[found] + self._for_want_of_memory(found))

    def _for_want_of_memory(self, found: Standing) -> str:
        last = max((each for each in self._crashes if each.key == self.key), key=lambda each: each.at, default=None)
        return _OUT_OF_MEMORY if found is not Standing.CLEAR and last is not None and last.memory else ""

    def _find_crashes(self) -> None:
        """Crashes are written down before their markers go: killed in between, one is counted twice, which errs on the side of doing less."""
        self._found = False
        _make(self.folder)
        with locked(self.folder / "lock"):
            crashes = self._crashes = self._load()
            over, dead, damaged = self._looked_through()
            for key, memory in sorted(dead.items()):
                crashes = recorded(crashes, key, self._born, memory)
            if dead:
                self._save(crashes)
            for path in [*over, *self._half_written()]:
                path.unlink(missing_ok=True)
        if damaged is not None:
            raise damaged
        self._found = True

    def _half_written(self) -> list[Path]:
        """What lives that were killed in the middle of a write have left. The list of crashes is written under the lock, which is ours now; a marker is not, so its process must be gone."""
        found = [(path, _HALF_WRITTEN.fullmatch(path.name)) for path in self.folder.glob(".*")]
        return [path for path, match in found if match and (match["pid"] is None or self._is_left(path, match["pid"]))]

    def _is_left(self, path: Path, pid: str) -> bool:
        try:
            return self._clock.wall() - path.lstat().st_mtime > LEFT and not os.path.exists(f"/proc/{pid}")
        except OSError:  # it is gone
            return False

    def _looked_through(self) -> tuple[list[Path], dict[str, bool], Exception | None]:
        """Markers whose life is over, what those ran that crashed and whether one of them for want of memory, and what could not be understood."""
        over: list[Path] = []
        dead: dict[str, bool] = {}
        damaged: Exception | None = None
        ours = {guard._path(guard._marker.owner.pid) for guard in list(_guards) if guard._marker is not None}
        for path in sorted(set(self.folder.glob("worker.*.json")) - ours):  # to open and close our own would end its lock
            try:
                marker = read_marker(path)
                state = state_of(marker.owner, path)
            except FileNotFoundError:  # its process has ended just now, as it should
                continue
            except Exception as error:
                damaged = error
                continue
            if state == "dead":
                key = _key(marker.version, marker.config)
                dead[key] = dead.get(key, False) or memory_kills.killed(marker.kills_of) > marker.killed
            if state != "alive":
                over.append(path)
        return over, dead, damaged

    def _look(self) -> None:
        _make(self.folder)
        if not self._found:
            self._find_crashes()
        self._crashes = self._load()
        now = self._clock.monotonic()
        if cleared(self._crashes, self.key, self._born, now) != self._crashes:
            with locked(self.folder / "lock"):
                self._save(cleared(self._load(), self.key, self._born, now))

    def _load(self) -> Crashes:
        path = self.folder / FILE
        self._read_at = _written(self.folder)  # before it is read: what comes between is read again
        try:
            found = read_json(path)
        except FileNotFoundError:
            return ()
        try:
            crashes = tuple(Crash(float(at), str(key), bool(clear), any(memory)) for at, key, clear, *memory in found["crashes"])
            elapsed = self._elapsed(str(found["boot"]), float(found["monotonic"]), float(found["wall"]))
        except (TypeError, ValueError, KeyError, OverflowError):
            raise ValueError(f"{path.name} is damaged; delete it to forget past crashes") from None
        return tuple(replace(each, at=min(each.at + elapsed, self._clock.monotonic())) for each in crashes)

    def _elapsed(self, boot: str, monotonic: float, wall: float) -> float:
        """What is to be added to times of another boot: by the wall clock, which may have been set back meanwhile."""
        if boot == this_boot():
            return 0.0
        return self._clock.monotonic() - (monotonic + max(0.0, self._clock.wall() - wall))

    def _save(self, crashes: Crashes) -> None:
        rows = [[each.at, each.key, each.cleared, each.memory] for each in crashes]
        found = {"boot": this_boot(), "monotonic": self._clock.monotonic(), "wall": self._clock.wall(), "crashes": rows}
        _write(self.folder / FILE, found, False)
        self._crashes = crashes

    def _path(self, pid: int) -> Path:
        slot = (
            self._slot
            if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", self._slot)
            else hashlib.sha256(self._slot.encode("utf-8", "replace")).hexdigest()[:16]
        )
        return self.folder / f"worker.{slot}.{pid}.json"

    def _mark(self, stage: str) -> None:
        """Where nothing runs, nothing is to blame."""
        if stage == "off" or self._over:
            self._unmark()
            return
        marker = Marker(this_process(), self._slot, self._version, self._config, stage, self._kills_of, self._killed)
        if marker == self._marker:
            return
        _make(self.folder)
        path = self._path(marker.owner.pid)
        old, self._file = self._file, _write(path, asdict(marker), True)
        self._marker = marker
        _core.unlink_at_exit(path.absolute())
        if old >= 0:
            os.close(old)

    def _unmark(self) -> None:
        marker, self._marker = self._marker, None
        file, self._file = self._file, -1
        if marker is not None and marker.owner.pid == os.getpid():
            self._path(marker.owner.pid).unlink(missing_ok=True)
            _core.unlink_at_exit(None)
        if file >= 0:
            os.close(file)

    def _forked(self) -> None:
        """In the child: the marker is the parent's, and another of its threads may have held the lock."""
        self._lock = threading.Lock()
        file, self._file, self._marker = self._file, -1, None
        if file >= 0:
            with contextlib.suppress(OSError):
                os.close(file)


def _written(folder: Path) -> tuple[int, ...]:
    """What tells one file of crashes from another: each is a new one, renamed."""
    try:
        status = os.stat(folder / FILE)
    except OSError as error:
        return (error.errno or 0,)
    return (status.st_mtime_ns, status.st_ino, status.st_size)


def _key(version: str, config: str) -> str:
    return f"{version} {config}"


def _in_child() -> None:
    for guard in list(_guards):
        guard._forked()


os.register_at_fork(after_in_child=_in_child)


def _make(folder: Path) -> None:
    make_folder(folder)
    _check_trust(folder, os.geteuid())


def _check_trust(folder: Path, user: int) -> None:
    for each in (folder, folder.parent):
        if complaint := distrust_folder(os.stat(each), user, sticky=each is not folder):
            raise PermissionError(errno.EPERM, f"{each} {complaint}")


def _write(path: Path, found: object, keep: bool) -> int:
    """Whole or not at all. keep: returns the open file, under a record lock."""
    # A name of one's own: two threads, or two pid namespaces with the same pid, must not share it.
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        text = json.dumps(found).encode()
        if os.write(file, text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if keep:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(temporary, path)
    except BaseException:
        os.close(file)
        temporary.unlink(missing_ok=True)
        raise
    if keep:
        return file
    os.close(file)
    return -1
