# SPDX-License-Identifier: MIT
"""What a section of the comparison is made of: cases, each a program under every profiler, in turn."""

from __future__ import annotations

import math
import random
import statistics
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sampler.peers import OWN, Peer
from sampler.session import Run

Cells = dict[str, dict[str, list[dict[str, Any]]]]  # peer, case -> what each run gave
Results = dict[str, dict[str, Any]]  # interpreter -> what is stored of it
NOTHING = "—"


@dataclass(frozen=True)
class Size:
    """How much is measured. seconds: a factor to every duration."""

    runs: int
    seconds: float
    quick: bool


@dataclass(frozen=True)
class Case:
    """A program with its options under a profiler at a rate (Hz). seconds: how long it takes without one, about. own: for hybridprof alone."""

    name: str
    program: str
    options: dict[str, Any]
    rate: float
    seconds: float
    pinned: bool = False
    threads: bool = False
    own: bool = False

    @property
    def limit(self) -> float:
        return 6 * self.seconds + 60


class Section(ABC):
    """One figure. `cases` says what is run, `reduce` what is kept of a run, `tables` how the kept becomes Markdown."""

    name = ""
    runs = 5  # in full size
    peer_runs = 5  # at most, of the other profilers

    @abstractmethod
    def cases(self, size: Size) -> list[Case]: ...

    @abstractmethod
    def reduce(self, peer: Peer, case: Case, run: Run) -> dict[str, Any]: ...

    @abstractmethod
    def tables(self, results: Results) -> str: ...

    def shortfalls(self, cells: Cells) -> Iterable[str]:
        """Sentences: where hybridprof missed what it promises."""
        return ()


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def column(name: str) -> str:
    return f"**{name}**" if name == OWN.name else name


def mean_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error; infinite for a single value."""
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median and its 95 % interval, by bootstrap."""
    choice = random.Random(1)
    medians = sorted(statistics.median(choice.choices(values, k=len(values))) for _ in range(1000))
    return statistics.median(values), medians[25], medians[975]


def peers_of(results: Results) -> list[str]:
    """Every profiler that has a figure or a reason for having none."""
    names: dict[str, None] = {}
    for stored in results.values():
        names.update(dict.fromkeys([*stored["cells"], *stored["absent"]]))
    return sorted(names, key=lambda name: name != OWN.name)
