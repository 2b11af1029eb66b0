# SPDX-License-Identifier: MIT
"""Whole programs: CPU time of the program's thread against a bare run, and the sampler's own CPU time as a share of a core.

python -m overhead.programs [--quick]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from measure import alternate, machine, ratios, spread, table
from workloads import NAMES

HERE = Path(__file__).resolve().parents[1]
MODES: dict[str, list[str]] = {
    "bare": [],
    "100 Hz": ["-m", "hybridprof", "run", "-r", "100", "-o", "OUT"],
    "1 kHz": ["-m", "hybridprof", "run", "-r", "1000", "-o", "OUT"],
    "--deep '*'": ["-m", "hybridprof", "run", "-r", "100", "--deep", "*", "-o", "OUT"],
    "cProfile": ["-m", "cProfile", "-o", "OUT.pstats"],
}


class Runner:
    """Runs one workload in one mode in a process of its own; keeps what the sampler used."""

    def __init__(self, folder: str, workload: str, scale: int) -> None:
        self.folder = folder
        self.program = ["-m", "workloads", workload, str(scale)]
        self.sampler: dict[str, list[float]] = {}

    def run(self, mode: str) -> float:
        """CPU seconds of the program's own thread (thread clock, without start-up and export)."""
        out = f"{self.folder}/out.hyprof"
        options = [option.replace("OUT", out) for option in MODES[mode]]
        environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            [sys.executable, *options, *self.program], env=environment, cwd=self.folder, check=True, capture_output=True, text=True
        )
        if mode in ("100 Hz", "1 kHz"):
            self.note_sampler(mode, out)
        return float(done.stdout.split()[0])

    def note_sampler(self, mode: str, path: str) -> None:
        info = json.loads(
            subprocess.run([sys.executable, "-m", "hybridprof", "info", path, "--json"], check=True, capture_output=True, text=True).stdout
        )
        self.sampler.setdefault(mode, []).append(100 * info["sampler_cpu_ns"] / info["duration_ns"])


def main(quick: bool) -> None:
    names = NAMES[:2] if quick else NAMES
    rounds, scale = (1, 1) if quick else (5, 3)
    medians: dict[str, list[float]] = {mode: [] for mode in MODES}
    shares: dict[str, list[float]] = {}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            runner = Runner(folder, name, scale)
            results = alternate(rounds, {mode: partial(runner.run, mode) for mode in MODES})
            row = [name, spread(results["bare"], "{:.2f} s")]
            for mode in list(MODES)[1:]:
                values = ratios(results, mode)
                medians[mode].append(statistics.median(values))
                row.append(spread(values))
            for mode, values in runner.sampler.items():
                shares.setdefault(mode, []).extend(values)
            rows.append(row)
    rows.append(["**median**", "", *(spread(medians[mode]) for mode in list(MODES)[1:])])
    print(f"### Whole programs, CPU time × bare: median of {rounds} alternating runs [quartiles]\n\n{machine()}\n")
    table(["program", "bare", *list(MODES)[1:]], rows)
    print(f"Sampler's own CPU time, % of one core: {'; '.join(f'{mode}: {spread(values)}' for mode, values in shares.items())}\n")


if __name__ == "__main__":
    main("--quick" in sys.argv)
