# SPDX-License-Identifier: MIT
"""What each function took by the program's own clock: the truth that a profile is held against."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

CLOCKS: dict[str, Callable[[], int]] = {
    "cpu": time.thread_time_ns,
    "wall": time.perf_counter_ns,
}  # of the calling thread, as the sampler's are


class Truth:
    """Times calls that are made through it. One for each thread.

    self_ns: less what was called through it; total_ns: once for each outermost call, as in a profile. Both ns, by name.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.self_ns: Counter[str] = Counter()
        self.total_ns: Counter[str] = Counter()
        self._inner = [0]  # ns of the calls that were made within each open one
        self._open: Counter[str] = Counter()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """function(self, *arguments). What timing costs is nobody's: the clock is read on both sides of the books, or a function that calls often would
        have it as time of its own, where a profile shows it in this one."""
        entered = self.now()
        name = function.__name__
        outermost = self._open[name] == 0
        self._open[name] += 1
        self._inner.append(0)
        began = self.now()
        try:
            return function(self, *arguments)
        finally:
            took = self.now() - began
            self.self_ns[name] += took - self._inner.pop()
            self.total_ns[name] += took if outermost else 0
            self._open[name] -= 1
            self._inner[-1] += self.now() - entered

    def add(self, other: Truth) -> None:
        """What another thread found."""
        self.self_ns += other.self_ns
        self.total_ns += other.total_ns
