# SPDX-License-Identifier: MIT
"""What profiling costs over any ten seconds while the load of a service jumps ten times: of its budgets.

python -m rollout.budget [--quick]

One thread answers requests. Two kinds of jump: ten times the traced calls in each request, and that together with ten times the requests, so that the ten seconds before
have a tenth of the CPU time that budgets are shares of. Readings are taken four times a second here, not by the ladder that is judged: the sampler's CPU time is the
kernel's (schedstat of its thread), the tracer's is its events times what one costs, as calibrated, closed gates included. Worst: of all runs of ten seconds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from measure import machine, spread, table

import hybridprof
from hybridprof import _core
from rollout.service import configuration, request

TEN, EVERY = 10.0, 0.25  # seconds
CALLS = 60  # traced ones in a request: about a third of the budget
FLOOR = 0.001  # of a core
KINDS = {"calls × 10": (100.0, 100.0), "calls × 10, requests × 10": (10.0, 100.0)}  # requests in a second before, and in the jump


@dataclass(frozen=True, slots=True)
class Reading:
    at: float
    process: float
    sampler: float
    tracer: float
    steps: int


class Service:
    """Sums of sessions that have ended are kept: a session that begins anew counts from zero."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self._threads: dict[int, float] = {}
        self._units, self._tracer, self._session = 0, 0.0, -1
        self._due = 0.0

    def serve(self, seconds: float, pace: float, calls: int) -> None:
        end = time.monotonic() + seconds
        moment = time.monotonic()
        while moment < end:
            if time.monotonic() >= self._due:
                self._read()
            request(calls)
            moment = max(moment + 1 / pace, time.monotonic() - 1.0)
            time.sleep(max(0.0, moment - time.monotonic()))

    def _read(self) -> None:
        now = time.monotonic()
        self._due = now + EVERY
        costs, status = _core.costs(), hybridprof.status()
        begins = costs["session"] != self._session or costs["units"] < self._units
        self._tracer += (costs["units"] - (0 if begins else self._units)) * costs["unit_ns"] / 1e9
        self._units, self._session = costs["units"], costs["session"]
        self._threads |= samplers()
        self.readings.append(Reading(now, time.process_time(), sum(self._threads.values()), self._tracer, status["ladder"]["step"]))


def samplers() -> dict[int, float]:
    found = {}
    for task in os.listdir("/proc/self/task"):
        try:
            if Path(f"/proc/self/task/{task}/comm").read_text().strip() == "hybridprof":
                found[int(task)] = int(Path(f"/proc/self/task/{task}/schedstat").read_text().split()[0]) / 1e9
        except OSError:  # it has ended
            pass
    return found


def worst(readings: list[Reading]) -> tuple[float, float]:
    """Of both budgets, sampler and tracer, over any ten seconds or a little more."""
    most = [0.0, 0.0]
    first = 0
    for last in readings:
        while last.at - readings[first + 1].at >= TEN if first + 1 < len(readings) else False:
            first += 1
        seconds, cpu = last.at - readings[first].at, last.process - readings[first].process
        if seconds < TEN:
            continue
        for number, (spent, share) in enumerate(
            ((last.sampler - readings[first].sampler, 0.01), (last.tracer - readings[first].tracer, 0.02))
        ):
            most[number] = max(most[number], spent / max(share * cpu, FLOOR * seconds))
    return most[0], most[1]


def run(kind: str, before: float, jump: float, after: float) -> tuple[list[Reading], float, float]:
    """Readings, and when the jump began and ended."""
    quiet, busy = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        hybridprof.configure(configuration(Path(folder), "rollout.service:checkout"))
        service = Service()
        service.serve(before, quiet, CALLS)
        began = time.monotonic()
        service.serve(jump, busy, 10 * CALLS)
        ended = time.monotonic()
        service.serve(after, quiet, CALLS)
        hybridprof.stop()
        from hybridprof.rollout.process import retire

        retire()
    return service.readings, began, ended


def main() -> None:
    quick = "--quick" in sys.argv
    rounds, times = (1, (8.0, 3.0, 2.0)) if quick else (5, (30.0, 40.0, 100.0))
    print(f"### Ten seconds' cost while a load jumps, of its budget ({machine()}; load {os.getloadavg()[0]:.1f})\n")
    rows = []
    for kind in KINDS:
        found: list[tuple[float, float, float, float, float]] = []
        for _ in range(rounds):
            readings, began, ended = run(kind, *times)
            settled = [each for each in readings if each.at >= readings[0].at + (0.0 if quick else TEN)]
            calm = max((each.steps for each in settled if each.at < began), default=0)
            first = next((each.at - began for each in readings if each.at >= began and each.steps > calm), float("nan"))
            back = next((each.at - ended for each in readings if each.at >= ended and each.steps <= calm), float("nan"))
            found.append((*worst(settled), first, back, max(each.steps for each in readings)))
        columns = list(zip(*found, strict=True))
        rows.append([kind, rounds, *(f"{spread(column)}, at most {max(column):.2f}" for column in columns[:4]), f"{max(columns[4]):.0f}"])
    head = [
        "jump",
        "runs",
        "sampler, worst 10 s of its budget",
        "tracer, worst 10 s",
        "first step after, s",
        "all steps back after, s",
        "steps at most",
    ]
    table(head, rows)


if __name__ == "__main__":
    main()
