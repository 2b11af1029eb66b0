# SPDX-License-Identifier: MIT
"""The profilers that are compared, one adapter each."""

from __future__ import annotations

from sampler.peers.austin import Austin
from sampler.peers.base import Peer, Sampled
from sampler.peers.own import Own
from sampler.peers.py_spy import PySpy
from sampler.peers.pyinstrument import PyInstrument
from sampler.peers.scalene import Scalene
from sampler.peers.tachyon import Tachyon

OWN = Own()
PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        OWN,
        PySpy("py-spy"),
        PySpy("py-spy --nonblocking", "--nonblocking"),
        Austin(),
        Tachyon("profiling.sampling"),
        Tachyon("profiling.sampling --blocking", "--blocking"),
        PyInstrument(),
        Scalene(),
    )
}

__all__ = ["OWN", "PEERS", "Peer", "Sampled"]
