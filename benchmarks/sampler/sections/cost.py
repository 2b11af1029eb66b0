# SPDX-License-Identifier: MIT
"""What each profiler takes: its own CPU, and how much later the program is done."""

from __future__ import annotations

import statistics
from typing import Any

from sampler.peers import Peer
from sampler.sections.base import NOTHING, Case, Results, Section, Size, column, median_interval, peers_of, table
from sampler.session import Run

RATES = (100, 1000, 10000)
THREADS = "200 threads"


def slowdowns(run: Run) -> list[float]:
    """Percent, of each pair: by the wall, against the bare runs before and after."""
    found = []
    for pair in run.result["pairs"]:
        key = "pieces" if "pieces" in pair["profiled"] else "wall"
        bare, profiled = (pair["before"][key] + pair["after"][key]) / 2, pair["profiled"][key]
        found.append(100 * ((profiled / bare if key == "wall" else bare / max(1, profiled)) - 1))
    return found


class Cost(Section):
    name = "cost"
    runs = 3

    def cases(self, size: Size) -> list[Case]:
        pairs, seconds = (1, 0.2) if size.quick else (5, 0.4)
        found = [
            Case(f"{rate} Hz", "busy", {"pairs": pairs, "seconds": seconds * size.seconds}, rate, pairs * (4 * seconds * size.seconds + 5))
            for rate in (RATES[:1] if size.quick else RATES)
        ]
        seconds = 0.3 if size.quick else 2.0 * size.seconds
        return [
            *found,
            Case(
                THREADS,
                "many_threads",
                {"seconds": seconds, "workers": 2, "sleeping": 8 if size.quick else 198},
                100,
                3 * seconds + 10,
                threads=True,
            ),
        ]

    def reduce(self, peer: Peer, case: Case, run: Run) -> dict[str, Any]:
        counts = run.sampled.counts or run.sampled.weights
        whole = sum(counts.values())
        # Of the last window: while the program waits for us it is not sampled by all of them.
        at_work = sum(count for stack, count in counts.items() if any(name == "work" for name, _ in stack))
        samples = run.sampled.samples * at_work / whole if whole else 0
        window = run.result["pairs"][-1]["profiled"]["window"]
        found: dict[str, Any] = {"slowdowns": [round(value, 2) for value in slowdowns(run)], "hz": round(samples / window * 1e9, 1)}
        if run.cpu_ns:
            windows = [pair["profiled"]["window"] for pair in run.result["pairs"]]
            found["core"] = round(100 * sum(run.cpu_ns) / sum(windows), 3)
            if samples and case.name != THREADS:
                found["us"] = round(run.cpu_ns[-1] / samples / 1000, 2)
        return found

    def tables(self, results: Results) -> str:
        text = (
            "### Cost\n\nThe profiler's CPU time for each sample of one busy thread at 1 kHz, and in percent of a core; the slowdown of the program by the "
            "wall, median of paired runs and its 95 % interval. — in the CPU columns: it works in the program's own thread, where its cost is the "
            "slowdown. Where less than three quarters of the rate were reached, it is given. Last: 200 threads, of which 198 sleep, at 100 Hz.\n\n"
        )
        head = [
            "profiler",
            "µs a sample",
            "% of a core, 100 Hz",
            *(f"slowdown, {rate:,} Hz" for rate in RATES),
            "200 threads: % of a core",
            "slowdown",
        ]
        for version, stored in results.items():
            rows = []
            for peer in peers_of({version: stored}):
                cases = stored["cells"].get(peer, {})
                by_rate = [cases.get(f"{rate} Hz", []) for rate in RATES]
                many = cases.get(THREADS, [])
                slow = [_slowdown(runs, rate) for runs, rate in zip(by_rate, RATES, strict=True)]
                rows.append(
                    [column(peer), _middle(by_rate[1], "us"), _middle(by_rate[0], "core"), *slow, _middle(many, "core"), _slowdown(many, 0)]
                )
            text += f"CPython {version}\n\n" + table(head, rows) + "\n"
        return text


def _middle(runs: list[dict[str, Any]], key: str) -> str:
    values = [run[key] for run in runs if key in run]
    return f"{statistics.median(values):.3g}" if values else NOTHING


def _slowdown(runs: list[dict[str, Any]], rate: float) -> str:
    values = [value for run in runs for value in run["slowdowns"]]
    if not values:
        return NOTHING
    middle, low, high = median_interval(values)
    reached = statistics.median(run["hz"] for run in runs)
    words = f"{middle:+.1f} % ({low:+.1f} to {high:+.1f})"
    return words + (f" at {reached:,.0f} Hz" if reached < 0.75 * rate else "")
