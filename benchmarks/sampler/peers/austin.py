# SPDX-License-Identifier: MIT
"""Austin: another process; reads the program's memory while it runs.

Its wheel needs glibc 2.38. HYBRIDPROF_AUSTIN is a command to run in place of `austin` on an older system; "{}" in it is the program that was installed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections import Counter
from pathlib import Path

from sampler.peers.base import Peer, Sampled, Stack


class Austin(Peer):
    name = "Austin"
    requirements = ("austin-dist==4.0.0", "austin-python==2.4.0")

    def attach(self, pid: int, rate: float, seconds: float, output: Path, threads: bool) -> list[str]:
        program = os.environ.get("HYBRIDPROF_AUSTIN", "{}").replace("{}", str(self.venv / "bin/austin"))
        return [
            *shlex.split(program),
            *(
                "--interval",
                str(max(1, round(1e6 / rate))),
                "--exposure",
                str(int(seconds) + 1),
                "--output",
                str(output),
                "--pid",
                str(pid),
            ),
            *self.options,
        ]

    def read(self, output: Path, log: str) -> Sampled:
        text = output.with_suffix(".collapsed")
        subprocess.run([self.venv / "bin/mojo2austin", output, text], check=True, capture_output=True, timeout=120)
        weights: Counter[Stack] = Counter()
        samples, squares = 0, 0
        for line in text.read_text().splitlines():
            if not line.startswith("P"):
                continue
            words, _, microseconds = line.rpartition(" ")
            places = [word.rsplit(":", 2) for word in words.split(";")[2:]]
            weights[tuple((place[1], place[0]) for place in places if len(place) == 3)] += int(microseconds)
            samples += 1
            squares += int(microseconds) ** 2
        errors = re.search(r"(\d+)/\d+", re.sub(r"\x1b\[[\d;]*m", "", log).rpartition("Error rate")[2])
        uneven = squares * samples / max(1, sum(weights.values())) ** 2
        return Sampled(weights, samples, int(errors[1]) if errors else 0, uneven=uneven)
