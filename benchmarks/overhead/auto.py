# SPDX-License-Identifier: MIT
"""deep="auto" on real programs: what it costs over each ten seconds, and for how much of the time its counts tell.

python -m overhead.auto [--quick] [--pairs N] [--seconds S] [--program NAME ...]

Each program of workloads/ is repeated in a loop. A process runs it bare, then some windows of a session with deep="auto", then bare again, each
window the same number of rounds and as many as take S seconds of CPU time bare. The slowdown of a window is its CPU time against the mean of the two
bare ones around the session. In the time of the program's thread stands what tracing costs it, in that of the process the sampler's thread besides.
The budget is a share of a core, not of the program's own CPU time: where the program has the core to itself they are the same, and where it waits for
half of the time, for others or for its processor, tracing may take twice the share of what it does. So what a window had in addition is divided by its
time on the wall too. The first window has the start of the session in it, when nobody knows yet what is called how often.

Time with counts is self time, in percent of all, of functions that are `exact` (each call was seen), and of those that are `exact` or `mixed` (counts
are lower bounds). Beside it stands what the best choice of functions could reach within the budget, from a run in which all are traced: where nearly all
time is in functions that take less than a few microseconds a call, no choice reaches much.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import machine, table
from workloads import NAMES

import hybridprof

HERE = Path(__file__).resolve().parents[1]
WINDOWS = 2
BUDGET = 0.02  # of a core: what deep="auto" has where nothing is said


def rounds_of(name: str, seconds: float) -> int:
    """How many rounds of the program take so long, once it is warm."""
    run = importlib.import_module(f"workloads.{name}").run
    run(1)
    begun = time.thread_time()
    run(1)
    return max(1, round(seconds / (time.thread_time() - begun)))


def window(name: str, rounds: int) -> tuple[float, float, float]:
    """CPU seconds of this thread, of the process, and seconds on the wall."""
    run = importlib.import_module(f"workloads.{name}").run
    thread, process, wall = time.thread_time(), time.process_time(), time.perf_counter()
    for _ in range(rounds):
        run(1)
    return time.thread_time() - thread, time.process_time() - process, time.perf_counter() - wall


def shares(profile: hybridprof.Profile) -> dict[str, float]:
    """Self time by how it was measured, in percent."""
    rows = [row for row in profile.functions if row.kind != "thread"]
    whole = sum(row.self_ns for row in rows)
    return {kind: 100 * sum(row.self_ns for row in rows if row.measured == kind) / whole for kind in ("exact", "mixed", "sampled")}


def attainable(name: str, rounds: int, bare: float) -> float:
    """The most self time, in percent, that any choice of functions could count exactly within the budget: those with the most time for each call. What a
    call costs is what one costs where all of them are traced, the bare window's time being known."""
    with hybridprof.Profiler(rate=0, deep="*") as profiler:
        traced = window(name, rounds)[0]
    rows = [row for row in profiler.profile.functions if row.kind != "thread" and row.self_ns]
    whole = sum(row.self_ns for row in rows)
    # A generator is called once and resumed often: what its resumes cost is not known by function, so all events are divided as calls are.
    calls = sum(row.calls or 0 for row in rows)
    left, counted = calls * min(1.0, BUDGET * bare / max(traced - bare, 1e-9)), 0
    for row in sorted(rows, key=lambda row: -row.self_ns / max(row.calls or 0, 1)):
        if (row.calls or 0) <= left:
            left -= row.calls or 0
            counted += row.self_ns
    return 100 * counted / whole


