# SPDX-License-Identifier: MIT
"""What `output_dir` and [output] ask for, made true in this process: files each minute, limits in the folder, an uploader."""

from __future__ import annotations

import _thread
import os
from collections.abc import Callable
from typing import Any, Protocol

from .. import _core
from . import rotation, shipping
from .pace import Pace
from .spool import Limits

MEGABYTE = 1_000_000
DAY = 86400.0  # seconds
EXIT_PATIENCE = 5.0  # seconds that the end of the program waits for a file, and for its uploader
SHORT_PATIENCE = 1.0  # seconds that the thread which follows the configuration does


class Values(Protocol):
    """What is in force: resolve.InForce."""

    @property
    def samples(self) -> bool: ...
    def __getitem__(self, key: str) -> Any: ...


class Output:
    """One per process, in the ruler's hands. renew: begins the session anew; charge: is told the CPU seconds of the threads that write and hand over."""

    def __init__(self, renew: Callable[[], None] = lambda: None, charge: Callable[[float], None] = lambda seconds: None) -> None:
        self._renew, self._ledger = renew, charge
        self._pace = Pace()
        self._lock = _thread.allocate_lock()  # around changes; nothing is written while it is held but what `end` writes
        self._slot = "0"
        self._rotation: rotation.Rotation | None = None
        self._shipper: shipping.Shipper | None = None
        self._sampled = False  # at the last update
        self._pid = os.getpid()

    def update(self, now: Values, slot: str, host: str) -> None:
        """What is in force may have changed. Nothing is written here, but a last file where no output is wanted any more."""
        if self._pid != os.getpid():  # a fork past Python's hooks (uWSGI's)
            self.after_fork_in_child()
        if now["output_dir"] is None:
            self.end(SHORT_PATIENCE)
            return
        with self._lock:
            self._slot = slot
            self._rotate(_rotation_settings(now, host), now.samples)
            self._ship(_shipping_settings(now))

    def _rotate(self, settings: rotation.Settings, samples: bool) -> None:
        """The thread is there from the first session on, and goes on after the last: what it has measured is still to be written."""
        if self._rotation is None and samples:
            self._rotation = rotation.Rotation(settings, lambda: self._slot, pace=self._pace, charge=self._charge)
            self._rotation.on_removed = self._removed
            self._rotation.on_written = self._written
            self._rotation.on_large = self._renew
        if self._rotation is None:
            return
        if settings != self._rotation.settings:
            self._rotation.change(settings)
        if self._sampled and not samples:
            self._rotation.hurry()
        self._sampled = samples
        _core.keep_windows(True)  # another clock begins another session, and the one before is to be written too
        if samples or not self._rotation.rests():
            self._rotation.begin()

    def _ship(self, settings: shipping.Settings | None) -> None:
        if self._shipper is not None and settings != self._shipper.settings:
            self._shipper.before_fork()  # its thread ends; what it was doing it ends alone
            self._shipper = None
        if settings is None or self._rotation is None:
            return
        if self._shipper is None:
            rotating = self._rotation
            self._shipper = shipping.Shipper(settings, lambda: rotating.spool, pace=self._pace, charge=self._charge)
        self._shipper.begin()

    def _charge(self, seconds: float) -> None:
        self._ledger(seconds)
        self._pace.charge(seconds)

    def hurry(self) -> None:
        """What there is goes to a file as soon as may be. Takes no lock."""
        rotating = self._rotation
        if rotating is not None:
            rotating.hurry()

    @property
    def held(self) -> int:
        """Bytes of memory that profiles take which could not be written. Takes no lock."""
        rotating = self._rotation
        return 0 if rotating is None else rotating.held

    def _removed(self, files: int) -> None:
        if self._shipper is not None:
            self._shipper.lost(files)

    def _written(self) -> None:
        if self._shipper is not None:
            self._shipper.nudge()

    def end(self, patience: float = EXIT_PATIENCE) -> None:
        """The last file is written and, where there is an uploader, offered; seconds for each. Nothing where there is nothing."""
        if not self._lock.acquire(timeout=patience):  # a signal handler that ends the process may have interrupted this very end
            return
        try:
            rotating, shipper = self._rotation, self._shipper
            self._rotation = self._shipper = None
            self._sampled = False
            if rotating is None:
                return
            rotating.end(patience)
            _core.keep_windows(False)
            if shipper is not None:
                shipper.end(patience)
        finally:
            self._lock.release()

    # --- the process -------------------------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        for each in (self._rotation, self._shipper):
            if each is not None:
                each.before_fork()

    def after_fork_in_parent(self) -> None:
        for each in (self._rotation, self._shipper):
            if each is not None:
                each.begin()

    def after_fork_in_child(self) -> None:
        """Its threads begin with the first look of the child's ruler."""
        self._lock = _thread.allocate_lock()
        self._pid = os.getpid()
        self._sampled = False
        for each in (self._rotation, self._shipper):
            if each is not None:
                each.after_fork_in_child()

    def at_exit(self) -> None:
        """The session ends first, so that the last file has all of it."""
        if self._rotation is not None:
            _core.stop()
        self.end()

    @property
    def gist(self) -> tuple[object, ...]:
        """What a change of is worth telling at once."""
        rotating, shipper = self._rotation, self._shipper
        return (rotating and (rotating.written, rotating.lost, rotating.problem), shipper and (shipper.given_up, shipper.problem))

    def status(self) -> dict[str, Any] | None:
        """None where nothing is written."""
        rotating, shipper = self._rotation, self._shipper
        if rotating is None:
            return None
        return {**rotating.status(), "upload": shipper.status() if shipper is not None else None}


def _rotation_settings(now: Values, host: str) -> rotation.Settings:
    limits = Limits(int(now["output.files"]), int(now["output.megabytes"] * MEGABYTE), now["output.days"] * DAY)
    service = now["service"] or "python"
    return rotation.Settings(
        os.fspath(now["output_dir"]), service, host, now["output.interval"], limits, now["output.paths"] == "short", now["output.budget"]
    )


def _shipping_settings(now: Values) -> shipping.Settings | None:
    if not now["output.upload"] and not now["output.command"]:
        return None
    command = tuple(now["output.command"] or ())
    return shipping.Settings("" if command else now["output.upload"], command, now["output.timeout"], now["output.budget"])
