# SPDX-License-Identifier: MIT
"""What the sampler's memory grows to: as many samples as an hour at 100 Hz has, of a program with 50,000 stacks.

    scripts/bench sampler.memory [-- --samples N --rate HZ]

Prints resident memory gained since the sampler was started. The samples are taken faster than at 100 Hz, or it would take the hour."""

from __future__ import annotations

import argparse
import random
import resource
import time
from pathlib import Path
from typing import Any

from measure import machine

from hybridprof import _core

CALLERS = 224  # and as many callees: 50,176 stacks


def _program() -> tuple[list[Any], dict[str, Any]]:
    space: dict[str, Any] = {}
    for i in range(CALLERS):
        exec(f"def callee_{i}():\n    x = 0\n    for i in range(100): x += i\n", space)
        exec(f"def caller_{i}(which):\n    callees[which]()\n", space)
    space["callees"] = [space[f"callee_{i}"] for i in range(CALLERS)]
    return [space[f"caller_{i}"] for i in range(CALLERS)], space


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure(samples: int, rate: float) -> dict[str, float]:
    """Resident memory gained in bytes, the samples that were kept and the nodes that they made."""
    callers, _space = _program()
    chance = random.Random(1)

    def run(seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for _ in range(100):
                callers[chance.randrange(CALLERS)](chance.randrange(CALLERS))

    run(1)
    before = _resident()
    _core.start(rate=rate)
    while _core.status()["samples"]["kept"] < samples:
        run(2)
    _core.stop()
    gained = _resident() - before
    return {"bytes": gained, "samples": _core.status()["samples"]["kept"], "nodes": len(_core.snapshot().nodes())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=360_000)
    parser.add_argument("--rate", type=float, default=8000)
    parser.add_argument("--quick", action="store_true", help="5,000 samples: only whether it works")
    options = parser.parse_args()
    found = measure(5_000 if options.quick else options.samples, options.rate)
    print(f"### What the sampler's memory grows to\n\n{machine()}\n")
    print(f"{found['bytes'] / 1e6:.1f} MB for {found['samples']:,.0f} samples in {found['nodes']:,.0f} nodes")


if __name__ == "__main__":
    main()
