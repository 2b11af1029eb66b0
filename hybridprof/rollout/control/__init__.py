# SPDX-License-Identifier: MIT
"""The control socket: who runs a process may ask it, steer it and kill its profiling, without touching a file that rules all of them.

A Unix socket with mode 0600, in a folder that only its user can change; the peer's credentials and a token are checked; HTTP, so that
`curl --unix-socket` is a client, and `hybridprof ctl` another. There is no TCP. What belongs to what:

    place        the socket's name and its token: made, found again, removed, and what dead processes left
    peers        who is at the other end
    exchange     a request and its answer, between bytes and values
    connection   one connection: reading, writing, lingering, each with a deadline
    server       the thread
    commands     what may be asked, and what that does to the ruler
    targets      targets that end one by one
    auditing     what is written down
    durations    10m

Control, here, is what the ruler has of all that: it follows the configuration, and forks and the end of the process. Until a socket is configured
nothing but this file is loaded.
"""

from __future__ import annotations

import _thread
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import api
from ..pace import Pace
from ..schema import checked
from .auditing import Audit, Bookkeeper
from .targets import Targets

if TYPE_CHECKING:
    from ..audit import Actor
    from ..ruler import Ruler
    from .peers import Peer
    from .place import Place
    from .server import Server

SWEEP = 60  # looks between two sweeps
PATIENCE = 2.0  # seconds for another thread's look to end
KILLED = "control socket"  # whose ceiling it is


