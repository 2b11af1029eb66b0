# SPDX-License-Identifier: MIT
"""The limit of events of one call where the call runs in pieces, and functions that a thread began with among those that the budget may spare."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

import hybridprof
from hybridprof import _core

HOOKS = pytest.mark.parametrize("hook", _core.HOOKS)
LIMIT = 200  # events: a hundred calls, less what asyncio.sleep has in each stretch
CUT = "more events than the limit allows"


def leaf(number: int) -> int:
    return number + 1


async def coroutine(stretches: int, each: int) -> int:
    for _ in range(stretches):
        for number in range(each):
            leaf(number)
        await asyncio.sleep(0)
    return stretches


def generator(stretches: int, each: int) -> Generator[int, None, int]:
    for stretch in range(stretches):
        for number in range(each):
            leaf(number)
        yield stretch
    return stretches


def delegating(stretches: int, each: int) -> Generator[int, None, None]:
    try:
        yield from generator(stretches, each)
    except KeyError:
        for number in range(each):
            leaf(number)
        yield -1


def traced(target: Callable[..., Any], run: Callable[[], object], hook: str, rate: float = 1.0) -> tuple[dict[str, int], list[str]]:
    _core.add_target(target.__code__, rate)
    try:
        with hybridprof.Profiler(rate=0, event_limit=LIMIT, hook=hook, seed=1) as profiler:  # type: ignore[arg-type]
            run()
    finally:
        _core.remove_target(target.__code__)
    rows = {row.name: row.calls for row in profiler.profile.functions if row.calls}
    return rows, [sentence for sentence in profiler.profile.meta["warnings"] if CUT in sentence]


@HOOKS
def test_the_stretches_of_a_coroutine_count_together(hook: str) -> None:
    rows, warnings = traced(coroutine, lambda: asyncio.run(coroutine(100, 10)), hook)
    assert rows["coroutine"] == 1
    assert 30 <= rows["leaf"] <= 100
    assert len(warnings) == 1


@HOOKS
def test_a_call_that_stays_below_is_whole(hook: str) -> None:
    rows, warnings = traced(coroutine, lambda: asyncio.run(coroutine(4, 4)), hook)
    assert (rows["coroutine"], rows["leaf"], warnings) == (1, 16, [])


@HOOKS
def test_each_task_has_its_own_limit(hook: str) -> None:
    async def several() -> None:
        await asyncio.gather(*(coroutine(6, 2) for _ in range(10)))

    rows, warnings = traced(coroutine, lambda: asyncio.run(several()), hook)
    assert (rows["coroutine"], rows["leaf"], warnings) == (10, 120, [])


@HOOKS
def test_only_the_task_with_too_many_is_cut(hook: str) -> None:
    async def several() -> None:
        await asyncio.gather(coroutine(6, 2), coroutine(20, 20), coroutine(6, 2))

    rows, warnings = traced(coroutine, lambda: asyncio.run(several()), hook)
    assert rows["coroutine"] == 3
    assert 24 + 50 <= rows["leaf"] <= 24 + 100
    assert len(warnings) == 1


@HOOKS
def test_a_generator_too_and_its_next_call_begins_anew(hook: str) -> None:
    def run() -> None:
        for _ in range(3):
            assert list(generator(50, 4)) == list(range(50))

    rows, _ = traced(generator, run, hook)
    assert rows["generator"] == 3
    assert 3 * 60 <= rows["leaf"] <= 3 * 100


@HOOKS
def test_a_throw_into_a_call_that_came_to_its_limit_is_not_traced(hook: str) -> None:
    def run() -> None:
        steps = delegating(50, 30)
        for _ in range(5):
            next(steps)
        assert steps.throw(KeyError("the program's")) == -1
        assert list(steps) == []

    rows, _ = traced(delegating, run, hook)
    assert 60 <= rows["leaf"] <= 105


@HOOKS
def test_with_a_rate_the_chosen_calls_have_the_limit(hook: str) -> None:
    def run() -> None:
        for _ in range(40):
            list(generator(10, 20))

    rows, _ = traced(generator, run, hook, rate=0.5)
    assert 5 <= rows["generator"] <= 35
    assert 60 * rows["generator"] <= rows["leaf"] <= 105 * rows["generator"]


# --- functions that threads begin with ----------------------------------------------------------------------------------------------------


def hot(number: object) -> object:
    return number if type(number) is int else leaf(1)


def calls(seconds: float) -> int:
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for number in range(1000):
            hot(number)
        count += 1000
    return count


def wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        leaf(1)
        time.sleep(0.01)


@pytest.fixture
def in_thread() -> Callable[[], None]:
    import _thread

    def begin() -> None:
        """A thread whose first Python function is `hot`."""
        ended = threading.Lock()
        ended.acquire()

        class Ends:
            def __del__(self) -> None:
                ended.release()

        _thread.start_new_thread(hot, (Ends(),))
        assert ended.acquire(timeout=20)

    return begin


@pytest.mark.skipif("monitoring" not in _core.HOOKS, reason="3.11 cannot spare single functions")
def test_a_function_that_a_thread_once_began_with_can_be_spared(in_thread: Callable[[], None]) -> None:
    with hybridprof.Profiler(rate=0, deep="auto", budget=0.5) as profiler:
        in_thread()
        wait(1.5)
        true = calls(1.0)
        before = {row.name: row.calls for row in profiler.profile.functions}["hot"] or 0
        in_thread()  # it has its events back, and its end is seen
        wait(0.1)
        threads = [thread for thread in profiler.profile.threads if thread.exact_ns > 0.5e9 and thread.name != "MainThread"]
    row = next(row for row in profiler.profile.functions if row.name == "hot")
    assert threads == []
    assert row.calls is not None and before <= row.calls < true / 2
    warnings = profiler.profile.meta["warnings"]
    assert any("hot (" in sentence for sentence in warnings), warnings
    assert not any("functions that it cannot spare" in sentence for sentence in warnings), warnings


def plain() -> None:
    pass


def suspended(calls: int) -> Generator[int, None, None]:
    for _ in range(calls):
        plain()
    yield 1
    leaf(1)
    leaf(2)
    yield 2


def beginning() -> Generator[int, None, None]:
    begun = suspended(0)
    next(begun)
    return begun


@pytest.mark.skipif(bool(os.environ.get("HYBRIDPROF_SANITIZED")), reason="address sanitizers give no memory twice")
@HOOKS
def test_a_call_that_came_to_its_limit_is_forgotten_when_it_ends(hook: str) -> None:
    """Another one may get its frame, begin beneath another target and go on alone."""
    met = 0
    for target in (suspended, beginning):
        _core.add_target(target.__code__)
    try:
        _core.start(rate=0, hook=hook, event_limit=20)
        for attempt in range(200):
            limited, spare = suspended(100), suspended(0) if attempt % 2 else None
            next(limited)
            address = id(limited)
            for _ in limited:
                pass
            del limited, spare  # 3.14 makes a frame object for beginning first, of the same size: it gets the spare one's memory
            for begun in [beginning() for _ in range(64)]:  # those before it hold other memory, so that one of them gets the limited one's
                if id(begun) == address:
                    next(begun)
                    met += 1
        rows = {row[0]: row[5] for row in _core.snapshot().functions()}
        assert met >= 10
        assert rows["leaf"] == 2 * met, rows
    finally:
        _core.stop()
        for target in (suspended, beginning):
            _core.remove_target(target.__code__)
