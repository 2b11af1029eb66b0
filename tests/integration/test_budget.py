# SPDX-License-Identifier: MIT
"""A budget for tracing: held by tracing fewer calls, said in the profile."""

import time
from collections.abc import Callable

import pytest

import hybridprof
from hybridprof import _core


def leaf(number: int) -> int:
    return number + 1


def target(number: int) -> int:
    for _ in range(20):
        number = leaf(number)
    return number


def rounds(seconds: float, function: Callable[[int], int]) -> int:
    calls = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number in range(100):
            function(number)
        calls += 100
    return calls


def traced(budget: float) -> tuple[hybridprof.Profile, int]:
    function = hybridprof.deep(target)
    try:
        with hybridprof.Profiler(rate=0, budget=budget) as profiler:
            calls = rounds(1.6, function)
    finally:
        _core.remove_target(target.__code__)
    assert profiler.profile is not None
    return profiler.profile, calls


def row_of(profile: hybridprof.Profile, name: str) -> hybridprof.Function:
    (row,) = [row for row in profile.functions if row.name == name]
    return row


def test_over_the_budget_fewer_calls_are_traced_and_the_profile_says_so() -> None:
    profile, calls = traced(budget=2.0)
    row = row_of(profile, "target")
    assert row.calls is not None and 0 < row.calls < calls
    assert row.measured == "mixed"
    assert any("budget" in warning for warning in profile.meta["warnings"])
    # The first window, a quarter of a second, runs unchecked, and all of it may go; what follows keeps to 2 %.
    spent = profile.meta["tracing"]["overhead_ns"]
    assert spent <= 0.02 * 1.6e9 * 2 + 0.25e9


def test_within_the_budget_every_call_is_traced() -> None:
    profile, calls = traced(budget=100.0)
    row = row_of(profile, "target")
    assert (row.calls, row.measured) == (calls, "exact")
    assert profile.meta["warnings"] == []


@pytest.mark.parametrize("budget", [-1.0, 101.0, float("nan")])
def test_bad_budgets_are_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="budget"):
        hybridprof.Profiler(budget=budget)


def test_a_whole_program_cannot_have_one() -> None:
    with pytest.raises(ValueError, match="whole program"):
        hybridprof.Profiler(budget=2.0, deep=["*"])
