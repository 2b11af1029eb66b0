# SPDX-License-Identifier: MIT
"""Scalene: inside the program, at signals that Python code handles."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from sampler.peers.base import Peer, Sampled, Stack


class Scalene(Peer):
    name = "Scalene"
    requirements = ("scalene==2.4.0",)
    inside = True
    own_thread = False
    separator = ("---",)

    def launch(self, rate: float, output: Path) -> list[str]:
        rates = ("--cpu-sampling-rate", f"{1 / rate:.6f}", "--cpu-percent-threshold", "0")
        return [self.python, "-m", "scalene", "run", "--cpu-only", "--off", "--profile-all", *rates, "-o", f"{output}.json"]

    def start(self, rate: float) -> None:
        from scalene import scalene_profiler  # type: ignore[import-not-found]

        scalene_profiler.start()

    def stop(self, output: Path | None) -> dict[str, int]:
        from scalene import scalene_profiler

        scalene_profiler.stop()
        return {}

    def read(self, output: Path, log: str) -> Sampled:
        weights: Counter[Stack] = Counter()
        samples = 0
        for frames, found in json.loads(output.read_text())["stacks"]:
            places = [frame.rpartition(":")[0].rpartition(" ") for frame in frames]
            weights[tuple((name, file) for file, _, name in places)] += found["cpu_samples"]
            samples += found["count"]
        return Sampled(weights, samples)
