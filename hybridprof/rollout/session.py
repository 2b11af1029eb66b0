# SPDX-License-Identifier: MIT
"""A session as a plan wants it: begun, changed while it runs where that is possible, ended. With api's lock held."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from .. import _core, api, marking
from .resolve import InForce


class Plan(NamedTuple):
    """What of all that is in force a session is made of."""

    samples: bool
    rate: float
    clock: str
    targets: tuple[str, ...]
    deep_rate: float  # 0: nothing is traced
    budget: float
    event_limit: int


MOST_BEGUN, WITHIN = 30, 60.0  # sessions, seconds

NOTHING = Plan(False, 0.0, "wall", (), 0.0, 0.0, 0)


def planned(now: InForce) -> Plan:
    if not now.samples:
        return NOTHING
    targets = now["deep.targets"] if now.traces else ()
    deep_rate = now["deep.rate"] if now.traces else 0.0
    return Plan(True, now["sampler.rate"], now["sampler.clock"], targets, deep_rate, now["deep.budget"], now["deep.event_limit"])


class Session:
    """problem: why the last plan could not be made true, one sentence; "" where it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: list[float] = []  # when, the last MOST_BEGUN ones
        self._profiler: api.Profiler | None = None
        self._plan: Plan | None = None  # what the session was made of
        self.problem = ""

    def is_as(self, plan: Plan) -> bool:
        return plan == self._plan and _core.running() == plan.samples

    def make(self, plan: Plan) -> None:
        """What the interpreter or the system refuses is a problem, no exception: the program asked for none of this and must not meet it. Without its targets the plan is tried
        again, and all of it when it is made the next time."""
        try:
            self._make(plan)
            self._plan, self.problem = plan, ""
        except Exception as error:
            self.problem = str(error)
            self._plan = self._made_without_targets(plan)

    def end(self) -> None:
        """Whatever runs; the next plan begins one anew."""
        profiler, self._profiler, self._plan = self._profiler, None, None
        if profiler is not None:
            profiler.end()

    def forget(self) -> None:
        """In a forked child: the session is the parent's; its targets are here too, and nobody would take them away."""
        profiler, self._profiler, self._plan, self._begun = self._profiler, None, None, []
        if profiler is not None:
            profiler.forget()

    def _made_without_targets(self, plan: Plan) -> Plan | None:
        self._plan = None  # the session begins anew: what was half begun is not kept
        try:
            self._make(plan._replace(targets=(), deep_rate=0.0))
        except Exception as error:
            self.problem = str(error)
            return None
        return plan

    def _make(self, plan: Plan) -> None:
        if self._profiler is not None and not (plan.samples and self._can_go_on(plan)):
            profiler, self._profiler = self._profiler, None
            profiler.end()
        if not plan.samples:
            marking.limit(0.0)
            _core.stop()  # whoever's it is: an end that failed halfway is tried again
        elif self._profiler is None:
            self._begin(plan)
        else:
            self._retarget(self._profiler, plan)

    def _can_go_on(self, plan: Plan) -> bool:
        old = self._plan
        same = old is not None and (plan.clock, plan.event_limit) == (old.clock, old.event_limit)
        return same and _core.running() and _core.adjust(rate=plan.rate, budget=plan.budget)

    def _retarget(self, profiler: api.Profiler, plan: Plan) -> None:
        old = self._plan
        if old is None or plan.targets != old.targets or bool(plan.deep_rate) != bool(old.deep_rate):
            profiler.retarget((), 1.0)  # before marks change: it takes away what it has added
            marking.limit(plan.deep_rate)
            profiler.retarget(plan.targets, plan.deep_rate or 1.0)
            if not plan.deep_rate:
                _core.forget_beneath()  # what requests' blocks have met
        elif plan.deep_rate != old.deep_rate:
            marking.limit(plan.deep_rate)
            profiler.set_deep_rate(plan.deep_rate)

    def _begin(self, plan: Plan) -> None:
        self._check_pace()
        marking.limit(plan.deep_rate)
        profiler = api.Profiler(
            rate=plan.rate,
            clock="cpu" if plan.clock == "cpu" else "wall",
            deep=plan.targets,
            deep_rate=plan.deep_rate or 1.0,
            budget=plan.budget,
            event_limit=plan.event_limit,
        )
        self._profiler = profiler
        profiler.begin()
        self._begun.append(self._clock())

    def _check_pace(self) -> None:
        """Raises RuntimeError where beginnings come too often. Between two looks many could come and go, and nobody would know what they cost."""
        now = self._clock()
        self._begun = [at for at in self._begun if 0 <= now - at < WITHIN]
        if len(self._begun) >= MOST_BEGUN:
            raise RuntimeError(
                f"sessions have begun {MOST_BEGUN} times within {WITHIN:g} s, each by a change; the next waits until that is over"
            )
