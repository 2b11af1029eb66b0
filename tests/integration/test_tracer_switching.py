# SPDX-License-Identifier: MIT
"""When the profile function of 3.11 is on: it slows all code of its thread, so it goes off as soon as nothing needs it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from oracle.targets import branch, calls, leaf, no_session_left, target_of

from hybridprof import _core

__all__ = ["no_session_left"]

pytestmark = pytest.mark.skipif(not _core.needs_wrapper(branch.__code__), reason="it is on for single calls before 3.12 only")


def is_on() -> bool:
    return sys.getprofile() is not None


def in_another_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


async def pieces() -> None:
    leaf()


def test_the_last_target_that_runs_in_pieces_takes_it_along() -> None:
    async def others() -> None:
        leaf()

    _core.start(rate=0)
    target_of(branch)
    assert not is_on()
    _core.add_target(pieces.__code__)
    _core.add_target(pieces.__code__, 0.5)
    _core.add_target(others.__code__)
    assert is_on()
    _core.remove_target(pieces.__code__)
    assert is_on()
    _core.remove_target(others.__code__)
    assert not is_on()
    assert threading.getprofile() is None
    seen: list[bool] = []
    in_another_thread(lambda: seen.append(is_on()))
    assert seen == [False]


def test_a_generator_that_is_met_beneath_a_target_does_not_switch_it_on_for_good() -> None:
    def numbers() -> Iterator[object]:
        yield leaf()
        yield leaf()

    def outer() -> object:
        return list(numbers())

    _core.start(rate=0)
    target = target_of(outer)
    target()
    target()
    assert calls()["leaf"] == 4
    assert not is_on()


def test_a_block_in_a_coroutine_has_it_on_for_as_long_as_it_is_open() -> None:
    inside: list[bool] = []

    async def host() -> None:
        token = _core.enter_block("request")
        leaf()
        await asyncio.sleep(0)
        in_another_thread(lambda: inside.append(is_on()))
        leaf()
        _core.leave_block(token)

    async def two() -> None:
        await asyncio.gather(host(), host())

    _core.start(rate=0)
    for _ in range(3):
        asyncio.run(two())
        assert not is_on()
    assert inside == [True] * 6
    assert (calls()["request"], calls()["leaf"]) == (6, 12)
    assert not any("profile" in name for name in calls())
    _core.add_target(pieces.__code__)
    _core.remove_target(pieces.__code__)
    assert not is_on()


def test_what_switches_it_is_no_call_of_the_program() -> None:
    async def host() -> None:
        token = _core.enter_block("request")
        leaf()
        _core.leave_block(token)

    def outer() -> None:
        coroutine = host()
        with pytest.raises(StopIteration):
            coroutine.send(None)

    _core.start(rate=0)
    target = target_of(outer)
    target()
    target()
    assert not {"getprofile", "setprofile", "_set_profile"} & set(calls())
    assert calls()["leaf"] == 2


def test_calls_that_had_it_on_for_themselves_keep_it() -> None:
    """A coroutine stops being a target while other threads, and this one, are in calls of a plain target."""
    entered, go_on = threading.Event(), threading.Event()

    def outer(waits: bool) -> None:
        leaf()
        if waits:
            entered.set()
            go_on.wait()
        else:
            _core.remove_target(pieces.__code__)
        leaf()

    _core.start(rate=0)
    target = target_of(outer)
    _core.add_target(pieces.__code__)
    thread = threading.Thread(target=target, args=(True,))
    thread.start()
    entered.wait()
    target(False)
    go_on.set()
    thread.join()
    assert calls()["leaf"] == 4
    assert not is_on()
    assert _core.snapshot().meta()["warnings"] == []
