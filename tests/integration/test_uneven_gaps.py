# SPDX-License-Identifier: MIT
"""Where samples stand for very different times, the profile gives the variances that this makes, and they go with it."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from oracle.targets import no_session_left

import hybridprof
from hybridprof import _core

__all__ = ["no_session_left"]

FILE_HEADER, CHUNK_HEADER, VARIANCES = 16, 20, 19  # formats/hyprof/SPEC.md


def chunk_types(encoded: bytes) -> set[int]:
    found, at = set(), FILE_HEADER
    while at < len(encoded):
        kind, _flags, size = struct.unpack_from("<HHI", encoded, at)
        found.add(kind)
        at += CHUNK_HEADER + size
    return found


def flicker(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(300))


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_a_rate_that_changes_makes_gaps_that_nobody_drew(clock: str, tmp_path: Path) -> None:
    _core.start(rate=2000, clock=clock)  # type: ignore[arg-type]
    flicker(0.5)
    _core.adjust(rate=20, budget=0)
    flicker(1.2)
    _core.stop()
    profile = hybridprof.snapshot()
    assert VARIANCES in chunk_types(profile.encode("hyprof"))
    path = tmp_path / "uneven.hyprof"
    profile.write(path)
    errors = {row.name: row.self_error_ns for row in profile.functions}
    assert {row.name: row.self_error_ns for row in hybridprof.load(path).functions} == errors
    assert errors["flicker"] > 0
