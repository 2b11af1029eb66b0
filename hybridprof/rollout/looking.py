# SPDX-License-Identifier: MIT
"""How often the thread that follows the configuration looks, at how much, and what that may cost.

Most looks find nothing, and in a program that sleeps each of them runs with cold caches, at ten times of what it costs in a loop. So there are four kinds:

    weigh    what profiling costs, alone: four times a second while something is traced, else with the next
    glance   what a few system calls can tell (kill file, environment, the files' stat): once a second, and where nothing runs every two
    report   what this process says of itself: every ten seconds, and where nothing runs every twenty
    all      where one of these found something, and once a minute besides

Looks are held to a budget of their own like all that we do beside the program, SHARE of its CPU time or FLOOR of a core: where their mean cost is more, they come later. But LONGEST is the
longest that a kill file or a change waits to be seen, whatever that costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PERIOD = 1.0  # seconds between two looks
TRACED, RESTING, LONGEST = (
    0.25,
    2.0,
    4.0,
)  # times as long: while something is traced (the ledger's shortest window), while nothing runs, at most
SHARE = 0.005  # of the process' CPU time
FLOOR = 0.0002  # of a core
MEMORY = (
    8  # looks: what one costs is a mean over about as many, so that a dear one is paid for by those after it and makes no pause of its own
)
REPORT, ALL = 10.0, 60.0  # seconds between two reports, and two looks at all
EARLY = 0.75  # of a period: the thread's wake-ups are not exact, and a glance must not be missed by a microsecond


class Attention:
    """The follower's thread's. period: seconds of PERIOD, longer in tests that look by hand; process: CPU seconds of the process so far."""

    def __init__(self, clock: Callable[[], float], period: float = PERIOD, process: Callable[[], float] = time.process_time) -> None:
        self._clock, self._process, self._period = clock, process, period
        self._rests, self._times = False, 1.0
        self._mean = self._busy = 0.0  # of the costs of looks, in CPU seconds; of a core, what the process took since the last one
        self._glanced = self._told = self._looked = float("-inf")
        self._at, self._before = clock(), process()

    def suit(self, runs: bool, traces: bool) -> float:
        """What is in force from now on. The period then, as of the next two."""
        self._rests = not runs
        self._times = RESTING if not runs else TRACED if traces else 1.0
        return self.period

    def charge(self, seconds: float) -> float:
        """After a look: what it cost."""
        now, process = self._clock(), self._process()
        if now > self._at:
            self._busy = max(0.0, process - self._before) / (now - self._at)
        self._at, self._before = now, process
        self._mean += (seconds - self._mean) / MEMORY
        return self.period

    @property
    def period(self) -> float:
        """Seconds to the next look."""
        paid = self._mean / max(SHARE * self._busy, FLOOR)
        return max(self._times * self._period, min(paid, LONGEST * self._period))

    def wants_all(self) -> bool:
        return not 0 <= self._clock() - self._looked < ALL

    def wants_report(self) -> bool:
        """Whether it is time for one; and then it is taken."""
        now = self._clock()
        if 0 <= now - self._told < (2 * REPORT if self._rests else REPORT):
            return False
        self._told = now
        return True

    def wants_glance(self) -> bool:
        """Whether it is time for one; and then it is taken."""
        now = self._clock()
        if 0 <= now - self._glanced < EARLY * PERIOD:
            return False
        self._glanced = now
        return True

    def looked(self) -> None:
        """At all."""
        self._glanced = self._told = self._looked = self._clock()

    def forget(self) -> float:
        """In a forked child: its CPU time is its own. The first look comes after a period, whatever the parent's cost."""
        self._mean = self._busy = 0.0
        self._at, self._before = self._clock(), self._process()
        self._glanced = self._told = self._looked = float("-inf")
        self._times = 1.0
        return self.period
