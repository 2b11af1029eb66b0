# SPDX-License-Identifier: MIT
"""Finished profiles are handed to an uploader, a Python callable or a command, and removed from the folder when it has them.

The folder is the queue: what is in it survives restarts, and its limits on files, bytes and age bound it. Any worker hands over any file of its
service and host, also those of workers that were killed; a lock on the file makes that once. After a failure all wait, longer each time, by
chance more or less, so that a service does not call at an uploader that comes back all at once. A try has a bounded time.
"""

from __future__ import annotations

import _thread
import fcntl
import os
import time
from _random import Random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .command import Failed, run
from .follower import Follower
from .locks import why
from .pace import Pace
from .spool import Entry, Spool
from .trust import distrust_folder

NAME = "hybridprof-upload"
TICK = 1.0  # seconds between two looks at whether there is something to do
SCAN = 30.0  # seconds between two looks into the folder, where nobody says that a file is there
FIRST_DELAY, LONGEST_DELAY = 2.0, 600.0  # seconds to wait after a failure, and at most
PATIENCE = 0.2  # seconds that a fork waits

Upload = Callable[[str, float], None]  # path, seconds that it may take; raises if it failed


@dataclass(frozen=True, slots=True)
class Settings:
    """What takes the profiles: one of `call` ("module:function", called with a path) and `command` (words; the path is its last argument). timeout: seconds
    for each try; budget: of the process' CPU time, percent."""

    call: str = ""
    command: tuple[str, ...] = ()
    timeout: float = 30.0
    budget: float = 100.0


def uploader(settings: Settings, charge: Callable[[float], None] = lambda seconds: None) -> Upload:
    """charge: is told the CPU seconds that it took, a command's too: they are another process', and the machine's all the same."""
    if settings.command:
        return lambda path, seconds: run(settings.command, path, seconds, charge)
    calls = _Calls(settings.call, charge)
    return calls.upload


# --- what an uploader is -----------------------------------------------------------------------------------------------------------------------


class _Calls:
    """A function of the program's. One that does not return in time cannot be ended: it is left alone, and none is called beside it."""

    def __init__(self, name: str, charge: Callable[[float], None]) -> None:
        self._name, self._charge = name, charge
        self._busy = _thread.allocate_lock()

    def upload(self, path: str, seconds: float) -> None:
        if not self._busy.acquire(False):
            raise Failed(f"{self._name} still has not returned from an earlier call")
        outcome: list[str] = []
        done = _thread.allocate_lock()
        done.acquire()

        def call() -> None:
            began = time.thread_time()
            try:
                _function(self._name)(path)
                outcome.append("")
            except BaseException as error:  # whatever it raises, SystemExit too
                outcome.append(f"{self._name} raised {type(error).__name__}: {error}")
            finally:
                self._charge(time.thread_time() - began)
                self._busy.release()
                done.release()

        try:
            _thread.start_new_thread(call, ())
        except RuntimeError:  # an interpreter that ends starts none; this thread is ours, and whoever waits for it has a bound
            call()
        if not done.acquire(timeout=seconds):
            raise Failed(f"{self._name} took longer than {seconds:g} s")
        if outcome[0]:
            raise Failed(outcome[0])


def _function(name: str) -> Callable[[str], object]:
    from importlib import import_module

    module, _, attributes = name.partition(":")
    found: Any = import_module(module)
    for each in attributes.split("."):
        found = getattr(found, each)
    if not callable(found):
        raise TypeError(f"it is no function but {type(found).__name__}")
    return found  # type: ignore[no-any-return]


# --- handing over ------------------------------------------------------------------------------------------------------------------------------


def _is_still(file: int, path: str) -> bool:
    """Another worker may have handed it over between our look and our lock: then it is gone, or another file has its name."""
    try:
        here, there = os.fstat(file), os.lstat(path)
    except FileNotFoundError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


