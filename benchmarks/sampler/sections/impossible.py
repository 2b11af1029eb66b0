# SPDX-License-Identifier: MIT
"""Stacks that the program cannot have had, and samples that were taken and thrown away or not understood. The worst case: it always calls."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from sampler.peers import OWN, Peer
from sampler.peers.base import ROOT, Frame, short_name
from sampler.sections.base import NOTHING, Case, Cells, Results, Section, Size, column, peers_of, table
from sampler.session import Run

RATES = (1000, 10000)
QUALIFIED = {"__lt__": "Compares.__lt__", "__init__": "Constructs.__init__"}


def qualified(frame: Frame) -> str:
    """The name by which the program's legal stacks are known: not every profiler says the class."""
    name, file = short_name(frame[0]), frame[1]
    if file.endswith("sampler_programs.py"):
        return QUALIFIED.get(name, name)
    if name == "__init__":  # the interpreter's own frame around a constructor: some show it
        return ""
    return "Thread.run" if name == "run" and file.endswith("threading.py") else name


class Impossible(Section):
    name = "impossible"
    runs = 3

    def cases(self, size: Size) -> list[Case]:
        seconds = 1.0 if size.quick else 10 * size.seconds
        rates = RATES[:1] if size.quick else RATES
        return [Case(f"{rate} Hz", "chains", {"seconds": seconds}, rate, seconds + 2) for rate in rates]

    def reduce(self, peer: Peer, case: Case, run: Run) -> dict[str, Any]:
        sys.path.append(str(ROOT / "tests/integration"))
        from sampler_programs import impossible  # type: ignore[import-not-found]

        stacks: Counter[tuple[str, ...]] = Counter()
        for stack, count in (run.sampled.counts or run.sampled.weights).items():
            names = tuple(name for frame in stack if (name := qualified(frame)))
            if names and "_say" not in names:
                stacks[names] += count  # type: ignore[assignment]
        wrong = impossible(stacks)
        total = sum(stacks.values())
        return {
            "impossible": sum(wrong.values()) / total if total else 0.0,
            "samples": run.sampled.samples,
            "lost": run.sampled.lost,
            "examples": [" > ".join(stack) for stack, _ in Counter(wrong).most_common(3)],
        }

    def tables(self, results: Results) -> str:
        rows = []
        for peer in peers_of(results):
            for rate in RATES:
                cells = [_cell(stored["cells"].get(peer, {}).get(f"{rate} Hz", [])) for stored in results.values()]
                if any(cell != NOTHING for cell in cells) or rate == RATES[0]:
                    rows.append([column(peer), f"{rate:,}", *cells])
        return (
            "### Impossible stacks, and samples lost, of a program that always calls\n\n"
            "Percent of samples that show a stack that the program cannot have had / percent that the profiler took and discarded or could not "
            "resolve, of how many samples.\n\n" + table(["profiler", "Hz", *results], rows)
        )

    def shortfalls(self, cells: Cells) -> Iterable[str]:
        for case, runs in cells.get(OWN.name, {}).items():
            for run in runs:
                if run["impossible"]:
                    yield f"{case}: {100 * run['impossible']:.4f} % impossible stacks, such as {run['examples']}"
                if run["lost"] > 0.001 * run["samples"]:
                    yield f"{case}: {run['lost']} of {run['samples']} samples unresolved"


def _cell(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return NOTHING
    samples, lost = sum(run["samples"] for run in runs), sum(run["lost"] for run in runs)
    wrong = sum(run["impossible"] * run["samples"] for run in runs) / max(1, samples)
    return f"{_percent(wrong)} / {_percent(lost / max(1, samples + lost))} of {samples:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}" if share else "0"
