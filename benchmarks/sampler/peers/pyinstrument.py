# SPDX-License-Identifier: MIT
"""pyinstrument: inside the program's own thread, at the interpreter's profile events."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from sampler.peers.base import Peer, Sampled, Stack


class PyInstrument(Peer):
    name = "pyinstrument"
    requirements = ("pyinstrument==5.1.3",)
    from_source = ("pyinstrument",)
    inside = True
    own_thread = False

    def start(self, rate: float) -> None:
        from pyinstrument import Profiler  # type: ignore[import-not-found]

        self.profiler: Any = Profiler(interval=1 / rate)
        self.profiler.start()

    def stop(self, output: Path | None) -> dict[str, int]:
        session = self.profiler.stop()
        if output is not None:
            output.write_text(json.dumps(session.frame_records))
        return {"samples": len(session.frame_records)}

    def read(self, output: Path, log: str) -> Sampled:
        records = json.loads(output.read_text())
        weights: Counter[Stack] = Counter()
        for frames, seconds in records:
            # name NUL file NUL line SOH attributes; the first one is the thread
            places = [frame.partition("\x01")[0].split("\x00") for frame in frames[1:]]
            weights[tuple((place[0], place[1]) for place in places)] += seconds
        return Sampled(weights, len(records))
