# SPDX-License-Identifier: MIT
"""Function bias: a half that calls tiny functions against a half that loops without calls, alternating every few microseconds.

python -m accuracy.flutter [--quick]

The truth is the CPU time of the halves, timed alone in the same process without a profiler, before and after every profiled run. A tracer
says too much for the half with the calls, a sampler that reads a running thread says too little. Shown: the estimated share of that half
minus the true one, in points, over all runs; z is the mean over its standard error.
"""

from __future__ import annotations

import cProfile
import math
import pstats
import statistics
import sys
import time
from collections.abc import Callable

from measure import machine, table

import hybridprof


def tiny(value: int) -> int:
    return value + 1


def hot() -> int:
    value = 0
    for _ in range(20):
        value = tiny(value)
    return value


def cold_short() -> int:
    value = 0
    for number in range(20):
        value += number
    return value


def cold_long() -> int:
    value = 0
    for number in range(150):
        value += number
    return value


Half = Callable[[], int]


def flutter(cold: Half, seconds: float) -> None:
    """Alternates the halves for some CPU seconds."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(2000):
            hot()
            cold()


def time_alone(half: Half, rounds: int) -> float:
    started = time.thread_time()
    for _ in range(rounds):
        half()
    return time.thread_time() - started


def true_share(cold: Half, rounds: int = 5000) -> float:
    """hot / (hot + cold), by CPU time, in interleaved blocks."""
    halves = [(time_alone(hot, rounds), time_alone(cold, rounds)) for _ in range(7)]
    mine, theirs = statistics.median(a for a, _ in halves), statistics.median(b for _, b in halves)
    return mine / (mine + theirs)


def share_of(totals: dict[str, float], cold: Half) -> float:
    return totals["hot"] / (totals["hot"] + totals[cold.__name__])


def with_hybridprof(cold: Half, seconds: float, **options: object) -> float:
    with hybridprof.Profiler(**options) as profiler:
        flutter(cold, seconds)
    return share_of({row.name: row.total_ns for row in profiler.profile.functions}, cold)


def with_cprofile(cold: Half, seconds: float) -> float:
    profiler = cProfile.Profile()
    profiler.enable()
    flutter(cold, seconds)
    profiler.disable()
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    return share_of({name: row[3] for (_, _, name), row in stats.items()}, cold)


def main(quick: bool) -> None:
    runs, seconds = (2, 0.3) if quick else (12, 2.0)
    tools: dict[str, Callable[[Half], float]] = {
        "sampler, 1 kHz": lambda cold: with_hybridprof(cold, seconds, rate=1000, clock="cpu"),
        "sampler, 1 kHz, method remote": lambda cold: with_hybridprof(cold, seconds, rate=1000, clock="cpu", method="remote"),
        "traced beneath flutter": lambda cold: with_hybridprof(cold, seconds, rate=100, deep=["__main__:flutter"]),
        "cProfile": lambda cold: with_cprofile(cold, seconds),
    }
    rows = []
    for cold in (cold_short, cold_long):
        errors: dict[str, list[float]] = {tool: [] for tool in tools}
        truths = []
        for _ in range(runs):
            for tool, estimate in tools.items():
                before = true_share(cold)
                found = estimate(cold)
                truth = (before + true_share(cold)) / 2
                truths.append(truth)
                errors[tool].append(100 * (found - truth))
        for tool, values in errors.items():
            error = statistics.stdev(values) / math.sqrt(len(values))
            rows.append(
                [
                    cold.__name__,
                    f"{statistics.mean(truths):.3f}",
                    tool,
                    f"{statistics.mean(values):+.1f}",
                    f"{statistics.mean(values) / error:+.1f}" if error else "–",
                ]
            )
    print(f"### Share of the half that calls: estimate − truth, {runs} runs of {seconds} CPU s\n\n{machine()}\n")
    table(["other half", "true share", "profiler", "points", "z"], rows)


if __name__ == "__main__":
    main("--quick" in sys.argv)
