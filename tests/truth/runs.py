# SPDX-License-Identifier: MIT
"""Runs of one program, profiled: `python -m truth.runs PROGRAM CLOCK RATE SECONDS RUNS SEED` prints one line of JSON for each run.

Of each function with 1 % of the time or more: what the profile says, its error, and the truth. Every second run is compared with the one before it.
"""

from __future__ import annotations

import json
import math
import random
import sys
from typing import Any

import hybridprof
from hybridprof import _core, ruling
from truth import programs
from truth.clock import CLOCKS, Truth

LEAST_SHARE = 0.01

Figure = tuple[float, float, float]  # what the profile says, half width of its interval, the truth: ns, or shares
Row = dict[str, Any]


class Run:
    """One run and its profile."""

    def __init__(self, name: str, clock: str, rate: float, seconds: float, seed: int) -> None:
        self.truth = Truth(CLOCKS[clock])
        profiler = hybridprof.Profiler(rate=rate, clock=clock)  # type: ignore[arg-type]
        profiler.start()
        began = self.truth.now()
        programs.PROGRAMS[name](self.truth, int(seconds * 1e9), random.Random(seed))
        self.whole_ns = self.truth.now() - began + self.truth.total_ns["serve"]  # and what the other threads took
        profiler.stop()
        assert profiler.profile is not None
        self.profile = profiler.profile
        self.rows = {row.name: row for row in self.profile.functions if row.module == programs.__name__}

    def true_share(self, name: str) -> float:
        return self.truth.self_ns[name] / self.whole_ns

    def figures(self) -> dict[str, dict[str, Figure]]:
        """By function. One that was never sampled is not in the profile, which then says that it took nothing, to within what no sample can meet."""
        said_whole = sum(thread.sampled_ns + thread.exact_ns for thread in self.profile.threads)
        unseen = _core.UNSEEN_GAPS * said_whole / max(1, sum(thread.samples for thread in self.profile.threads))
        found: dict[str, dict[str, Figure]] = {}
        for name in self.truth.total_ns:
            row = self.rows.get(name)
            own, total = (row.self_ns, row.total_ns) if row else (0, 0)
            own_error, total_error = (row.self_error_ns, row.total_error_ns) if row else (unseen, unseen)
            figures: dict[str, Figure] = {}
            if self.true_share(name) >= LEAST_SHARE:
                figures["self"] = (own, own_error, self.truth.self_ns[name])
                figures["share"] = (own / max(1, said_whole), own_error / max(1, said_whole), self.true_share(name))
            if self.truth.total_ns[name] >= LEAST_SHARE * self.whole_ns:
                figures["total"] = (total, total_error, self.truth.total_ns[name])
            if figures:
                found[name] = figures
        return found

    def differences(self, base: Run) -> dict[str, dict[str, Figure]]:
        """Of self times. "sampling": the two errors alone, for these very runs; "difference": as `diff` shows it, for other runs of the two as well."""
        shown = {change.function.name: change.self for change in base.profile.diff(self.profile).functions}
        found: dict[str, dict[str, Figure]] = {}
        for name, change in shown.items():
            old, new = base.rows.get(name), self.rows.get(name)
            if old is None or new is None or max(base.true_share(name), self.true_share(name)) < LEAST_SHARE:
                continue
            true = self.truth.self_ns[name] - base.truth.self_ns[name]
            error = math.hypot(old.self_error_ns, new.self_error_ns)
            found[name] = {"sampling": (change.change_ns, error, true), "difference": (change.change_ns, change.error_ns, true)}
        return found


def row_of(run: Run, base: Run | None) -> Row:
    samples = run.profile.meta["samples"]
    figures = run.figures()
    for name, differences in (run.differences(base) if base else {}).items():
        figures.setdefault(name, {}).update(differences)
    return {"samples": samples["kept"], "missed": samples["missed"], "functions": figures}


def main(name: str, clock: str, rate: str, seconds: str, runs: str, seed: str) -> None:
    ruling.appoint_by(None)  # what a configuration lets run here is no part of what is measured
    Run(name, clock, float(rate), 0.05, 0)  # what is specialised and imported once
    base: Run | None = None
    for number in range(int(runs)):
        run = Run(name, clock, float(rate), float(seconds), int(seed) + number)
        print(json.dumps(row_of(run, base)), flush=True)
        base = None if base else run


if __name__ == "__main__":
    main(*sys.argv[1:])
