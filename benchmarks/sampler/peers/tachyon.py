# SPDX-License-Identifier: MIT
"""CPython's own profiling.sampling (Tachyon), 3.15 and later: another process; stops the program for each sample with --blocking."""

from __future__ import annotations

import platform
import re
import sys
from collections import Counter
from pathlib import Path

from sampler.peers.base import Peer, Sampled, Stack


class Tachyon(Peer):
    name = "profiling.sampling"

    def unsupported(self) -> str:
        return "" if sys.version_info >= (3, 15) else "part of CPython since 3.15"

    def version(self) -> str:
        return platform.python_version()

    def attach(self, pid: int, rate: float, seconds: float, output: Path, threads: bool) -> list[str]:
        return [
            *(
                sys.executable,
                "-m",
                "profiling.sampling",
                "attach",
                *(["--all-threads"] if threads else []),
                "--sampling-rate",
                str(int(rate)),
            ),
            *("--duration", str(int(seconds) + 1), "--collapsed", "--output", str(output), *self.options, str(pid)),
        ]

    def read(self, output: Path, log: str) -> Sampled:
        weights: Counter[Stack] = Counter()
        for line in output.read_text().splitlines():
            words, _, count = line.rpartition(" ")
            places = [word.rsplit(":", 2) for word in words.split(";")[1:]]
            # <GC> and the like are no functions.
            weights[tuple((place[1], place[0]) for place in places if len(place) == 3 and place[0] != "~")] += int(count)
        captured = re.search(r"Captured (\d[\d,]*) samples", log)
        errors = re.search(r"Error rate: ([\d.]+)", log)
        taken = int(captured[1].replace(",", "")) if captured else sum(weights.values())
        return Sampled(weights, sum(weights.values()), round(taken * float(errors[1]) / 100) if errors else 0)
