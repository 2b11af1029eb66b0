# SPDX-License-Identifier: MIT
"""What control writes to the audit log of the state folder, and how much of it.

Every change is a record, with who made it. What is refused is a record too, but only so many in a minute: the rest is counted and said in one record, as a
client that knocks all day must not push the log's history out, nor keep a disk busy. Of reads (snapshots) one record for each reader in a while.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .peers import Peer

REFUSALS = 30  # records in a minute
MINUTE = 60.0  # seconds
READER = 600.0  # seconds in which one reader is one record

Audit = Callable[..., None]  # audit(event, peer=, old=, new=, until=): must not raise


class Bookkeeper:
    """Counts, and decides what is written. Any thread may call it."""

    def __init__(self, audit: Audit, clock: Callable[[], float]) -> None:
        self.audit = audit
        self.requests = self.refused = self.postponed = 0
        self._clock = clock
        self._lock = _thread.allocate_lock()
        self._minute, self._in_minute, self._unsaid = clock(), 0, 0
        self._reader: tuple[Peer | None, float] = (None, 0.0)

    def refusal(self, peer: Peer, status: int, why: str, line: bytes) -> None:
        with self._lock:
            self.refused += 1
            unsaid = self._new_minute()
            self._in_minute += 1
            said = self._in_minute <= REFUSALS
            self._unsaid += not said
        self._say_unsaid(unsaid)
        if said:
            first = line.splitlines()[0] if line.strip() else b""
            self.audit("control refused", peer=peer, new={"status": status, "why": why, "request": first[:200].decode("latin-1")})

    def later(self) -> None:
        """Who is told to come again has done nothing that the log must know."""
        with self._lock:
            self.postponed += 1

    def tick(self) -> None:
        """Now and then, so that what was counted is said though nobody knocks any more."""
        with self._lock:
            unsaid = self._new_minute()
        self._say_unsaid(unsaid)

    def read(self, peer: Peer, what: str) -> None:
        """Data has left the process."""
        with self._lock:
            known, since = self._reader
            now = self._clock()
            if known == peer and now - since < READER:
                return
            self._reader = (peer, now)
        self.audit(what, peer=peer)

    def _new_minute(self) -> int:
        """With the lock held. How many went unsaid in the minute that is over."""
        now = self._clock()
        if now - self._minute < MINUTE:
            return 0
        unsaid, self._unsaid = self._unsaid, 0
        self._minute, self._in_minute = now, 0
        return unsaid

    def _say_unsaid(self, unsaid: int) -> None:
        if unsaid:
            self.audit("control refused", new={"more": unsaid, "within": f"{MINUTE:g} s"})

    def forget(self) -> None:
        """In a forked child, where another thread may have held the lock."""
        self._lock = _thread.allocate_lock()
        self.requests = self.refused = self.postponed = self._in_minute = self._unsaid = 0
