# SPDX-License-Identifier: MIT
"""Functions of 10 to 50 ns between others, in every circumstance in which a sampler could begin to choose its moments."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product
from typing import Any

from sampler.peers import OWN, Peer
from sampler.sections.base import NOTHING, Case, Cells, Results, Section, Size, column, peers_of, table
from sampler.sections.bias import errors_of, quality
from sampler.session import Run

COUNTS = (8, 30, 110)  # calls in a hot half, turns of the loop in a cold one
RATE = 4000.0
SECONDS = 6.0


def circumstances() -> list[tuple[bool, int, bool]]:
    """pinned to one core, threads that compete for the GIL, the other core busy."""
    return list(product((True, False), (1, 8), (False, True)))


def label(pinned: bool, threads: int, neighbour: bool) -> str:
    words = ["pinned" if pinned else "free"]
    words += [f"{threads} threads"] * (threads > 1)
    words += ["other core busy"] * neighbour
    return ", ".join(words)


class FineGrain(Section):
    name = "fine-grain"
    runs = 2
    peer_runs = 1

    def cases(self, size: Size) -> list[Case]:
        found = []
        for (pinned, threads, neighbour), count in product(circumstances(), COUNTS):
            if size.quick and (count != COUNTS[0] or threads > 1 or neighbour or pinned):
                continue
            options = {
                "seconds": SECONDS * size.seconds,
                "count": count,
                "bare_seconds": 0.5 * size.seconds,
                "threads": threads,
                "neighbour": neighbour,
            }
            name = f"{label(pinned, threads, neighbour)} | {count}"
            seconds = (SECONDS + 2) * size.seconds * (2 if neighbour else 1)
            found.append(Case(name, "alternating", options, RATE, seconds, pinned=pinned, own=threads > 1 or neighbour))
        return found

    def reduce(self, peer: Peer, case: Case, run: Run) -> dict[str, Any]:
        return {**errors_of(peer, run), "samples": run.sampled.samples, "lost": run.sampled.lost}

    def tables(self, results: Results) -> str:
        text = (
            f"### Fine grain: {COUNTS[0]}, {COUNTS[1]} or {COUNTS[2]} calls of a function of some 30 ns, then as many turns of a loop without calls\n\n"
            f"At {RATE:,.0f} Hz. First, points by which the estimated share of the calling half is off, and half of its 95 % interval; after the stroke, "
            "points by which the self share of a `tiny` that does 30 ns more is off: negative where short functions are overlooked.\n\n"
        )
        for version, stored in results.items():
            cells = stored["cells"]
            periods = _periods(cells)
            rows = []
            for peer in peers_of({version: stored}):
                for circumstance in (label(*each) for each in circumstances()):
                    found = [_cell(cells.get(peer, {}).get(f"{circumstance} | {count}", [])) for count in COUNTS]
                    if any(cell != NOTHING for cell in found) or circumstance == "free":
                        rows.append([column(peer), circumstance, *found])
            text += f"CPython {version}\n\n" + table(["profiler", "program", *periods], rows) + "\n"
        return text + quality(results)

    def shortfalls(self, cells: Cells) -> Iterable[str]:
        for case, runs in cells.get(OWN.name, {}).items():
            for key in ("hot", "tiny"):
                mean, margin = _pooled(runs, key)
                if abs(mean) > 2 and abs(mean) > 1.5 * margin:  # three standard errors: there are many cells
                    yield f"{case}: {key} {mean:+.1f} ± {margin:.1f} points in {len(runs)} runs"
            samples, lost = sum(run["samples"] for run in runs), sum(run["lost"] for run in runs)
            if lost > 0.001 * samples:
                yield f"{case}: {lost} of {samples} samples unresolved"


def _pooled(runs: list[dict[str, Any]], key: str) -> tuple[float, float]:
    return sum(run[key] for run in runs) / len(runs), math.sqrt(sum(run[f"{key}_margin"] ** 2 for run in runs)) / len(runs)


def _cell(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return NOTHING
    (hot, hot_margin), (tiny, tiny_margin) = _pooled(runs, "hot"), _pooled(runs, "tiny")
    return f"{hot:+.1f} ± {hot_margin:.1f} / {tiny:+.1f} ± {tiny_margin:.1f}"


def _periods(cells: Cells) -> list[str]:
    words = []
    for count in COUNTS:
        periods = sorted(
            run["period"] for cases in cells.values() for case, runs in cases.items() if case.endswith(f"| {count}") for run in runs
        )
        words.append(f"{periods[len(periods) // 2] / 1000:.1f} µs" if periods else f"{count} calls")
    return words
