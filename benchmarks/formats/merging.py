# SPDX-License-Identifier: MIT
"""How fast `hybridprof merge` is, and what memory it takes: python -m formats.merging [--quick] [--files N]

Files of about 1 MB are made by benchmarks/formats/merge.c: eight different runs of one program for each kind, the rest copies under ids of their own,
which nobody can tell from other runs before they were decoded. The command merges a folder of them, and a tenth of it, so that memory which grew with
the number of files would show. Beside its time on the wall, which a busy machine stretches, stands its CPU time, and what that would come to if all
processors had been free.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from measure import machine, table
from sampler.peers.base import ROOT

ROUNDS = 3
# stacks that the samples fall on, appends, samples of each
KINDS = {
    "eight minutes at 100 Hz, an append a second": (2000, 480, 100),
    "a quarter of an hour, an append a minute": (8000, 15, 6000),
    "written once, at the end": (50000, 1, 30000),
}


class Took(NamedTuple):
    wall_s: float
    cpu_s: float
    peak_mb: float


def maker() -> Path:
    build = subprocess.run([ROOT / "scripts/setup", "plain", "--release"], check=True, capture_output=True, text=True).stdout.strip()
    return Path(build, "benchmarks/formats/bench_merge")


def merged(files: list[str], output: Path) -> Took:
    """The command in a process of its own: its interpreter's start is in it."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "hybridprof", "merge", *files, "-o", str(output)])
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    if status != 0:
        sys.exit(f"hybridprof merge failed: {os.waitstatus_to_exitcode(status)}")
    return Took(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measured(folder: Path, files: list[str], rounds: int) -> Took:
    runs = [merged(files, folder / "out.hyprof") for _ in range(rounds)]
    return Took(*(statistics.median(column) for column in zip(*runs, strict=True)))


def row(kind: str, folder: Path, rounds: int) -> list[object]:
    paths = sorted(str(path) for path in folder.glob("run-*.hyprof"))
    size = sum(os.path.getsize(path) for path in paths) / 1e6
    few = measured(folder, paths[: max(len(paths) // 10, 8)], 1)
    took = measured(folder, paths, rounds)
    processors = len(os.sched_getaffinity(0))
    return [
        kind,
        f"{len(paths):,} of {size / len(paths):.2f} MB",
        f"{took.wall_s:.2f} s",
        f"**{size / took.wall_s:.0f}**",
        f"{took.cpu_s:.2f} s",
        f"{size / took.cpu_s:.0f}",
        f"{processors * size / took.cpu_s:.0f}",
        f"{took.peak_mb:.0f}",
        f"{few.peak_mb:.0f}",
        f"{os.path.getsize(folder / 'out.hyprof') / 1e6:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="formats.merging", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="16 files of a kind, once: to see that it works")
    parser.add_argument("--files", type=int, default=1000, help="of each kind; they take about as many MB in the temporary folder")
    options = parser.parse_args()
    files, rounds = (16, 1) if options.quick else (options.files, ROUNDS)
    program = maker()
    rows = []
    for kind, shape in KINDS.items():
        with tempfile.TemporaryDirectory() as name:
            subprocess.run([program, str(files), *map(str, shape), name], check=True)
            rows.append(row(kind, Path(name), rounds))
    print(f"### `hybridprof merge`, median of {rounds}\n\n{machine()}; load average {os.getloadavg()[0]:.1f}\n")
    head = ("files", "", "wall", "MB/s", "CPU", "MB/s of CPU", "× processors", "peak memory, MB", "of a tenth of the files", "result, MB")
    table(head, rows)


if __name__ == "__main__":
    main()
