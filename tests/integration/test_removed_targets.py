# SPDX-License-Identifier: MIT
"""A target goes while others stay: what both call is counted on, and where calls were missed the counts say so."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import pytest
from oracle.targets import HOOKS, calls, measured, no_session_left, target_of

from hybridprof import _core, deep

__all__ = ["no_session_left"]

MONITORING = pytest.mark.skipif("monitoring" not in _core.HOOKS, reason="sys.monitoring came with 3.12")
CALLED = 0


def shared() -> None:
    global CALLED
    CALLED += 1


def goes() -> None:
    shared()


def stays(count: int, between: Callable[[], None] = lambda: None) -> None:
    for number in range(count):
        if number == 4:
            between()
        shared()


def suspended(count: int) -> Iterator[None]:
    yield
    for _ in range(count):
        shared()
    yield


def goes_away() -> None:
    _core.remove_target(goes.__code__)


def stays_away() -> None:
    _core.remove_target(stays.__code__)


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    global CALLED
    CALLED = 0


def is_told_truly() -> bool:
    """All of its calls, or a lower bound that says that it is one."""
    name = shared.__qualname__
    return calls()[name] == CALLED or (calls()[name] < CALLED and measured()[name] == "mixed")


@HOOKS
@pytest.mark.parametrize("between", [goes_away, _core.forget_beneath], ids=["removed", "forgotten"])
def test_a_call_that_runs_meanwhile_misses_nothing(hook: str, between: Callable[[], None]) -> None:
    _core.start(rate=0, hook=hook)
    going, staying = target_of(goes), target_of(stays)
    going()
    staying(10, between)
    staying(10)
    _core.stop()
    assert calls()[shared.__qualname__] == CALLED == 21
    assert measured()[shared.__qualname__] == "exact"


@HOOKS
def test_a_call_that_is_suspended_meanwhile_misses_nothing(hook: str) -> None:
    _core.start(rate=0, hook=hook)
    going, staying = target_of(goes), target_of(suspended)
    going()
    iterator = staying(10)
    next(iterator)
    goes_away()
    assert len(list(iterator)) == 1
    _core.stop()
    assert calls()[shared.__qualname__] == CALLED == 11


@HOOKS
def test_calls_that_come_too_soon_to_be_watched_are_no_exact_count(hook: str) -> None:
    _core.start(rate=0, hook=hook)
    going, staying = target_of(goes), target_of(stays)
    for _ in range(40):  # the windows that may follow each other at once are used up
        going()
        staying(1)
    goes_away()
    for _ in range(3):
        staying(1)
    _core.stop()
    assert is_told_truly()


@HOOKS
def test_what_is_first_met_while_a_call_is_suspended_may_be_missed_by_it(hook: str) -> None:
    _core.start(rate=0, hook=hook)
    staying = target_of(suspended)
    iterator = staying(5)
    next(iterator)
    time.sleep(1.05)  # until then what is met is kept in sight
    shared()  # beneath nothing
    assert len(list(iterator)) == len(list(staying(5))) - 1 == 1
    _core.stop()
    global CALLED
    CALLED -= 1
    assert is_told_truly()


def events_of_all_code() -> int:
    """Of the three tool ids that nobody else may count on."""
    return sum(sys.monitoring.get_events(tool) for tool in (3, 4, 5) if str(sys.monitoring.get_tool(tool)).startswith("hybridprof"))


@MONITORING
@pytest.mark.parametrize("ends", ["before", "meanwhile", "suspended"])
def test_nothing_is_on_for_all_code_once_the_last_target_has_gone(ends: str) -> None:
    """When its last call is over; and a target that comes later is counted like the first."""
    _core.start(rate=0)
    going, iterator = target_of(stays), iter(())
    going(5)
    assert events_of_all_code() != 0
    if ends == "suspended":
        iterator = target_of(suspended)(3)
        next(iterator)
        _core.remove_target(suspended.__code__)
    if ends == "meanwhile":
        going(5, stays_away)
    else:
        stays_away()
    list(iterator)
    eval("lambda: 0")()  # by a function that is new it is seen that the call is over
    assert events_of_all_code() == 0
    target_of(goes)()
    _core.stop()
    assert calls()[shared.__qualname__] == {"before": 5, "meanwhile": 5 + 4, "suspended": 5}[ends] + 1
    assert measured()[shared.__qualname__] == "exact"


@MONITORING
def test_nor_once_the_last_block_is_not_wanted_any_more() -> None:
    _core.start(rate=0)
    with deep.block("work"):
        shared()
        _core.forget_beneath()
        assert events_of_all_code() != 0
    eval("lambda: 0")()
    assert events_of_all_code() == 0
    with deep.block("work"):
        shared()
    _core.stop()
    assert calls()[shared.__qualname__] == 2
