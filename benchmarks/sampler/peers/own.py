# SPDX-License-Identifier: MIT
"""hybridprof itself, started inside the program."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from sampler.peers.base import Frame, Peer, Sampled, Stack

INTERVALS = 2.0  # exponential ones: the mean square is twice the square of the mean


class Own(Peer):
    name = "hybridprof"
    inside = True

    @property
    def python(self) -> str:
        return sys.executable

    def version(self) -> str:
        import hybridprof

        return hybridprof.__version__

    def start(self, rate: float) -> None:
        import hybridprof

        self.profiler = hybridprof.Profiler(rate=rate, clock="cpu", method=self.options[0] if self.options else "auto")  # type: ignore[arg-type]
        self.profiler.start()

    def stop(self, output: Path | None) -> dict[str, int]:
        import hybridprof

        status = hybridprof.status()
        self.profiler.stop()
        samples = status["samples"]
        if output is not None:
            tree = _nodes(self.profiler.profile)
            output.write_text(json.dumps({"nodes": tree, **{key: samples[key] for key in ("kept", "unresolved", "missed")}}))
        return {"cpu_ns": status["sampler_cpu_ns"], "samples": samples["kept"]}

    def read(self, output: Path, log: str) -> Sampled:
        found = json.loads(output.read_text())
        paths: list[Stack] = []
        weights: Counter[Stack] = Counter()
        counts: Counter[Stack] = Counter()
        for parent, frame, self_ns, samples in found["nodes"]:
            above = paths[parent] if parent >= 0 else ()
            paths.append((*above, (frame[0], frame[1])) if frame else above)
            if samples:
                weights[paths[-1]] += self_ns
                counts[paths[-1]] += samples
        return Sampled(weights, found["kept"], found["unresolved"], counts, INTERVALS)


def _nodes(profile: Any) -> list[tuple[int, Frame | None, int, int]]:
    """(parent, frame, self ns, samples); the root and the threads have no frame."""
    rows = profile._core.functions()
    return [
        (parent, None if parent <= 0 else (rows[function][0], rows[function][3]), self_ns, samples)
        for parent, function, _calls, self_ns, _total, samples, _measured in profile._core.nodes()
    ]
