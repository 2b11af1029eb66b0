# SPDX-License-Identifier: MIT
"""How often the 95 % intervals hold the truth: python -m truth.study [--runs N] [--program NAME ...] [--clock CLOCK ...] [--minutes M] [--keep FILE] [--results FOLDER]

Every program of truth/programs.py is run N times under the profiler, some runs to a process. Each run is one line at the end of a file, so that a study goes on
where it was ended, by whoever or by its limit; several may share the file. What all lines say is printed, and written with --results: numbers, a table, a plot.
"""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from truth import coverage
from truth.clock import CLOCKS
from truth.programs import PROGRAMS

TESTS = Path(__file__).resolve().parents[1]
BATCH = 10  # runs of one process
PATIENCE_S = 60.0  # beyond ten times what a batch should take
Line = dict[str, Any]


def machine() -> str:
    """What the results depend on, in one line."""
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()} {kernel}; CPython {platform.python_version()}"


def lines_of(path: Path, options: argparse.Namespace) -> list[Line]:
    """The runs of this interpreter at this rate and length; a line that was cut short by a kill is none."""
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if (line["python"], line["rate"], line["seconds"]) == (platform.python_version(), options.rate, options.seconds):
            found.append(line)
    return found


def append(path: Path, lines: list[Line]) -> None:
    """All of them behind what is there, on a line of their own, whoever writes at the same time and however the last writer ended."""
    with open(path, "ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        begin = b"" if file.read(1) in (b"", b"\n") else b"\n"
        file.write(begin + "".join(json.dumps(line) + "\n" for line in lines).encode())


def batch(program: str, clock: str, count: int, seed: int, options: argparse.Namespace) -> list[Line]:
    """`count` runs in a process of their own. One that fails is said on stderr and gives what it had."""
    command = [sys.executable, "-m", "truth.runs", program, clock, str(options.rate), str(options.seconds), str(count), str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONSAFEPATH": "1"}
    limit = PATIENCE_S + 10 * count * options.seconds
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit)
        output, failure = done.stdout, (done.stderr.strip().splitlines() or [""])[-1] if done.returncode else ""
    except subprocess.TimeoutExpired as error:
        output, failure = (error.stdout or b"").decode(), f"its process had not ended after {limit:.0f} s"
    if failure:
        print(f"{program}, {clock}: {failure}", file=sys.stderr, flush=True)
    facts = {"program": program, "clock": clock, "python": platform.python_version(), "rate": options.rate, "seconds": options.seconds}
    return [facts | json.loads(line) for line in output.splitlines() if line.startswith("{") and line.endswith("}")]


def work(options: argparse.Namespace, known: Counter[tuple[str, str]]) -> Iterator[tuple[str, str, int, int]]:
    """(program, clock, count, seed) of the batches that are missing, each program in turn, so that a study that is ended early has some of each."""
    pairs = list(itertools.product(options.program, options.clock))
    for first in range(0, options.runs, BATCH):
        for program, clock in pairs:
            missing = min(first + BATCH, options.runs) - max(first, known[program, clock])
            if missing > 0:
                yield program, clock, missing, max(first, known[program, clock])


def measure(options: argparse.Namespace) -> None:
    end = time.monotonic() + 60 * options.minutes
    known = Counter((line["program"], line["clock"]) for line in lines_of(options.keep, options))

    def one(item: tuple[str, str, int, int]) -> None:
        if time.monotonic() < end:
            append(options.keep, batch(*item, options))

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(one, work(options, known)))


def write(folder: Path, lines: list[Line], options: argparse.Namespace, command: str) -> None:
    """coverage-VERSION.json, .md and .svg."""
    found = coverage.coverages(lines)
    version = ".".join(platform.python_version_tuple()[:2])
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"machine": machine(), "command": command, "rate_hz": options.rate, "seconds": options.seconds}
    late = {f"{program}, {clock}": round(coverage.missed(group), 4) for (program, clock), group in grouped(lines).items()}
    rows = [dataclasses.asdict(each) | {"verdict": each.verdict} for each in found]
    text = json.dumps(facts | {"missed_ticks": late, "coverage": rows}, indent=1, ensure_ascii=False)
    (folder / f"coverage-{version}.json").write_text(text + "\n", encoding="utf-8")
    title = f"95 % intervals that held the truth: {options.seconds:g} s at {options.rate:g} Hz, CPython {platform.python_version()}"
    (folder / f"coverage-{version}.svg").write_text(coverage.plot(found, title), encoding="utf-8")
    words = f"`{command}`. {facts['machine']}. {title}.\n\n{coverage.table(found)}"
    (folder / f"coverage-{version}.md").write_text(words, encoding="utf-8")


def grouped(lines: list[Line]) -> dict[tuple[str, str], list[Line]]:
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line["program"], line["clock"]), []).append(line)
    return groups


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def natural(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return int(text)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="truth.study", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=natural, default=300, help="of each program by each clock (300)")
    parser.add_argument("--program", action="append", choices=list(PROGRAMS), help="only this one; may be given again")
    parser.add_argument("--clock", action="append", choices=list(CLOCKS), help="only this one")
    parser.add_argument("--rate", type=positive, default=1000.0, help="Hz (1000)")
    parser.add_argument("--seconds", type=positive, default=0.3, help="of a run (0.3)")
    parser.add_argument("--jobs", type=natural, default=1, help="processes at a time (1): more of them disturb one another")
    parser.add_argument("--minutes", type=positive, default=60.0, help="no new process after so many (60)")
    parser.add_argument(
        "--keep", type=Path, default=Path("truth-study.jsonl"), metavar="FILE", help="every run, one a line; a study goes on from there"
    )
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where coverage-VERSION.json, .md and .svg are written")
    options = parser.parse_args(arguments)
    options.program = options.program or list(PROGRAMS)
    options.clock = options.clock or list(CLOCKS)
    return options


def main() -> int:
    options = parsed()
    measure(options)
    lines = [line for line in lines_of(options.keep, options) if line["program"] in options.program and line["clock"] in options.clock]
    if not lines:
        print(f"nothing was measured: {options.keep} has no run of these programs", file=sys.stderr)
        return 1
    if options.results:
        write(options.results, lines, options, " ".join(["scripts/study", *sys.argv[1:]]))
    print(f"{machine()}\n\n{coverage.table(coverage.coverages(lines))}\nticks missed: {100 * coverage.missed(lines):.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
