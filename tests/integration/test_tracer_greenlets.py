# SPDX-License-Identifier: MIT
"""Greenlets that are within calls of targets at once: their thread has one profile function for all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from conftest import wheel
from oracle.targets import HOOKS, calls, leaf, measured, no_session_left, target_of

from hybridprof import _core

__all__ = ["no_session_left"]


def waiting_target(rate: float = 1.0) -> tuple[Callable[[], None], str]:
    """Calls leaf once, waits as gevent does, and calls it three times."""
    greenlet = wheel("greenlet")

    def handler() -> None:
        leaf()
        greenlet.getcurrent().parent.switch()
        for _ in range(3):
            leaf()

    return target_of(handler, rate), handler.__qualname__


def run_at_once(target: Callable[[], None], count: int, *, backwards: bool = False) -> None:
    greenlet = wheel("greenlet")
    for _ in range(2):
        tasks = [greenlet.greenlet(target) for _ in range(count)]
        for task in tasks:
            task.switch()
        for task in reversed(tasks) if backwards else tasks:
            task.switch()
        assert all(task.dead for task in tasks)


@HOOKS
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("count", [2, 1000])
def test_calls_of_greenlets_that_interleave_are_whole(hook: str, count: int, backwards: bool) -> None:
    wheel("greenlet")
    _core.start(rate=0, hook=hook)
    target, name = waiting_target()
    run_at_once(target, count, backwards=backwards)
    assert calls()[name] == 2 * count
    assert calls()["leaf"] == 8 * count
    assert measured()[name] == "exact"
    assert _core.status()["tracing"]["truncated"] == 0
    if _core.needs_wrapper(run_at_once.__code__):
        assert sys.getprofile() is None


@HOOKS
def test_greenlets_share_a_thread_with_calls_that_are_left_out(hook: str) -> None:
    wheel("greenlet")
    _core.start(rate=0, hook=hook, seed=21)
    target, name = waiting_target(0.5)
    run_at_once(target, 500)
    chosen = calls()[name]
    assert 350 < chosen < 650
    assert calls()["leaf"] == 4 * chosen
    assert _core.status()["tracing"]["skipped"] == 1000 - chosen
    if _core.needs_wrapper(run_at_once.__code__):
        assert sys.getprofile() is None


@HOOKS
def test_blocks_of_greenlets_that_interleave_are_whole(hook: str) -> None:
    greenlet = wheel("greenlet")

    def body() -> None:
        token = _core.enter_block("request")
        leaf()
        greenlet.getcurrent().parent.switch()
        for _ in range(3):
            leaf()
        _core.leave_block(token)

    _core.start(rate=0, hook=hook)
    run_at_once(body, 50)
    run_at_once(body, 50, backwards=True)
    assert calls()["leaf"] == 4 * 200
    assert calls()["request"] == 200


@HOOKS
def test_a_greenlet_that_dies_in_a_call_leaves_the_thread_as_it_was(hook: str) -> None:
    greenlet = wheel("greenlet")
    _core.start(rate=0, hook=hook)
    target, name = waiting_target()
    before = sys.getprofile()
    lost = greenlet.greenlet(target)
    lost.switch()
    run_at_once(target, 2)
    del lost  # GreenletExit is raised in it
    assert calls()[name] == 5
    assert calls()["leaf"] == 1 + 4 * 4
    if _core.needs_wrapper(run_at_once.__code__):
        assert (before, sys.getprofile()) == (None, None)
