# SPDX-License-Identifier: MIT
"""The programs of tests/truth, which time their own functions."""

from __future__ import annotations

import random
from typing import Any


def kinds(window: Any, name: str, seconds: float, seed: int) -> dict[str, Any]:
    """seconds: of the main thread's CPU, or of all threads' together. total_ns: by function, those of 1 % or more; root: the one that all others are beneath."""
    from truth.clock import CLOCKS, Truth
    from truth.programs import PROGRAMS

    PROGRAMS[name](Truth(CLOCKS["cpu"]), 50_000_000, random.Random(seed))  # what is specialised once
    truth = Truth(CLOCKS["cpu"])
    window.open()
    truth.call(PROGRAMS[name], int(seconds * 1e9), random.Random(seed))
    window.close()
    root = "serve" if "serve" in truth.total_ns else name
    large = {each: ns for each, ns in truth.total_ns.items() if ns >= 0.01 * truth.total_ns[root] and each != name}
    return {"total_ns": large | {root: truth.total_ns[root]}, "root": root}
