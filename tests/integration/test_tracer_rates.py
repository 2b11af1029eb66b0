# SPDX-License-Identifier: MIT
"""Calls of targets that a rate leaves out: which they are, and that they cost the program nothing."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from oracle.targets import HOOKS, calls, leaf, measured, no_session_left, target_of

from hybridprof import _core

__all__ = ["no_session_left"]


def handled() -> int:
    tracing = _core.status()["tracing"]
    return tracing["events"] + tracing["gated"]


# --- what they cost -------------------------------------------------------------------------------------------------------------------


def test_a_call_that_is_left_out_has_no_profile_function_and_no_event() -> None:
    inside: list[bool] = []

    def long() -> None:
        inside.append(sys.getprofile() is not None)
        for _ in range(100):
            leaf()

    _core.start(rate=0, seed=3)
    target = target_of(long, 0.05)
    target()
    before = handled()
    for _ in range(400):
        target()
    chosen = calls()["test_a_call_that_is_left_out_has_no_profile_function_and_no_event.<locals>.long"]
    assert 0 < chosen < 50
    assert _core.status()["tracing"]["skipped"] + chosen == 401
    assert calls()["leaf"] == 100 * chosen
    if _core.needs_wrapper(long.__code__):
        assert handled() - before < chosen * 250
        assert sum(inside) == chosen
    assert sys.getprofile() is None


def test_after_its_limit_of_events_a_call_has_no_profile_function_either() -> None:
    inside: list[bool] = []

    def deepens(depth: int) -> None:
        for _ in range(100):
            leaf()
        inside.append(sys.getprofile() is not None)
        if depth:
            target(depth - 1)

    _core.start(rate=0, event_limit=50)
    target = target_of(deepens)
    target(5)
    assert inside == [False] * 6
    target(5)
    assert inside == [False] * 12
    assert _core.status()["tracing"]["calls"] < 2 * 50


# --- which they are -------------------------------------------------------------------------------------------------------------------


@HOOKS
def test_calls_beneath_one_that_is_left_out_are_not_asked(hook: str) -> None:
    targets: list[Callable[[int], None]] = []

    def between(depth: int) -> None:
        targets[0](depth - 1)

    def recursive(depth: int) -> None:
        if depth % 2:
            targets[0](depth - 1)
        elif depth:
            between(depth)

    _core.start(rate=0, hook=hook, seed=7)
    targets.append(target_of(recursive, 0.25))
    for _ in range(2000):
        targets[0](5)
    name = "test_calls_beneath_one_that_is_left_out_are_not_asked.<locals>.recursive"
    assert calls()[name] % 6 == 0  # all of an outermost call or nothing
    assert _core.status()["tracing"]["skipped"] == 2000 - calls()[name] // 6
    assert abs(calls()[name] / 6 - 500) < 5 * math.sqrt(2000 * 0.25 * 0.75)
    assert measured()[name] == "mixed"


@HOOKS
def test_another_target_beneath_one_that_is_left_out_is_traced(hook: str) -> None:
    def inner() -> None:
        leaf()

    def outer() -> None:
        traced()
        leaf()

    _core.start(rate=0, hook=hook, seed=5)
    traced = target_of(inner)
    target = target_of(outer, 1e-9)
    for _ in range(20):
        target()
    prefix = "test_another_target_beneath_one_that_is_left_out_is_traced.<locals>."
    assert calls() == {prefix + "inner": 20, "leaf": 20}
    assert measured()[prefix + "inner"] == "exact"


@HOOKS
def test_a_call_that_is_left_out_may_fail_or_raise(hook: str) -> None:
    def picky(value: int) -> None:
        raise ValueError(value)

    _core.start(rate=0, hook=hook, seed=9)
    target = target_of(picky, 0.5)
    for number in range(200):
        with pytest.raises(TypeError):
            target()
        with pytest.raises(ValueError, match=str(number)):
            target(number)
    name = "test_a_call_that_is_left_out_may_fail_or_raise.<locals>.picky"
    assert 50 < calls()[name] < 150


# --- chance ---------------------------------------------------------------------------------------------------------------------------


def first_draws(seed: int, rate: float, count: int = 3) -> tuple[bool, ...]:
    """Which of the first calls are traced."""

    def drawn() -> None:
        pass

    _core.start(rate=0, seed=seed)
    target = target_of(drawn, rate)
    found = [0]
    for _ in range(count):
        target()
        found.append(_core.status()["tracing"]["calls"])
    _core.stop()
    _core.remove_target(drawn.__code__)
    return tuple(after > before for before, after in zip(found, found[1:], strict=False))


SEEDS = 250


@pytest.mark.parametrize("rate", [0.001, 0.5])
def test_the_first_calls_are_chosen_by_chance_whatever_the_seed(rate: float) -> None:
    """More seeds, rates and draws: tests/c/test_chance.c. A session takes its time."""
    draws = [first_draws(seed, rate) for seed in range(1, SEEDS + 1)]
    most = 5 * math.sqrt(SEEDS * rate * (1 - rate)) + 1
    assert [abs(sum(draw[i] for draw in draws) - SEEDS * rate) < most for i in range(3)] == [True] * 3


def test_seeds_side_by_side_have_nothing_in_common() -> None:
    sequences = Counter(first_draws(seed, 0.5, 40) for seed in range(1, 21))
    assert len(sequences) == 20


def test_equal_seeds_give_equal_runs() -> None:
    assert first_draws(12, 0.5, 40) == first_draws(12, 0.5, 40)