class Claim:
    """A file that is ours for as long as this is open; `mine` says whether it is."""

    def __init__(self, path: str) -> None:
        self.mine = False
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            self._file = -1
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.mine = _is_still(self._file, path)
        except BlockingIOError:
            pass
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """In a forked child too: an inherited file would keep the parent's lock for as long as the child lives."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


class Backoff:
    """How long to wait after failures in a row: twice as long each time, half of it by chance. Seconds."""

    def __init__(self, first: float = FIRST_DELAY, longest: float = LONGEST_DELAY, chance: Callable[[], float] | None = None) -> None:
        self._first, self._longest, self._chance = first, longest, chance or Random().random
        self.failures = 0

    def failed(self) -> float:
        whole = min(self._longest, self._first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return whole * (0.5 + 0.5 * self._chance())

    def succeeded(self) -> None:
        self.failures = 0


class Shipper:
    """One per process. upload: what takes a file; tests give their own."""

    def __init__(
        self,
        settings: Settings,
        spool: Callable[[], Spool],
        *,
        upload: Upload | None = None,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
        pace: Pace | None = None,
        charge: Callable[[float], None] = lambda seconds: None,
        period: float = TICK,
    ) -> None:
        self.settings, self._spool, self._clock, self._charge = settings, spool, clock, charge
        self._pace = pace or Pace(clock)
        self._upload = upload or uploader(settings, charge)
        self._backoff = backoff or Backoff()
        self._wait_until = self._scan_at = clock()
        # Failures by path: those that failed least come first, so that no file keeps all others from going.
        self._tried: dict[str, int] = {}
        self._turn = _thread.allocate_lock()
        self.handed_over = self.failures = self.given_up = 0
        self.problem = ""
        self._pending: list[Entry] = []
        self._claim: Claim | None = None
        self._closing = False
        self._follower = Follower(self.look, period, NAME, PATIENCE, charge)

    def begin(self) -> None:
        """Starts the thread if there is none."""
        try:
            self._follower.start()
        except RuntimeError as error:
            self.problem = f"no thread could be started to hand profiles over: {error}"

    def nudge(self) -> None:
        """There is a new file."""
        self._scan_at = self._clock()

    def lost(self, files: int) -> None:
        """They went because of the folder's limits, before anybody had them."""
        self.given_up += files

    # --- in the thread -----------------------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Hands over what there is, until a failure. Never raises. What is not paid for is not looked for: with many files waiting that alone would cost more than is earned."""
        if self._clock() < max(self._wait_until, self._scan_at) or not self._pace.allows(self.settings.budget, NAME):
            return
        if not self._turn.acquire(False):
            return
        try:
            self._scan_at = self._clock() + SCAN
            self.hand_over_all()
        finally:
            self._turn.release()

    def hand_over_all(self, until: float | None = None) -> None:
        """until: a moment of the clock after which nothing is begun. Never raises."""
        try:
            folder = self._spool().folder
            if complaint := distrust_folder(os.stat(folder), os.geteuid()):  # others could put there what only we may read
                raise OSError(None, f"it {complaint}")
            self._pending = self._spool().entries()
        except FileNotFoundError:  # nothing was written yet
            return
        except OSError as error:
            self._note(f"the folder of profiles cannot be read: {why(error)}")
            return
        paths = {entry.path for entry in self._pending}
        self._tried = {path: count for path, count in self._tried.items() if path in paths}
        for entry in sorted(self._pending, key=lambda entry: (self._tried.get(entry.path, 0), entry.modified, entry.path)):
            if (
                (until is None and not self._may_go_on())
                or (until is not None and self._clock() >= until)
                or not self._hand_over(entry, until)
            ):
                return

    def _may_go_on(self) -> bool:
        """A folder that others have filled is no reason to be dear: the next look goes on."""
        if self._closing:
            return False
        if not self._pace.allows(self.settings.budget, NAME):
            self._scan_at = self._clock()
            return False
        self._pace.begin(NAME)
        return True

    def _hand_over(self, entry: Entry, until: float | None) -> bool:
        """False where it failed: then the others wait too."""
        seconds = self.settings.timeout if until is None else min(self.settings.timeout, max(0.01, until - self._clock()))
        try:
            self._claim = Claim(entry.path)
            if self._claim.mine:
                self._upload(entry.path, seconds)
                os.unlink(entry.path)
                self.handed_over += 1
                self._backoff.succeeded()
                self.problem = ""
            self._pending = [each for each in self._pending if each is not entry]
            return True
        except Exception as error:
            self._tried[entry.path] = self._tried.get(entry.path, 0) + 1
            self._note(f"{os.path.basename(entry.path)} was not handed over: {why(error)}")
            return False
        finally:
            self._drop_claim()

    def _drop_claim(self) -> None:
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.close()

    def _note(self, problem: str) -> None:
        self.failures += 1
        self.problem = problem
        self._wait_until = self._clock() + self._backoff.failed()
        self._scan_at = self._wait_until

    # --- the process -------------------------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        self._follower.stop()

    def after_fork_in_child(self) -> None:
        self._turn = _thread.allocate_lock()
        self._drop_claim()
        self._upload = uploader(self.settings, self._charge)  # a call that was under way is the parent's
        self._backoff = Backoff()
        self._wait_until = self._scan_at = self._clock()
        self.handed_over = self.failures = self.given_up = 0
        self.problem, self._pending, self._tried = "", [], {}
        self._follower.forget()

    def end(self, patience: float) -> None:
        """One more try with what there is, in so many seconds. What is left stays in the folder, for the next worker or the next start; so does all of it
        where the uploader is a command and the interpreter ends already, for it starts no processes then (3.12 on)."""
        self._closing = True
        deadline = self._clock() + patience

        def last() -> None:
            if self._turn.acquire(timeout=patience):
                try:
                    self.hand_over_all(until=deadline)
                finally:
                    self._turn.release()

        self._follower.close(last, patience)

    def status(self) -> dict[str, Any]:
        """For status(): counts since the process began, and what was in the folder when it was last looked at."""
        pending = self._pending
        return {
            "to": self.settings.call or " ".join(self.settings.command),
            "handed_over": self.handed_over,
            "pending": len(pending),
            "pending_bytes": sum(entry.size for entry in pending),
            "failures": self.failures,
            "given_up": self.given_up,
            "next_try_s": max(0.0, self._wait_until - self._clock()),
            "problem": self.problem,
        }