class Control:
    """One per ruler. `follow` is called at each look; `audit` may be replaced by any callable audit(event, **fields) that does not raise."""

    def __init__(self, ruler: Ruler, *, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.ruler, self.wall = ruler, wall
        self.killed = ""  # by whom
        self.problem = ""  # why there is no socket
        self.books = Bookkeeper(self._note, clock)
        self.pace = Pace()  # of snapshots: not the files', as who asks all the time would keep those from ever being written
        self._asked: str | None = None  # by the code: the lowest layer
        self._clock = clock
        self._targets = Targets()  # guarded by api's lock, like the overrides
        self._by: tuple[str, Actor | None] = ("control", None)
        self._place: Place | None = None  # this and what follows is guarded by _lock
        self._wanted: str | None = None  # the name by which it was asked for
        self._server: Server | None = None
        self._pid = 0  # whose they are
        self._looks = 0
        self._closed = False
        self._lock = _thread.allocate_lock()

    # --- the socket ------------------------------------------------------------------------------------------------------------------------------

    def ask(self, path: str) -> None:
        """The program wants a socket; configuration and environment outrank it. Raises ValueError."""
        asked, self._asked = self._asked, checked("control.socket", path)
        if asked != self._asked:
            self.ruler.note("control.socket", asked, self._asked)

    def follow(self, in_force: str | None) -> None:
        """Makes true what is in force of control.socket: opens, moves, closes, repairs. Not to be called with api's lock held: a request that is being
        answered may wait for that."""
        pattern = in_force or self._asked
        if self._lock.acquire(timeout=PATIENCE):
            try:
                self._follow(pattern)
            finally:
                self._lock.release()
        self._refresh_targets()
        self.books.tick()

    def _follow(self, pattern: str | None) -> None:
        if self._closed:
            return
        if self._pid != os.getpid():
            self._forget()
        wanted = None if pattern is None else pattern.replace("%p", str(os.getpid()))
        if self._place is not None and (self._wanted != wanted or not self._place.is_there()):
            self._shut()
        self._wanted = wanted
        if pattern is None or wanted is None:
            self.problem = ""
            return
        self._open(wanted, pattern)

    def _open(self, wanted: str, pattern: str) -> None:
        try:
            if self._place is None:
                self._place, self._server = self._made(wanted)
                self._looks = 0
            if self._server is not None:
                self._server.start()  # again after a fork past Python's hooks
                self.problem = self._server.problem
        except Exception as error:  # the program asked for none of this and must not meet it
            self.problem = str(error)
            return
        if self._looks % SWEEP == 0:
            from .place import sweep

            sweep(pattern)
        self._looks += 1

    def _made(self, wanted: str) -> tuple[Place, Server]:
        from .commands import Commands
        from .place import open_place
        from .server import Server

        place = open_place(wanted)
        return place, Server(place.listener, Commands(self, place.token), charge=self.ruler.charge)

    def _shut(self) -> None:
        server, place, self._server, self._place = self._server, self._place, None, None
        if server is not None:
            server.close()
        if place is not None:
            place.remove()

    def _forget(self) -> None:
        """What is open is the parent's."""
        if self._server is not None:
            self._server.forget()
        self._server = self._place = None
        self._pid = os.getpid()

    @property
    def held(self) -> int:
        """Bytes of memory that answers take which are still to be sent. Takes no lock."""
        server = self._server
        return 0 if server is None else server.held

    def reported(self) -> dict[str, Any]:
        """For status(). Takes no lock."""
        place = self._place
        return {
            "socket": None if place is None else place.path,
            "problem": self.problem,
            "requests": self.books.requests,
            "refused": self.books.refused,
            "postponed": self.books.postponed,
            "killed": self.killed,
        }

    def _note(self, event: str, *, peer: Peer | None = None, old: object = None, new: object = None, until: float | None = None) -> None:
        """In the ruler's log, and on the disk before the peer is told."""
        from ..audit import Actor  # here, as a program that nobody controls needs it not

        actor = Actor.here("control") if peer is None else peer.actor
        self.ruler.note(event, old, new, actor, until)
        self.ruler.flush()

    @property
    def audit(self) -> Audit:
        return self.books.audit

    @audit.setter
    def audit(self, audit: Audit) -> None:
        self.books.audit = audit

    # --- the process -----------------------------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        if self._server is not None:
            self._server.stop()

    def after_fork_in_parent(self) -> None:
        """A thread that the system refuses now is tried again at the next look."""
        try:
            if self._server is not None:
                self._server.start()
        except RuntimeError as error:
            self.problem = f"the control socket is not served: {error}"

    def after_fork_in_child(self) -> None:
        """Its own socket comes with its first look, as most children call exec before that."""
        self._lock = _thread.allocate_lock()
        self.books.forget()
        self.pace.begin()
        self._forget()

    def close(self) -> None:
        """For good: the end of the process or of its ruler."""
        self._closed = True
        if self._lock.acquire(timeout=PATIENCE):
            try:
                if self._pid == os.getpid():
                    self._shut()
            finally:
                self._lock.release()

    # --- what commands do, with api's lock held --------------------------------------------------------------------------------------------------

    def kill(self, by: str) -> None:
        """Nothing runs in this process any more, whatever a file, an override or the program says."""
        self.killed = f"killed by {by}"
        self.ruler.ceiling(KILLED, "off", self.killed)  # first: without an override that stops it something might run
        for key in self.ruler.overrides.copy():
            self.ruler.withdraw(key, noted=False)
        self._targets = Targets()

    def targets_beneath(self) -> tuple[str, ...]:
        """What would be traced if control had said nothing."""
        targets: tuple[str, ...] = self.ruler.supposing({"deep.targets": None})["deep.targets"]
        return targets

    def change_targets(self, add: list[str], remove: list[str], lasting: float, by: str, actor: Actor) -> None:
        """Raises ValueError, and nothing has changed."""
        beneath, now = self.targets_beneath(), self._clock()
        targets = self._targets.at(now).with_added(add, now + lasting).with_removed(remove, now + lasting, beneath)
        self._override_targets(targets, beneath, by, actor)

    def _refresh_targets(self) -> None:
        """Where one has ended, or what is beneath has changed."""
        with api._lock:
            if self._targets.end is None:
                return
            beneath, targets = self.targets_beneath(), self._targets.at(self._clock())
            if targets is not self._targets or targets.over(beneath) != self.ruler.in_force()["deep.targets"]:
                self._override_targets(targets, beneath, *self._by)

    def _override_targets(self, targets: Targets, beneath: tuple[str, ...], by: str, actor: Actor | None) -> None:
        now = self._clock()
        if targets.end is None:
            self.ruler.withdraw("deep.targets", noted=False)
        else:
            self.ruler.override("deep.targets", targets.over(beneath), self.wall() + targets.end - now, by, actor, noted=False)
        self._targets, self._by = targets, (by, actor)


__all__ = ["Audit", "Control"]
