# SPDX-License-Identifier: MIT
"""How far the estimated share of a half that calls is from its true one, over many runs: what a profiler gets wrong however long it runs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sampler import truth
from sampler.peers import OWN, Peer
from sampler.sections.base import NOTHING, Case, Cells, Results, Section, Size, column, mean_error, peers_of, table
from sampler.session import Failed, Run

SECONDS = {100: 4.0, 1000: 1.5, 10000: 0.75}


def errors_of(peer: Peer, run: Run) -> dict[str, Any]:
    """Estimates minus truth, in points, with the truth that fits this profiler; see programs/alternating.py."""
    clock = run.result["during"] if peer.own_thread else truth.joined(run.result["before"], run.result["after"])
    found = truth.errors(run.sampled.weights, run.sampled.samples / max(1.0, run.sampled.uneven), clock)
    if found is None:
        raise Failed(f"{peer.name} saw nothing of the halves: {run.words}")
    points = {key: round(100 * value, 3) for key, value in asdict(found).items() if key != "truth"}
    share, period = found.truth["share"], found.truth["period"]
    checks = {"unsure": found.truth["unsure"], "apart": found.truth["apart"]}
    return {**points, "share": round(share, 4), "period": round(period), **{key: round(100 * value, 3) for key, value in checks.items()}}


class Bias(Section):
    name = "bias"
    runs = 20

    def cases(self, size: Size) -> list[Case]:
        rates = {1000: 1.0} if size.quick else SECONDS
        found = []
        for rate, seconds in rates.items():
            options = {
                "seconds": seconds * size.seconds,
                "count": 20,
                "bare_seconds": 0.25 * size.seconds,
                "threads": 1,
                "neighbour": False,
                "more": False,
            }
            found.append(Case(f"{rate} Hz", "alternating", options, rate, (seconds + 1) * size.seconds))
        return found

    def reduce(self, peer: Peer, case: Case, run: Run) -> dict[str, Any]:
        return {**errors_of(peer, run), "samples": run.sampled.samples}

    def tables(self, results: Results) -> str:
        rows = []
        for peer in peers_of(results):
            for rate in SECONDS:
                cells = [_cell(stored["cells"].get(peer, {}).get(f"{rate} Hz", [])) for stored in results.values()]
                if any(cell != NOTHING for cell in cells) or rate == 1000:
                    rows.append([column(peer), f"{rate:,}", *cells])
        return (
            "### Bias: estimated minus true share of a half that calls a tiny function\n\n"
            "Points, mean over the runs ± its standard error (z). The halves alternate every 0.7 µs or so.\n\n"
            + table(["profiler", "Hz", *results], rows)
            + "\n"
            + quality(results)
        )

    def shortfalls(self, cells: Cells) -> Iterable[str]:
        for case, runs in cells.get(OWN.name, {}).items():
            mean, error = _mean(runs)
            if abs(mean) > 2 and abs(mean) > 3 * error:
                yield f"{case}: bias {mean:+.1f} ± {error:.1f} points in {len(runs)} runs"


def quality(results: Results) -> str:
    """How good the truth is that all this is compared with."""
    words = []
    for version, stored in results.items():
        runs = [run for cases in stored["cells"].values() for each in cases.values() for run in each]
        if runs:
            apart = sorted(run["apart"] for run in runs)[len(runs) // 2]
            unsure = sorted(run["unsure"] for run in runs)[len(runs) // 2]
            shares = sorted(run["share"] for run in runs)
            middle = shares[len(shares) // 2]
            words.append(f"{version}: {middle:.3f}, {apart:.1f} apart, ±{unsure:.1f}")
    return (
        "The truth (median share; points by which its two independent estimates are apart in one run; points by which what belongs to the callers "
        f"can change it): {'; '.join(words)}.\n"
    )


def _mean(runs: list[dict[str, Any]]) -> tuple[float, float]:
    """With its standard error: of the runs, or, where they are few, of the samples."""
    mean, error = mean_error([run["hot"] for run in runs])
    return mean, error if len(runs) >= 5 else math.sqrt(sum((run["hot_margin"] / 1.96) ** 2 for run in runs)) / len(runs)


def _cell(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return NOTHING
    mean, error = _mean(runs)
    return f"{mean:+.1f} ± {error:.1f} ({mean / error if error else 0:+.1f})"
