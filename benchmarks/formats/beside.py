# SPDX-License-Identifier: MIT
"""What a Python thread gets done while another one writes a profile: python -m formats.beside [--quick] [--nodes N]

Each format is written again and again by the main thread while a second one counts. Its counting is compared with what it counts alone, and
beside a thread that spins in C without the GIL, which takes from it what any busy neighbour on this machine does.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from measure import machine, spread, table

import hybridprof
from formats.made import stacks, write_collapsed
from hybridprof import _core

ROUNDS = 7


class Counter:
    """A thread that does nothing but count."""

    def __init__(self) -> None:
        self.count = 0
        self.ending = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.ending:
            self.count += 1

    def rate(self, action: Callable[[], object]) -> tuple[float, float]:
        """Counts a second while it runs, and its seconds."""
        begun, before = time.perf_counter(), self.count
        action()
        took = time.perf_counter() - begun
        return (self.count - before) / took, took

    def end(self) -> None:
        self.ending = True
        self.thread.join()


def spin_in_c() -> None:
    """About 0.1 s in a C function that has no GIL and shares no data."""
    zlib.crc32(bytes(1 << 27))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--nodes", type=int, default=100_000)
    options = parser.parse_args()
    nodes = 5000 if options.quick else options.nodes
    rounds = 2 if options.quick else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        write_collapsed(Path(folder, "made.collapsed"), stacks(nodes))
        profile = hybridprof.load(Path(folder, "made.collapsed"))
        counter = Counter()
        print(f"### A thread that counts while {nodes:,} nodes are written, median of {rounds} [quartiles]\n\n{machine()}\n")
        alone = [counter.rate(lambda: time.sleep(0.1))[0] for _ in range(rounds)]
        beside = [counter.rate(spin_in_c)[0] for _ in range(rounds)]
        base = sorted(beside)[len(beside) // 2]
        rows: list[tuple[object, ...]] = [
            ("nothing", "", spread([each / 1e6 for each in alone]), spread([100 * each / base for each in alone], "{:.0f}")),
            ("C code without the GIL", "", spread([each / 1e6 for each in beside]), "100"),
        ]
        for name, suffixes, prefix, _, can_write in _core.formats():
            if not can_write:
                continue
            target = Path(folder, f"{prefix}.x" if prefix else f"x{suffixes[0]}")
            found = [counter.rate(lambda target=target: profile.write(target)) for _ in range(rounds)]  # type: ignore[misc]
            rates = [rate for rate, _ in found]
            rows.append(
                (
                    name,
                    spread([1e3 * took for _, took in found], "{:.1f}"),
                    spread([each / 1e6 for each in rates]),
                    spread([100 * each / base for each in rates], "{:.0f}"),
                )
            )
        counter.end()
        table(("meanwhile", "ms on the wall", "million counts a second", "% of what it does beside C code"), rows)


if __name__ == "__main__":
    main()
