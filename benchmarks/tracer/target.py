# SPDX-License-Identifier: MIT
"""The program that is traced: python -m tracer.target TRACER CASE SECONDS [NAME]; prints what it measured as JSON.

Bare and traced stretches take turns in one process, each timed by the thread's CPU clock.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from tracer.peers import TRACERS, Tracer

CALLS = 20_000  # in one stretch; few enough for a tracer that keeps each event


def leaf() -> None:
    pass


def method_like(a: int, b: int) -> int:
    return a + b


def python_calls(count: int) -> None:
    for number in range(count):
        leaf()
        method_like(number, 1)


def c_calls(count: int) -> None:
    text, values = "text", [1]
    for _ in range(count):
        len(values)
        text.startswith("t")


def tiny(value: int) -> int:
    return value + 1


def calling_half(count: int) -> None:
    for number in range(count):
        tiny(number)


def looping_half(count: int) -> None:
    value = 0
    for number in range(count):
        value += number


def halves(rounds: int) -> None:
    for _ in range(rounds):
        calling_half(20)
        looping_half(60)


def stranger() -> None:
    """Armed, never called."""


def timed(function: Callable[[int], object], count: int, tracer: Tracer | None = None) -> int:
    started = time.thread_time_ns()
    if tracer is None:
        function(count)
    else:
        tracer.call(function, count)
    return time.thread_time_ns() - started


def pairs(tracer: Tracer, function: Callable[[int], object], count: int, seconds: float) -> list[tuple[int, int]]:
    """(bare, traced) ns of the same work."""
    found: list[tuple[int, int]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(found) < 3:
        bare = timed(function, count)
        tracer.start()
        tracer.call(function, max(1, count // 10))  # what there is to learn, and to specialise
        traced = timed(function, count, tracer)
        tracer.finish()
        found.append((bare, traced))
    return found[1:]


def calls(tracer: Tracer, seconds: float, name: str) -> dict[str, Any]:
    function = c_calls if name == "c" else python_calls
    tracer.prepare([function] if not tracer.requirements else [function, leaf, method_like])
    return {"pairs": pairs(tracer, function, CALLS, seconds), "calls": 2 * CALLS}


def armed(tracer: Tracer, seconds: float, name: str) -> dict[str, Any]:
    """Other code than the target's, called while the target waits."""
    tracer.prepare([stranger])
    return {"pairs": pairs(tracer, python_calls, CALLS, seconds), "calls": 2 * CALLS}


def program(tracer: Tracer, seconds: float, name: str) -> dict[str, Any]:
    module = importlib.import_module(f"workloads.{name}")
    tracer.prepare([module.run])

    def run(scale: int) -> None:
        module.run(scale)

    return {"pairs": pairs_of_program(tracer, run, seconds)}


def pairs_of_program(tracer: Tracer, run: Callable[[int], None], seconds: float) -> list[tuple[int, int]]:
    run(1)
    found: list[tuple[int, int]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not found:
        bare = timed(run, 1)
        tracer.start()
        traced = timed(run, 1, tracer)
        tracer.finish()
        found.append((bare, traced))
    return found


def truth() -> float:
    """The share of the half that calls, alone."""
    calling = looping = 0
    for _ in range(20):
        calling += timed(lambda rounds: [calling_half(20) for _ in range(rounds)], 1000)
        looping += timed(lambda rounds: [looping_half(60) for _ in range(rounds)], 1000)
    return calling / (calling + looping)


def share(tracer: Tracer, seconds: float, name: str) -> dict[str, Any]:
    tracer.prepare([halves])
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(found) < 2:
        before = truth()
        tracer.start()
        tracer.call(halves, 1000)
        totals = tracer.finish()
        true = (before + truth()) / 2
        both = totals.get("calling_half", 0) + totals.get("looping_half", 0)
        if not both:
            return {"shares": []}
        found.append((true, totals["calling_half"] / both))
    return {"shares": found}


CASES = {"calls": calls, "armed": armed, "program": program, "share": share}

if __name__ == "__main__":
    name = sys.argv[4] if len(sys.argv) > 4 else ""
    print(json.dumps(CASES[sys.argv[2]](TRACERS[sys.argv[1]], float(sys.argv[3]), name)))
