# SPDX-License-Identifier: MIT
"""The budget before Python 3.12: a profile function slows all code of a thread, by its events and between them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import pytest

import hybridprof
from hybridprof import _core

pytestmark = pytest.mark.skipif("monitoring" in _core.HOOKS, reason="from 3.12 on functions have events of their own")

DEADLINE = 60.0  # seconds that no machine needs


def is_on() -> bool:
    return sys.getprofile() is not None


@pytest.fixture(autouse=True)
def no_target_left() -> Iterator[None]:
    yield
    for code, _rate in _core.targets():
        _core.remove_target(code)


def tiny(number: int) -> int:
    return number + 1


def calls_of_c(count: int) -> bool:
    for number in range(count):
        abs(number)
    return is_on()


def loops(count: int) -> bool:
    total = 0
    for number in range(count):
        total += number
    return is_on()


def calls_tiny(count: int) -> None:
    for number in range(count):
        tiny(number)


@pytest.mark.parametrize("c_calls", [False, True])
@pytest.mark.parametrize("function", [calls_of_c, loops])
def test_a_target_without_python_calls_is_held_to_its_budget_too(function: Callable[[int], bool], c_calls: bool) -> None:
    target = hybridprof.deep(function)
    with hybridprof.Profiler(rate=0, budget=0.5, c_calls=c_calls) as profiler:
        end = time.monotonic() + DEADLINE
        share = 1.0
        while share > 0.25 and time.monotonic() < end:
            share = sum(target(5000) for _ in range(400)) / 400
    assert share <= 0.25
    assert any("over its budget" in warning for warning in profiler.profile.meta["warnings"])


def test_one_long_call_of_c_calls_goes_on_without_it() -> None:
    @hybridprof.deep
    def goes_on() -> int:
        end, rounds = time.monotonic() + DEADLINE, 0
        while is_on() and time.monotonic() < end:
            calls_of_c(5000)
            rounds += 1
        return rounds

    with hybridprof.Profiler(rate=0, budget=0.5) as profiler:
        assert goes_on() >= 1
        assert not is_on()
    assert profiler.profile.meta["warnings"]


def test_a_coroutine_target_slows_the_program_for_a_while_only() -> None:
    @hybridprof.deep
    async def handler() -> None:
        tiny(1)

    def handle() -> None:
        with pytest.raises(StopIteration):
            handler().send(None)

    def handled() -> int:
        handle()
        return sum(row[5] or 0 for row in _core.snapshot().functions() if row[2] == "handler")

    with hybridprof.Profiler(rate=0, budget=2) as profiler:
        assert handled() == 1
        assert is_on()
        end = time.monotonic() + DEADLINE
        while is_on() and time.monotonic() < end:
            calls_tiny(1000)
        assert not is_on()
        handle()  # nobody sees it
        assert not is_on()
        before = handled()
        while handled() == before and time.monotonic() < end:
            time.sleep(0.1)
        assert handled() > before
    assert [row.measured for row in profiler.profile.functions if row.name.endswith("handler")] == ["mixed"]
    assert any("slows all code" in warning for warning in profiler.profile.meta["warnings"])


def test_without_a_budget_it_stays_on() -> None:
    @hybridprof.deep
    async def handler() -> None:
        tiny(1)

    with hybridprof.Profiler(rate=0, budget=0):
        with pytest.raises(StopIteration):
            handler().send(None)
        for _ in range(200):
            calls_tiny(1000)
            calls_of_c(1000)
        assert is_on()


def test_a_target_that_waits_is_not_charged_for_it() -> None:
    """It has the function on all of the time, and hardly any CPU time."""

    @hybridprof.deep
    def waits() -> bool:
        time.sleep(0.02)
        return is_on()

    with hybridprof.Profiler(rate=0, budget=1) as profiler:
        assert all(waits() for _ in range(60))
    assert not any("budget" in warning for warning in profiler.profile.meta["warnings"])


def test_a_target_that_was_left_to_the_sampler_is_given_back() -> None:
    """It has no events meanwhile, so its calls tell that time goes by."""
    target = hybridprof.deep(tiny)
    with hybridprof.Profiler(rate=0, budget=0.05) as profiler:
        end = time.monotonic() + DEADLINE
        while not any("choosing among its calls" in each for each in _core.snapshot().meta()["warnings"]) and time.monotonic() < end:
            for number in range(100_000):
                target(number)
        before = _core.status()["tracing"]["calls"]
        while _core.status()["tracing"]["calls"] == before and time.monotonic() < end:
            target(1)
            time.sleep(0.01)
        assert _core.status()["tracing"]["calls"] > before
    assert any("choosing among its calls" in warning for warning in profiler.profile.meta["warnings"])
