# SPDX-License-Identifier: MIT
"""Real programs: what a profiler costs them, and how far the profilers are from each other where nobody knows the truth."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import PurePath
from typing import Any

from sampler.peers import Peer
from sampler.peers.base import short_name
from sampler.sections.base import NOTHING, Case, Results, Section, Size, column, median_interval, peers_of, table
from sampler.sections.cost import slowdowns
from sampler.session import Run

PROGRAMS = ("json_parser", "particles", "scheduler", "templates", "word_index")
RATE = 1000.0
TOP = 10
Shares = dict[str, float]  # percent of the program's samples that ended in this function


class RealPrograms(Section):
    name = "programs"
    runs = 3

    def cases(self, size: Size) -> list[Case]:
        scale = 1 if size.quick else max(1, round(4 * size.seconds))
        names = PROGRAMS[:1] if size.quick else PROGRAMS
        return [Case(name, "workload", {"name": name, "scale": scale, "pairs": 1}, RATE, 2 * scale + 8) for name in names]

    def reduce(self, peer: Peer, case: Case, run: Run) -> dict[str, Any]:
        own: Counter[str] = Counter()
        for stack, weight in run.sampled.weights.items():
            if any(PurePath(file).name == f"{case.name}.py" for _, file in stack):
                name, file = stack[-1]
                own[f"{PurePath(file).name}:{short_name(name)}"] += weight
        total = sum(own.values())
        shares = {name: round(100 * weight / total, 2) for name, weight in own.most_common(20)}
        return {"slowdowns": [round(value, 2) for value in slowdowns(run)], "shares": shares}

    def tables(self, results: Results) -> str:
        text = (
            f"### Real programs, {RATE:,.0f} Hz\n\nThe slowdown over {', '.join(PROGRAMS)}; then, over the {TOP} functions with the most self time, the mean and the "
            "largest distance (points) of a profiler's self share from the **median of all the profilers**. That is their spread, not an error: the truth "
            "is not known here.\n\n"
        )
        for version, stored in results.items():
            cells = stored["cells"]
            middle = {name: _consensus([_shares(cases.get(name, [])) for cases in cells.values()]) for name in PROGRAMS}
            rows = []
            for peer in peers_of({version: stored}):
                cases = cells.get(peer, {})
                slow = [value for runs in cases.values() for run in runs for value in run["slowdowns"]]
                apart = {name: _distances(_shares(cases[name]), middle[name]) for name in PROGRAMS if cases.get(name)}
                rows.append([column(peer), _slowdown(slow), *_spread(apart)])
            text += f"CPython {version}\n\n" + table(["profiler", "slowdown", "mean distance", "largest"], rows) + "\n"
        return text


def _shares(runs: list[dict[str, Any]]) -> Shares:
    """The mean over the runs."""
    names = {name for run in runs for name in run["shares"]}
    return {name: statistics.mean(run["shares"].get(name, 0.0) for run in runs) for name in names}


def _consensus(found: list[Shares]) -> Shares:
    found = [shares for shares in found if shares]
    if len(found) < 3:
        return {}  # the middle of two would say nothing
    names = {name for shares in found for name in shares}
    medians = {name: statistics.median(shares.get(name, 0.0) for shares in found) for name in names}
    return dict(Counter(medians).most_common(TOP))


def _distances(shares: Shares, middle: Shares) -> Shares:
    return {name: abs(shares.get(name, 0.0) - share) for name, share in middle.items()}


def _spread(apart: dict[str, Shares]) -> list[str]:
    if not any(apart.values()):
        return [NOTHING, NOTHING]
    distance, name, program = max((distance, name, program) for program, each in apart.items() for name, distance in each.items())
    mean = statistics.mean(value for each in apart.values() for value in each.values())
    return [f"{mean:.1f}", f"{distance:.1f} (`{name.partition(':')[2]}` of {program})"]


def _slowdown(values: list[float]) -> str:
    if not values:
        return NOTHING
    middle, low, high = median_interval(values)
    return f"{middle:+.1f} % ({low:+.1f} to {high:+.1f})"
