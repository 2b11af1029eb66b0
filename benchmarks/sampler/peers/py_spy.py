# SPDX-License-Identifier: MIT
"""py-spy: another process; pauses the program for each sample unless told not to."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from sampler.peers.base import Peer, Sampled, Stack

FRAME = re.compile(r"(.*) \((.*):\d+\)$")


class PySpy(Peer):
    name = "py-spy"
    requirements = ("py-spy==0.4.3",)

    def attach(self, pid: int, rate: float, seconds: float, output: Path, threads: bool) -> list[str]:
        return [
            *(str(self.venv / "bin/py-spy"), "record", "--function", "--threads", "--full-filenames", "--format", "raw"),
            *("--rate", str(int(rate)), "--duration", str(int(seconds) + 1), "--output", str(output), "--pid", str(pid)),
            *self.options,
        ]

    def read(self, output: Path, log: str) -> Sampled:
        weights: Counter[Stack] = Counter()
        for line in output.read_text().splitlines():
            words, _, count = line.rpartition(" ")
            frames = (FRAME.match(word) for word in words.split(";")[1:])
            weights[tuple((frame[1], frame[2]) for frame in frames if frame)] += int(count)
        errors = re.search(r"Errors: (\d+)", log)
        return Sampled(weights, sum(weights.values()), int(errors[1]) if errors else 0)
