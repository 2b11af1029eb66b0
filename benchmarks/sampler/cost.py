# SPDX-License-Identifier: MIT
"""What sampling costs: the program's slowdown, the sampler's own CPU by threads and depth, and how many ticks it misses.

python -m sampler.cost [--quick]

The slowdown is of the whole process: the CPU time of program and sampler together for a fixed piece of work, against the same work bare, in
turn. On one core that is how much later the program is done.
"""

from __future__ import annotations

import random
import statistics
import sys
import threading
import time
from collections.abc import Callable

from measure import machine, spread, table

import hybridprof
from sampler.work import work

RATES = (100, 1000, 10000)
MORE = 16  # threads


def process_time(rounds: int) -> float:
    started = time.process_time_ns()
    work(rounds)
    return time.process_time_ns() - started


def sampled_time(rounds: int, rate: float) -> float:
    hybridprof.start(rate=rate)
    work(rounds // 20)  # the thread is there, the first stack is known
    try:
        return process_time(rounds)
    finally:
        hybridprof.stop()


def interval(values: list[float]) -> tuple[float, float]:
    """95 % interval of the median, by bootstrap."""
    choice = random.Random(1)
    medians = sorted(statistics.median(choice.choices(values, k=len(values))) for _ in range(1000))
    return medians[25], medians[975]


def slowdown(pairs: int, rounds: int) -> None:
    rows = []
    ratios: dict[int, list[float]] = {rate: [] for rate in RATES}
    for _ in range(pairs):
        for rate in RATES:
            # Bare before and after: a machine that grows slower or faster meanwhile does so for both.
            before = process_time(rounds)
            sampled = sampled_time(rounds, rate)
            ratios[rate].append(100 * (2 * sampled / (before + process_time(rounds)) - 1))
    for rate in RATES:
        low, high = interval(ratios[rate])
        rows.append([f"{rate:,} Hz", f"{statistics.median(ratios[rate]):+.2f} %", f"{low:+.2f} to {high:+.2f} %"])
    print(f"### Slowdown of a busy thread, median of {pairs} pairs and its 95 % interval\n\n{machine()}\n")
    table(["rate", "slowdown", "interval"], rows)


def deep(levels: int, function: Callable[[], None]) -> None:
    if levels:
        deep(levels - 1, function)
    else:
        function()


def own_cost(seconds: float, rate: float, busy: int, sleeping: int, depth: int) -> tuple[float, float, float]:
    """The sampler's CPU in percent of a core, µs for each tick, and the share of ticks missed."""
    done = threading.Event()

    def burn() -> None:
        while not done.is_set():
            work(20)

    threads = [threading.Thread(target=deep, args=(depth, burn if number < busy else done.wait)) for number in range(busy + sleeping)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    hybridprof.start(rate=rate)
    began = time.perf_counter()
    time.sleep(seconds)
    elapsed = time.perf_counter() - began
    status = hybridprof.status()
    hybridprof.stop()
    done.set()
    for thread in threads:
        thread.join()
    cpu, samples = status["sampler_cpu_ns"], status["samples"]
    ticks = samples["kept"] / (busy + sleeping + 1)
    return cpu / elapsed / 1e7, cpu / 1e3 / max(1.0, ticks), samples["missed"] / (samples["missed"] + ticks)


def costs(rounds: int, seconds: float) -> None:
    cases = [
        (100, 1, 0, 20),
        (100, 1, 0, 200),
        (1000, 1, 0, 20),
        (10000, 1, 0, 20),
        (10000, 1, 0, 200),
        (100, 2, 198, 20),
        (1000, 2, 198, 20),
    ]
    rows = []
    for rate, busy, sleeping, depth in cases:
        found = [own_cost(seconds, rate, busy, sleeping, depth) for _ in range(rounds)]
        rows.append(
            [
                f"{rate:,} Hz, {busy} busy, {sleeping} asleep, depth {depth}",
                spread([one[0] for one in found], "{:.2f}"),
                spread([one[1] for one in found], "{:.1f}"),
                spread([100 * one[2] for one in found], "{:.1f}"),
            ]
        )
    print(f"### The sampler's own CPU: median of {rounds} runs of {seconds:g} s [quartiles]\n\n{machine()}\n")
    table(["", "% of a core", "µs a tick", "% of ticks missed"], rows)


def per_thread(rounds: int, seconds: float) -> None:
    """What one more thread adds to a tick where each has run since the last one: a stack is read and recorded. The wake-up is not in it."""
    before, rows = sys.getswitchinterval(), []
    sys.setswitchinterval(1e-4)  # all of them run between two ticks
    for depth in (20, 200):
        found = []
        for _ in range(rounds):
            _, few, _ = own_cost(seconds, 100, 1, 0, depth)
            _, many, _ = own_cost(seconds, 100, 1 + MORE, 0, depth)
            found.append((many - few) / MORE)
        rows.append([f"depth {depth}", spread(found, "{:.2f}")])
    sys.setswitchinterval(before)
    print(f"### A sample of one more thread: median of {rounds} pairs of runs of {seconds:g} s at 100 Hz [quartiles]\n\n{machine()}\n")
    table(["", "µs"], rows)


def main(quick: bool) -> None:
    slowdown(4 if quick else 100, 300 if quick else 20_000)
    costs(1 if quick else 5, 0.3 if quick else 3.0)
    per_thread(1 if quick else 9, 0.3 if quick else 3.0)


if __name__ == "__main__":
    main("--quick" in sys.argv)
