# SPDX-License-Identifier: MIT
"""What comes in bursts and can wait, held to a budget: nothing is done again before the program has worked long enough to have paid for what was done.

Over any time the cost is then the budget's share, and the last burst. A file that costs 50 ms a minute is within 1 % of a program that takes 5 s of CPU time in that minute; where it takes
less, files cover more time.
"""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable

TURN = 3.0  # seconds: who has not asked again for so long wants nothing any more
FLOOR = 0.001  # of a core: what may always be taken, so that the profile of a program that sleeps is written at all


class Spent:
    """CPU seconds that any thread tells of. Without a lock, which a fork may find taken: each thread adds to a number of its own, and who comes later under the same ident goes on with it."""

    def __init__(self) -> None:
        self._by_thread: dict[int, float] = {}

    def add(self, seconds: float) -> None:
        thread = _thread.get_ident()
        self._by_thread[thread] = self._by_thread.get(thread, 0.0) + max(0.0, seconds)

    def total(self) -> float:
        return sum(self._by_thread.copy().values())


class Pace:
    """For all that shares a budget: whoever wants a burst asks `allows`, and calls `begin` before it. Any thread may; two that were allowed one at the same moment pay for both. process: CPU
    seconds of the process so far."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, process: Callable[[], float] = time.process_time) -> None:
        self._clock, self._process = clock, process
        self._spent = Spent()
        self._asked: dict[str, float] = {}  # who was refused, and when last
        self.begin()

    def charge(self, seconds: float) -> None:
        """CPU seconds."""
        self._spent.add(seconds)

    def begin(self, who: str = "") -> None:
        """The next burst: what it costs, and what follows from it, is paid for from now on."""
        self._last = who
        self._began, self._before, self._paid = self._clock(), self._process(), self._spent.total()

    def allows(self, budget: float, who: str = "") -> bool:
        """Whether what was spent since `begin` is paid for, and it is nobody else's turn: who had the last burst leaves this one to who was refused a moment ago. budget: percent of the
        process' CPU time."""
        now = self._clock()
        others = self._last == who and any(name != who and now - at < TURN for name, at in self._asked.copy().items())
        if others or self._owed(budget)[0] > 0:
            self._asked[who] = now
            return False
        self._asked.pop(who, None)
        return True

    def wait(self, budget: float) -> float:
        """Seconds until `allows`, if the program goes on working as it has since `begin`; 0 where it does."""
        owed, earned, passed = self._owed(budget)
        return 0.0 if owed <= 0 else owed / max(earned / passed if passed > 0 else 0.0, FLOOR)

    def _owed(self, budget: float) -> tuple[float, float, float]:
        """CPU seconds that are still to be earned, those that were, and how long it took."""
        passed = self._clock() - self._began
        earned = max(budget / 100 * (self._process() - self._before), FLOOR * passed)
        return self._spent.total() - self._paid - earned, earned, passed
