# SPDX-License-Identifier: MIT
"""Single calls: what hybridprof adds to a traced call next to what cProfile adds, and what calls cost that are not traced.

python -m overhead.calls [--quick]

Each variant runs the same loop in this process, in turn, timed by the thread's CPU clock; the bare loop's time is subtracted.
"""

from __future__ import annotations

import cProfile
import statistics
import sys
import time
from collections.abc import Callable

from measure import alternate, machine, spread, table

import hybridprof
from hybridprof import _core

CALLS = 200_000


def leaf() -> None:
    pass


def method_like(a: int, b: int) -> int:
    return a + b


def loop(count: int) -> None:
    for number in range(count):
        leaf()
        method_like(number, 1)


def stranger() -> None:
    """Never called beneath a target."""


def strangers(count: int) -> None:
    for _ in range(count):
        stranger()


@hybridprof.deep
def traced_loop(count: int) -> None:
    for number in range(count):
        leaf()
        method_like(number, 1)


@hybridprof.deep
def another_target() -> None:
    leaf()


@hybridprof.deep(rate=0.001)
def rarely_traced() -> None:
    pass


def bare_caller(count: int) -> None:
    for _ in range(count):
        leaf()


def rare_caller(count: int) -> None:
    for _ in range(count):
        rarely_traced()


def timed(function: Callable[[int], None], count: int) -> float:
    """ns of thread CPU time per round of the loop."""
    started = time.thread_time_ns()
    function(count)
    return (time.thread_time_ns() - started) / count


def under_hybridprof(function: Callable[[int], None], count: int) -> float:
    hybridprof.start(rate=100)
    another_target()
    try:
        function(count // 10)  # what there is to learn and specialise happens before the clock
        return timed(function, count)
    finally:
        hybridprof.stop()


def under_cprofile(function: Callable[[int], None], count: int) -> float:
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        return timed(function, count)
    finally:
        profiler.disable()


def arming(count: int) -> float:
    """ns of thread CPU time to arm one of many functions."""
    scope: dict[str, Callable[[], None]] = {}
    exec("\n".join(f"def made_{number}():\n    return {number}" for number in range(count)), scope)
    functions = [scope[f"made_{number}"] for number in range(count)]
    hybridprof.start(rate=0)
    _core.add_target(leaf.__code__, 1.0)  # what is done once, with the first
    started = time.thread_time_ns()
    for function in functions:
        _core.add_target(function.__code__, 1.0)
    spent = time.thread_time_ns() - started
    for function in (leaf, *functions):
        _core.remove_target(function.__code__)
    hybridprof.stop()
    return spent / count


def main(quick: bool) -> None:
    count = CALLS // 20 if quick else CALLS
    variants: dict[str, Callable[[], float]] = {
        "bare": lambda: timed(loop, count),
        "traced": lambda: under_hybridprof(traced_loop, count),
        "cProfile": lambda: under_cprofile(loop, count),
        "gated": lambda: under_hybridprof(bare_caller, count),
        "bare strangers": lambda: timed(strangers, count),
        "untargeted": lambda: under_hybridprof(strangers, count),
        "bare caller": lambda: timed(bare_caller, count),
        "rate 0.001": lambda: under_hybridprof(rare_caller, count),
    }
    for run in variants.values():
        run()
    results = alternate(3 if quick else 15, variants)

    def added(name: str, bare: str, calls: int) -> list[float]:
        return [(value - base) / calls for value, base in zip(results[name], results[bare], strict=True)]

    ours, theirs = added("traced", "bare", 2), added("cProfile", "bare", 2)
    print(f"### Added to one call, ns of thread CPU time: median [quartiles]\n\n{machine()}\n")
    table(
        ["call", "ns added"],
        [
            ["bare call itself, with its share of the loop", spread([value / 2 for value in results["bare"]], "{:.1f}")],
            ["traced by hybridprof", spread(ours, "{:.1f}")],
            ["traced by cProfile", spread(theirs, "{:.1f}")],
            ["hybridprof / cProfile", f"{statistics.median(ours) / statistics.median(theirs):.2f}"],
            ["of a function that no target calls, while targets exist", spread(added("untargeted", "bare strangers", 1), "{:.1f}")],
            ["of a function that a target calls too, from elsewhere", spread(added("gated", "bare caller", 1), "{:.1f}")],
            ["arming one more function", spread([arming(200 if quick else 2000) for _ in range(3 if quick else 15)], "{:.0f}")],
            ["of a target that the rate (0.001) leaves out", spread(added("rate 0.001", "bare caller", 1), "{:.1f}")],
        ],
    )


if __name__ == "__main__":
    main("--quick" in sys.argv)
