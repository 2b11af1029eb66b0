# SPDX-License-Identifier: MIT
"""The ledger and the ladder of this process, kept together: a look reads what profiling has cost, and says which steps follow.

Guarded by api's lock, but for `charge`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from . import ladder
from .ladder import Budgets, Easing, State, Step
from .ledger import Ledger, Reading, Window
from .readings import Readings, TargetCosts
from .resolve import InForce


class Accounts:
    """sheds: whether the last look asks for a session that begins anew, with empty tables."""

    def __init__(self, clock: Callable[[], float], read: Callable[[], Reading] | None = None) -> None:
        self._own = Readings(clock)
        self._read = read or self._own
        self._ledger = Ledger()
        self._by_target = TargetCosts()
        self._state = State()
        self.sheds = False
        self.held: Callable[[], int] = lambda: 0  # bytes of our memory outside the core
        self.charge = self._own.charge
        self.charge_ruler = self._own.charge_ruler

    @property
    def easing(self) -> Easing | None:
        return ladder.easing(self._state)

    @property
    def steps(self) -> tuple[Step, ...]:
        return self._state.steps

    def look(self, unrestricted: InForce, runs: bool) -> bool:
        """unrestricted: what would be in force without the ladder. runs: whether its cost can be known, because a session runs or the ladder has ended it. Whether the steps in force have changed."""
        self.sheds = False
        read = self._read()
        window = self._ledger.add(replace(read, own=read.own + self.held()))
        if window is None:
            return False
        if not runs:
            changed, self._state = bool(self._state.steps), ladder.at_rest(self._state, window, budgets_of(unrestricted))
            return changed
        targets = unrestricted["deep.targets"] if unrestricted.traces else ()
        before = self._state.steps
        self._state = ladder.after(self._state, window, budgets_of(unrestricted), targets, lambda: self._by_target.shares(targets))
        self.sheds = ladder.sheds(before, self._state.steps)
        return self._state.steps != before

    def forgive(self) -> None:
        """What runs has changed by somebody's will."""
        self._state = ladder.willed(self._state)

    def forget(self) -> None:
        """In a forked child."""
        self._ledger.forget()
        self._state = State()
        self._by_target = TargetCosts()

    def described(self) -> list[str]:
        return ladder.described(self._state)

    def report(self, now: InForce) -> dict[str, Any]:
        """For status(): shares of the process' CPU time over the last ten seconds, and what they are held against."""
        window = self._ledger.recent()
        steps = self._state.steps
        return {
            "costs": None if window is None else _costs(window, budgets_of(now), now["output.budget"] / 100),
            "ladder": {
                "step": len(steps),
                "steps": [step.kind for step in steps],
                "says": self.described(),
                "why": steps[-1].why if steps else "",
                "clean_windows": self._state.clean,
                "clean_windows_needed": self._state.patience,
                "owed_cpu_s": self._state.owed,
            },
        }


def budgets_of(now: InForce) -> Budgets:
    return Budgets(now["sampler.budget"], now["deep.budget"], now["memory.budget"])


def _costs(window: Window, budgets: Budgets, writer_budget: float) -> dict[str, Any]:
    def share(seconds: float) -> float:
        return seconds / window.process if window.process > 0 else 0.0

    return {
        "seconds": window.seconds,
        "process_cpu_s": window.process,
        "sampler_share": share(window.sampler),
        "sampler_budget": budgets.sampler / 100,
        "sampler_of_budget": ladder.load(window.sampler, budgets.sampler, window),
        "tracer_share": share(window.tracer),
        "tracer_budget": budgets.tracer / 100,
        "tracer_of_budget": ladder.load(window.tracer, budgets.tracer, window),
        "writer_share": share(window.writer),
        "writer_budget": writer_budget,
        "ruler_share": share(window.ruler),
        "events": window.events,
        "gated": window.gated,
        "rss_bytes": window.rss,
        "own_bytes": window.own,
        "memory_budget_bytes": round(budgets.memory * ladder.MEGABYTE),
        "memory_of_budget": ladder.memory_load(window, budgets),
    }