def child(name: str, seconds: float) -> None:
    """In a process of its own: prints what it measured as JSON."""
    rounds = rounds_of(name, seconds)
    before = window(name, rounds)
    with hybridprof.Profiler(deep="auto") as profiler:  # by the wall clock: by the other times are never exact
        windows = [window(name, rounds) for _ in range(WINDOWS)]
    profile = profiler.profile
    after = window(name, rounds)
    bare = [(before[at] + after[at]) / 2 for at in range(2)]
    slower = [[100 * (each[at] / bare[at] - 1) for at in range(2)] for each in windows]
    of_core = [100 * (each[0] - bare[0]) / each[2] for each in windows]
    said = 100 * profile.meta["tracing"]["overhead_ns"] / 1e9 / sum(each[2] for each in windows)
    apart = 100 * abs(before[0] / after[0] - 1)
    costliest = [
        row.name for row in sorted(profile.functions, key=lambda row: -row.self_ns) if row.measured != "exact" and row.kind != "thread"
    ]
    few = max(1, rounds // 10)
    most = attainable(name, few, bare[0] * few / rounds)
    facts = {
        "attainable": most,
        "slower": slower,
        "of_core": of_core,
        "said": said,
        "apart": apart,
        "shares": shares(profile),
        "left": costliest[:3],
    }
    print(json.dumps(facts))


def measured(name: str, seconds: float) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "overhead.auto", "--child", name, "--seconds", str(seconds)]
    done = subprocess.run(command, env=environment, cwd=HERE, check=True, capture_output=True, text=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def middle(runs: list[dict[str, Any]], pick: Callable[[dict[str, Any]], float]) -> float:
    return statistics.median(pick(run) for run in runs)


def thread_in(at: int) -> Callable[[dict[str, Any]], float]:
    """The slowdown of the program's thread in one window."""
    return lambda run: float(run["slower"][at][0])


def row(name: str, runs: list[dict[str, Any]]) -> list[object]:
    everywhere = [slower[0] for run in runs for slower in run["slower"]]
    exact = middle(runs, lambda run: run["shares"]["exact"])
    counted = middle(runs, lambda run: run["shares"]["exact"] + run["shares"]["mixed"])
    return [
        name,
        *(f"{middle(runs, thread_in(at)):+.2f}" for at in range(WINDOWS)),
        f"{max(everywhere):+.2f}",
        f"{middle(runs, lambda run: max(run['of_core'])):+.2f}",
        f"{middle(runs, lambda run: run['slower'][-1][1]):+.2f}",
        f"{middle(runs, lambda run: run['apart']):.2f}",
        f"{middle(runs, lambda run: run['said']):.2f}",
        f"{exact:.0f}",
        f"{counted:.0f}",
        f"{middle(runs, lambda run: run['attainable']):.0f}",
        ", ".join(runs[-1]["left"]) or "—",
    ]


def total(runs: dict[str, list[dict[str, Any]]]) -> list[object]:
    """The median over the programs, whose columns are those of `row`."""

    def over(pick: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(middle(each, pick) for each in runs.values())

    return [
        "**median**",
        *(f"{over(thread_in(at)):+.2f}" for at in range(WINDOWS)),
        "",
        f"{over(lambda run: max(run['of_core'])):+.2f}",
        f"{over(lambda run: run['slower'][-1][1]):+.2f}",
        f"{over(lambda run: run['apart']):.2f}",
        f"{over(lambda run: run['said']):.2f}",
        f"{over(lambda run: run['shares']['exact']):.0f}",
        f"{over(lambda run: run['shares']['exact'] + run['shares']['mixed']):.0f}",
        f"{over(lambda run: run['attainable']):.0f}",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="overhead.auto", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two programs, once, windows of a second: to see that it works")
    parser.add_argument("--pairs", type=int, default=5, help="processes for each program")
    parser.add_argument("--seconds", type=float, default=10.0, help="of CPU time of a window")
    parser.add_argument("--program", action="append", choices=NAMES, help="only this one; may be given again")
    parser.add_argument("--child", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.seconds)
        return
    names = options.program or list(NAMES[:2] if options.quick else NAMES)
    pairs, seconds = (1, 1.0) if options.quick else (options.pairs, options.seconds)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(pairs):
        for name in names:
            runs[name].append(measured(name, seconds))
            print(f"{turn + 1}/{pairs}: {name}", file=sys.stderr, flush=True)
    print(f'### deep="auto": median of {pairs} processes, windows of {seconds:g} s\n\n{machine()}; load average {os.getloadavg()[0]:.1f}\n')
    windows = [f"window {at + 1}, %" for at in range(WINDOWS)]
    head = ["program", *windows, "most, %", "of a core, %", "whole process, %", "bare runs apart, %", "says itself, %"]
    table(
        [*head, "time, exact, %", "exact or mixed, %", "exact at best, %", "not exact, the largest"],
        [*(row(name, runs[name]) for name in names), total(runs)],
    )


if __name__ == "__main__":
    main()
