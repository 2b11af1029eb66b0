# SPDX-License-Identifier: MIT
"""What every benchmark shares: the machine in words, tables, and alternating runs.

Neighbours disturb wall time by a factor of two and CPU time by 5 to 20 %. So CPU time of the measured thread is what is compared, bare
and profiled runs alternate, each ratio is of two neighbouring runs, and the median of the ratios is shown with its quartiles.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path


def machine() -> str:
    """Processor, its count, system, interpreter, date: one line."""
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    debug = ", debug build" if hasattr(sys, "gettotalrefcount") else ""
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()} {kernel}; CPython {platform.python_version()}{debug}; {datetime.now(UTC):%Y-%m-%d}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print()


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    """The median, and the quartiles in brackets where there are enough values."""
    middle = form.format(statistics.median(values))
    if len(values) < 4:
        return middle
    low, _, high = statistics.quantiles(values, n=4)
    return f"{middle} [{form.format(low)}–{form.format(high)}]"


def alternate(rounds: int, runs: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Calls each run once a round, in turn, and keeps what they return."""
    results: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            results[name].append(run())
    return results


def ratios(results: dict[str, list[float]], name: str, bare: str = "bare") -> list[float]:
    """name / bare of the same round."""
    return [value / base for value, base in zip(results[name], results[bare], strict=True)]


def write_between(path: Path, begin: str, end: str, text: str) -> None:
    """What stands between the two marks becomes the text; where they are not there yet, at the end."""
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2] if rest else "\n"
    path.write_text(before.rstrip("\n") + f"\n\n{begin}\n\n{text}\n{end}" + after, encoding="utf-8")
