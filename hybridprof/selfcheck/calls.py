# SPDX-License-Identifier: MIT
"""What is added to a traced call, next to what cProfile adds, and to a call from elsewhere of a function that a target calls too.

By the thread's CPU clock, in turn, each between two bare runs of the same loop: a machine that grows slower or faster meanwhile does so for
all. Ratios are of one round; a process says the median of its rounds, and the interval is over several processes, because where code lies in memory
stays as it is in each."""

from __future__ import annotations

import cProfile
import statistics
import time
from collections.abc import Callable
from typing import Any

import hybridprof

from . import intervals
from .programs import load
from .results import Found, Raw

COUNT = 10_000  # of the loop; each calls twice

Loop = Callable[[int], None]


def _per_call(function: Loop) -> float:
    """ns of the thread's CPU."""
    started = time.thread_time_ns()
    function(COUNT)
    return (time.thread_time_ns() - started) / COUNT / 2


def _traced(target: Loop) -> float:
    with hybridprof.Profiler(rate=0):
        target(COUNT // 10)  # what there is to learn and to specialise comes before the clock
        return _per_call(target)


def _gated(target: Loop, loop: Loop) -> float:
    with hybridprof.Profiler(rate=0):
        target(COUNT // 10)
        loop(COUNT // 10)
        return _per_call(loop)


def _under_cprofile(loop: Loop) -> float:
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        loop(COUNT // 10)
        return _per_call(loop)
    finally:
        profiler.disable()


def _round(program: Any, target: Loop) -> list[float]:
    """ns of a bare call, and added by hybridprof, by cProfile and at the gate."""
    loop: Loop = program.loop
    kinds: list[Callable[[], float]] = [lambda: _traced(target), lambda: _under_cprofile(loop), lambda: _gated(target, loop)]
    bare = [_per_call(loop)]
    found = []
    for per_call in kinds:
        found.append(per_call())
        loop(COUNT // 10)
        bare.append(_per_call(loop))
    added = [value - (before + after) / 2 for value, before, after in zip(found, bare, bare[1:], strict=False)]
    return [statistics.median(bare), *added]


def costs(seconds: float) -> Raw:
    """Rounds, for so long."""
    program = load("work")
    target: Loop = hybridprof.deep(program.target)
    _round(program, target)
    rounds = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        rounds.append(_round(program, target))
    return {"rounds": rounds}


def judge(raws: list[Raw]) -> dict[str, Found]:
    """Ratios to what cProfile adds."""
    processes = [[each for each in raw["rounds"] if each[2] > 0] for raw in raws]
    used = [rounds for rounds in processes if rounds]
    every = [each for rounds in used for each in rounds]

    def cost(at: int, name: str) -> Found:
        details = {"bare_call_ns": _middle(every, 0), f"{name}_ns": _middle(every, at), "cprofile_ns": _middle(every, 2)}
        found = intervals.mean([statistics.median(each[at] / each[2] for each in rounds) for rounds in used])
        return found, details | {"processes": len(used), "rounds": len(every)}

    return {"traced_call": cost(1, "traced_call"), "gated_call": cost(3, "gated_call")}


def _middle(rounds: list[list[float]], at: int) -> float | None:
    return round(statistics.median(each[at] for each in rounds), 1) if rounds else None
