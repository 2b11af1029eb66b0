# SPDX-License-Identifier: MIT
"""Samplers and tracers as one kind of peer. What a tracer says of a function, times of its calls, stands for a stack of that function alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from sampler.peers import PEERS
from sampler.peers.base import Peer, Sampled, Stack, short_name
from tracer.peers import TRACERS, Tracer


class Traced(Peer):
    """A tracer inside the program, over all that runs."""

    inside = True
    own_thread = False

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer.name)
        self.tracer = tracer
        self.requirements = tracer.requirements
        self.from_source = tracer.from_source

    @property
    def venv(self) -> Path:
        return self.tracer.venv

    @property
    def python(self) -> str:
        return self.tracer.python

    def version(self) -> str:
        return self.tracer.version()

    def unsupported(self) -> str:
        return self.tracer.unsupported()

    def start(self, rate: float) -> None:
        self.tracer.start()

    def stop(self, output: Path | None) -> dict[str, int]:
        totals = self.tracer.finish()
        if output is not None:
            output.write_text(json.dumps(totals))
        return {}

    def read(self, output: Path, log: str) -> Sampled:
        weights: Counter[Stack] = Counter()
        for name, total in json.loads(output.read_text()).items():
            weights[((short_name(name), ""),)] += total
        return Sampled(weights, 0)


_SAMPLERS = ("hybridprof", "py-spy", "Austin", "profiling.sampling", "pyinstrument")
_TRACERS = {"hybridprof": "hybridprof --deep '*'", "cProfile": "cProfile", "yappi": "yappi", "profiling.tracing": "profiling.tracing"}


def _traced(name: str, shown: str) -> Traced:
    peer = Traced(TRACERS[name])
    peer.name = shown
    return peer


TRACED: dict[str, Peer] = {shown: _traced(name, shown) for name, shown in _TRACERS.items()}
COMPARED: dict[str, Peer] = {name: PEERS[name] for name in _SAMPLERS} | TRACED
ALL: dict[str, Peer] = PEERS | TRACED
