# SPDX-License-Identifier: MIT
"""A program that makes functions all the time is held to the budget too."""

from __future__ import annotations

import time

import pytest
from oracle.targets import no_session_left, target_of

from hybridprof import _core

__all__ = ["no_session_left"]


def makes_functions(number: int) -> int:
    for _ in range(20):
        number = eval("lambda number: number + 1")(number)
    return number


@pytest.mark.skipif("monitoring" not in _core.HOOKS, reason="a profile function need not meet functions")
def test_functions_that_are_made_all_the_time_cost_all_the_time() -> None:
    """Each is met once, and giving it events is dear: what a beginning is forgiven is not forgiven for ever."""
    _core.start(rate=0, budget=1.0)
    target = target_of(makes_functions)
    calls, began, end = 0, time.monotonic(), time.thread_time() + 1.5
    while time.thread_time() < end:
        target(1)
        calls += 1
    profile, costs, seconds = _core.snapshot(), _core.costs(), time.monotonic() - began
    (row,) = (row for row in profile.functions() if row[0] == "makes_functions")
    assert row[5] is not None and 0 < row[5] < calls / 2
    assert costs["units"] * costs["unit_ns"] / 1e9 < 0.01 * seconds + 0.01 + 0.05  # the grace, and what is spent before a look
    assert any("budget" in warning for warning in profile.meta()["warnings"])
