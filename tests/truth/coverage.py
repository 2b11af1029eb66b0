# SPDX-License-Identifier: MIT
"""From runs to coverage: how often the intervals held the truth, how sure that is, and whether it is what was promised."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PROMISED = (0.93, 0.97)
FIGURES = ("self", "total", "share", "sampling", "difference")
NORMAL_95 = 1.959963984540054


def wilson(held: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a share, from 0 to 1; it has a width where all or none held, too (Wilson, JASA 22:209, 1927)."""
    if count <= 0:
        return 0.0, 1.0
    share, z2 = held / count, NORMAL_95 * NORMAL_95
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    width = NORMAL_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    return max(0.0, middle - width), min(1.0, middle + width)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one figure in the runs of one program. values: functions in runs. low, high: the 95 % interval of the coverage. bias: mean of (said - true) / error, near 0
    where nothing is wrong."""

    program: str
    clock: str
    figure: str
    runs: int
    values: int
    coverage: float
    low: float
    high: float
    bias: float

    @property
    def verdict(self) -> str:
        """A difference as `diff` shows it makes room for what other runs would show: it may be wider."""
        if self.high < PROMISED[0]:
            return "too narrow"
        if self.low > PROMISED[1] and self.figure != "difference":
            return "wider than promised"
        return "as promised"


def holds(said: float, error: float, true: float) -> bool:
    return abs(said - true) <= error


def coverage_of(program: str, clock: str, figure: str, runs: Iterable[dict[str, Any]]) -> Coverage | None:
    """None where no run has this figure. The functions of one run depend on one another: where one was seen too often, another was not. So the interval
    is that of as many observations as there are runs, which is no narrower than the truth, and wider where they depend less."""
    counted, values, held, bias = 0, 0, 0.0, 0.0
    for run in runs:
        found = [each[figure] for each in run["functions"].values() if figure in each]
        if not found:
            continue
        counted += 1
        values += len(found)
        held += sum(holds(*each) for each in found)
        bias += sum((said - true) / error for said, error, true in found if error > 0)
    if not counted:
        return None
    share = held / values
    low, high = wilson(share * counted, counted)
    return Coverage(program, clock, figure, counted, values, share, low, high, bias / values)


def coverages(runs: Iterable[dict[str, Any]]) -> list[Coverage]:
    """By program and clock, in the order in which they are first met, then by figure."""
    sorted_runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        sorted_runs.setdefault((run["program"], run["clock"]), []).append(run)
    found = (coverage_of(*key, figure, group) for key, group in sorted_runs.items() for figure in FIGURES)
    return [each for each in found if each is not None]


def missed(runs: Iterable[dict[str, Any]]) -> float:
    """The share of ticks that the sampler was too late for: what a busy machine does to it."""
    kept = late = 0
    for run in runs:
        kept += run["samples"]
        late += run["missed"]
    return late / max(1, kept + late)


# --- what is shown ---------------------------------------------------------------------------------------------------------------------------

WORDS = {
    "self": "self time",
    "total": "total time",
    "share": "share",
    "sampling": "difference, sampling alone",
    "difference": "difference, as shown",
}


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def table(found: list[Coverage]) -> str:
    """Markdown: coverage in % and its interval, by program and figure."""
    figures = [figure for figure in FIGURES if any(each.figure == figure for each in found)]
    cells = {(each.program, each.clock, each.figure): each for each in found}
    lines = [
        "| program | clock | runs | " + " | ".join(WORDS[figure] for figure in figures) + " |",
        "|---|---|---|" + "---|" * len(figures),
    ]
    for program, clock in dict.fromkeys((each.program, each.clock) for each in found):
        own = [cells.get((program, clock, figure)) for figure in figures]
        runs = max(each.runs for each in own if each)
        lines.append(f"| {program} | {clock} | {runs} | " + " | ".join(_cell(each) for each in own) + " |")
    return "\n".join(lines) + "\n"


def _cell(each: Coverage | None) -> str:
    if each is None:
        return "—"
    words = f"{percent(each.coverage)} ({percent(each.low)}–{percent(each.high)})"
    return words if each.verdict == "as promised" else f"**{words}** {each.verdict}"


ROW, LEFT, WIDTH, FIRST = 18, 250, 520, 0.80  # the axis goes from FIRST to 1


def _x(share: float) -> float:
    return LEFT + WIDTH * (max(share, FIRST) - FIRST) / (1 - FIRST)


def plot(found: list[Coverage], title: str) -> str:
    """An SVG: one row for each coverage, its interval as a line, the promise as a band."""
    height = ROW * (len(found) + 4)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 40}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="white"/><text x="10" y="18">{_escaped(title)}</text>',
        f'<rect x="{_x(PROMISED[0]):.1f}" y="{1.5 * ROW}" width="{_x(PROMISED[1]) - _x(PROMISED[0]):.1f}" height="{height - 3 * ROW}" fill="#d8ecd8"/>',
    ]
    for at in range(round(100 * FIRST), 101, 5):
        parts.append(f'<text x="{_x(at / 100):.1f}" y="{height - ROW // 2}" text-anchor="middle">{at} %</text>')
    for number, each in enumerate(found):
        y = ROW * (number + 2.5)
        colour = "#1f5fa8" if each.verdict == "as promised" else "#c0392b"
        parts.append(f'<text x="10" y="{y + 4:.1f}">{_escaped(f"{each.program}, {each.clock}: {WORDS[each.figure]}")}</text>')
        parts.append(f'<path d="M{_x(each.low):.1f} {y:.1f}H{_x(each.high):.1f}" stroke="{colour}"/>')
        parts.append(f'<circle cx="{_x(each.coverage):.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
    return "\n".join([*parts, "</svg>", ""])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
