# SPDX-License-Identifier: MIT
"""Targets, rates, blocks, C calls, times and the life of the tracer, through the product."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from oracle import traced

from hybridprof import _core

HOOKS = pytest.mark.parametrize("hook", _core.HOOKS)


@pytest.fixture(autouse=True)
def no_session_left() -> Iterator[None]:
    yield
    _core.stop()
    _core.trace_everything(False)
    for code, _rate in _core.targets():
        _core.remove_target(code)


def target_of(function: Callable[..., Any], rate: float = 1.0) -> Callable[..., Any]:
    """Makes it a target, as the decorator does."""
    _core.add_target(function.__code__, rate)
    return _core.deep_function(function) if _core.needs_wrapper(function.__code__) else function


def calls() -> Counter[str]:
    return Counter({row[0]: row[5] for row in _core.snapshot().functions() if row[5]})


def edges() -> Counter[tuple[str, str]]:
    profile = _core.snapshot()
    names = [row[0] for row in profile.functions()]
    return Counter({(names[caller], names[callee]): count for caller, callee, count, *_ in profile.edges() if count})


def measured() -> dict[str, str]:
    return {row[0]: row[11] for row in _core.snapshot().functions()}


def leaf(value: object = None) -> object:
    return value


def branch() -> object:
    return leaf(leaf())


# --- targets --------------------------------------------------------------------------------------------------------------------------


@HOOKS
def test_only_what_lies_beneath_targets_is_counted(hook: str) -> None:
    _core.start(rate=0, hook=hook)
    target = target_of(branch)
    leaf()
    target()
    leaf()
    assert calls() == {"branch": 1, "leaf": 2}


@HOOKS
def test_a_removed_target_is_traced_no_more(hook: str) -> None:
    _core.start(rate=0, hook=hook)
    target = target_of(branch)
    target()
    _core.remove_target(branch.__code__)
    target()
    assert calls() == {"branch": 1, "leaf": 2}
    _core.add_target(branch.__code__)
    target()
    assert calls() == {"branch": 2, "leaf": 4}


@HOOKS
def test_a_removed_target_is_found_again_beneath_others(hook: str) -> None:
    def outer() -> None:
        branch()

    _core.start(rate=0, hook=hook)
    target = target_of(outer)
    inner = target_of(branch)
    target()
    inner()
    _core.remove_target(branch.__code__)
    target()
    branch()
    assert (calls()["branch"], calls()["leaf"]) == (3, 6)


@HOOKS
def test_a_target_removed_while_it_runs(hook: str) -> None:
    def outer() -> None:
        leaf()
        _core.remove_target(outer.__code__)
        leaf()

    _core.start(rate=0, hook=hook)
    target_of(outer)()
    leaf()
    assert calls()["leaf"] == 1
    assert _core.snapshot().threads()[0]["exact_ns"] < 10**9


@HOOKS
def test_a_session_stopped_and_started_within_a_target(hook: str) -> None:
    def outer() -> None:
        leaf()
        _core.stop()
        leaf()
        _core.start(rate=0, hook=hook)
        leaf()

    _core.start(rate=0, hook=hook)
    target = target_of(outer)
    target()
    assert calls()["leaf"] == 0
    target()
    target = target_of(branch)
    target()
    assert calls() == {"branch": 1, "leaf": 2}


@HOOKS
def test_the_context_of_a_target_has_no_calls(hook: str) -> None:
    def through() -> None:
        target()

    _core.start(rate=0, hook=hook)
    target = target_of(branch)
    through()
    rows = {row[0]: row for row in _core.snapshot().functions()}
    assert rows["test_the_context_of_a_target_has_no_calls.<locals>.through"][5] is None
    assert rows["test_the_context_of_a_target_has_no_calls.<locals>.through"][7] == 0
    assert ("test_the_context_of_a_target_has_no_calls.<locals>.through", "branch") in edges()


def test_functions_shared_with_a_busy_thread_are_found() -> None:
    """The thread calls them all the time: discovery must not let them go before the target has called them."""
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            leaf()

    def late(call: bool) -> None:
        if call:
            for _ in range(50):
                leaf()

    _core.start(rate=0)
    target = target_of(late)
    thread = threading.Thread(target=busy)
    thread.start()
    try:
        target(False)
        time.sleep(0.02)
        target(True)
        target(True)
    finally:
        stop.set()
        thread.join()
    assert 50 <= calls()["leaf"] <= 100
    assert _core.status()["tracing"]["truncated"] == 0


def test_a_function_met_late_is_a_lower_bound() -> None:
    def sometimes(call: bool) -> None:
        if call:
            leaf()

    _core.start(rate=0)
    target = target_of(sometimes)
    for _ in range(4):
        target(False)
    leaf()
    for _ in range(3):
        target(True)  # the 5th to 7th call: no window is open; whether one of them is missed, it must not be claimed
    for _ in range(2):
        target(True)  # the 8th opens one
    assert 2 <= calls()["leaf"] <= 5
    assert calls()["leaf"] == 5 or measured()["leaf"] == "mixed"


# --- rates ----------------------------------------------------------------------------------------------------------------------------


@HOOKS
def test_rate_chooses_outermost_calls(hook: str) -> None:
    def recursive(depth: int) -> None:
        if depth:
            recursive(depth - 1)

    _core.start(rate=0, hook=hook, seed=7)
    _core.add_target(recursive.__code__, 0.25)
    if _core.needs_wrapper(recursive.__code__):
        inner = recursive
        outermost = _core.deep_function(inner)
    else:
        outermost = recursive
    rounds = 4000
    for _ in range(rounds):
        outermost(3)
    traced_calls = calls()["test_rate_chooses_outermost_calls.<locals>.recursive"]
    assert traced_calls % 4 == 0  # all of an outermost call or nothing
    assert _core.status()["tracing"]["skipped"] == rounds - traced_calls // 4
    assert abs(traced_calls / 4 - rounds / 4) < 5 * (rounds * 0.25 * 0.75) ** 0.5
    assert measured()["test_rate_chooses_outermost_calls.<locals>.recursive"] == "mixed"


@HOOKS
def test_rate_of_a_coroutine_is_decided_once(hook: str) -> None:
    async def work() -> None:
        for _ in range(3):
            leaf()
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(400)))

    _core.start(rate=0, hook=hook, seed=11)
    _core.add_target(work.__code__, 0.5)
    asyncio.run(main())
    counts = calls()
    chosen = counts["test_rate_of_a_coroutine_is_decided_once.<locals>.work"]
    assert 120 < chosen < 280
    assert counts["leaf"] == 3 * chosen
    assert counts["sleep"] == 3 * chosen


# --- blocks ---------------------------------------------------------------------------------------------------------------------------


@HOOKS
def test_what_a_block_calls_hangs_beneath_it(hook: str) -> None:
    _core.start(rate=0, hook=hook)
    leaf()
    token = _core.enter_block("report")
    branch()
    _core.leave_block(token)
    leaf()
    assert calls() == {"report": 1, "branch": 1, "leaf": 2}
    assert edges()["report", "branch"] == 1
    assert edges()["test_what_a_block_calls_hangs_beneath_it", "report"] == 1
    _core.leave_block(token)
    _core.leave_block(987654)
    assert calls() == {"report": 1, "branch": 1, "leaf": 2}


@HOOKS
def test_blocks_leave_in_any_order(hook: str) -> None:
    _core.start(rate=0, hook=hook)
    outer, inner = _core.enter_block("outer"), _core.enter_block("inner")
    leaf()
    _core.leave_block(outer)
    leaf()
    _core.leave_block(inner)
    leaf()
    assert calls() == {"outer": 1, "inner": 1, "leaf": 1}
    assert edges()["outer", "inner"] == 1


@HOOKS
def test_a_block_that_is_never_left_ends_with_its_frame(hook: str) -> None:
    def forgets() -> None:
        _core.enter_block("forgotten")
        leaf()

    _core.start(rate=0, hook=hook)
    forgets()
    leaf()
    leaf()
    assert calls() == {"forgotten": 1, "leaf": 1}


@HOOKS
def test_a_block_follows_its_coroutine(hook: str) -> None:
    async def host(name: str) -> None:
        token = _core.enter_block(name)
        for _ in range(3):
            leaf()
            await asyncio.sleep(0)
        _core.leave_block(token)
        leaf()

    async def main() -> None:
        await asyncio.gather(host("a"), other(), host("b"))

    async def other() -> None:
        for _ in range(5):
            leaf()
            await asyncio.sleep(0)

    _core.start(rate=0, hook=hook)
    asyncio.run(main())
    counts = edges()
    assert (counts["a", "leaf"], counts["b", "leaf"]) == (3, 3)
    assert calls()["leaf"] == 6
    assert calls()["a"] == calls()["b"] == 1


# --- C functions ----------------------------------------------------------------------------------------------------------------------


@HOOKS
def test_c_functions_are_named_as_cprofile_names_them(hook: str) -> None:
    import cProfile
    import pstats

    def work() -> None:
        items = [3, 1, 2]
        len(items)
        items.append(4)
        sorted(items, key=leaf)
        random.random()
        "a".join(["b"])
        ord("a")
        try:
            items.index(99)
        except ValueError:
            items.clear()

    profiler = cProfile.Profile()
    work()
    profiler.runcall(work)
    truth = {name: row[1] for (file, _line, name), row in pstats.Stats(profiler).stats.items() if file == "~"}  # type: ignore[attr-defined]
    truth = {name: count for name, count in truth.items() if "_lsprof" not in name and "cProfile" not in name}
    _core.start(rate=0, hook=hook, c_calls=True)
    target_of(work)()
    rows = {row[0]: row[5] for row in _core.snapshot().functions() if row[13] == "c"}
    assert rows == truth
    assert edges()["<built-in method builtins.sorted>", "leaf"] == 4


# --- times ----------------------------------------------------------------------------------------------------------------------------


@HOOKS
def test_time_suspended_is_nobodys(hook: str) -> None:
    async def waits() -> None:
        await asyncio.sleep(0.05)

    _core.start(rate=0, hook=hook)
    _core.add_target(waits.__code__)
    asyncio.run(waits())
    total = next(row[8] for row in _core.snapshot().functions() if row[0].endswith("waits"))
    assert total < 30_000_000


@HOOKS
@pytest.mark.timing
def test_time_is_that_of_the_clock(hook: str) -> None:
    def sleeps() -> None:
        time.sleep(0.05)

    def outer() -> None:
        sleeps()
        time.sleep(0.02)

    _core.start(rate=0, hook=hook)
    target = target_of(outer)
    began = time.perf_counter_ns()
    target()
    elapsed = time.perf_counter_ns() - began
    rows = {row[0].rsplit(".", 1)[-1]: row for row in _core.snapshot().functions()}
    assert 50_000_000 <= rows["sleeps"][7] <= elapsed - 20_000_000
    assert rows["outer"][7] >= 20_000_000
    assert 70_000_000 <= rows["outer"][8] <= elapsed * 1.001


@HOOKS
@pytest.mark.timing
def test_what_tracing_costs_is_taken_out(hook: str) -> None:
    """An empty call takes about as long traced as bare: the rest is overhead, and is called so."""

    def empty() -> None:
        pass

    def call_heavy(count: int) -> None:
        for _ in range(count):
            empty()

    def bare_time() -> int:
        began = time.perf_counter_ns()
        call_heavy(count)
        return time.perf_counter_ns() - began

    def total() -> int:
        return next((row[8] for row in _core.snapshot().functions() if row[0].endswith("call_heavy")), 0)

    count = 1000  # so short that most rounds are not preempted
    bare = min(bare_time() for _ in range(50))
    _core.start(rate=0, hook=hook)
    target = target_of(call_heavy)
    totals = [total()]
    for _ in range(50):
        target(count)
        totals.append(total())
    corrected = min(after - before for before, after in itertools.pairwise(totals))
    overhead = _core.status()["tracing"]["overhead_ns"]
    assert 0.4 * bare < corrected < 2.0 * bare
    assert overhead > 10 * 50 * count  # ns: no hook is cheaper than 10 ns


# --- threads, processes, limits -----------------------------------------------------------------------------------------------------


@HOOKS
def test_threads_that_come_and_go(hook: str) -> None:
    _core.start(rate=0, hook=hook)
    target = target_of(branch)
    for _ in range(60):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert calls() == {"branch": 60, "leaf": 120}


@HOOKS
def test_the_limit_of_recursion(hook: str) -> None:
    depth = 0

    def endless() -> None:
        nonlocal depth
        depth += 1
        endless()

    def outer() -> None:
        with pytest.raises(RecursionError):
            endless()

    _core.start(rate=0, hook=hook)
    target_of(outer)()
    assert calls()["test_the_limit_of_recursion.<locals>.endless"] in (depth, depth + 1)
    assert _core.status()["tracing"]["truncated"] == 0


@HOOKS
def test_deep_recursion(hook: str) -> None:
    def down(depth: int) -> None:
        if depth:
            down(depth - 1)

    limit = sys.getrecursionlimit()
    depth = 20_000
    _core.start(rate=0, hook=hook)
    target = target_of(down)
    sys.setrecursionlimit(depth + 1000)
    try:
        target(depth)
    finally:
        sys.setrecursionlimit(limit)
    assert calls()["test_deep_recursion.<locals>.down"] == depth + 1


@HOOKS
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_starts_anew(hook: str) -> None:
    def forks() -> int:
        leaf()
        child = os.fork()
        if child == 0:
            leaf()
            counted = {row[0]: row[5] for row in _core.snapshot().functions() if row[5]} if _core.running() else {}
            os._exit(0 if counted.get("leaf", 0) <= 1 else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    _core.start(rate=0, hook=hook)
    assert target_of(forks)() == 0
    assert calls()["leaf"] == 1


# --- other tools --------------------------------------------------------------------------------------------------------------------


@HOOKS
def test_the_programs_own_profile_function_stays(hook: str) -> None:
    seen: list[str] = []

    def watch(frame: Any, event: str, _argument: object) -> None:
        if event == "call":
            seen.append(frame.f_code.co_name)

    sys.setprofile(watch)
    try:
        _core.start(rate=0, hook=hook)
        target = target_of(branch)
        target()
        assert sys.getprofile() is watch
    finally:
        sys.setprofile(None)
    assert seen.count("leaf") >= 2
    if hook == "setprofile":
        assert any("profile function of another tool" in warning for warning in _core.snapshot().meta()["warnings"])
    else:
        assert calls() == {"branch": 1, "leaf": 2}


@pytest.mark.skipif("monitoring" not in _core.HOOKS, reason="sys.monitoring came with 3.12")
class TestMonitoring:
    def test_without_tool_ids_setprofile_takes_over(self) -> None:
        monitoring = sys.monitoring  # type: ignore[attr-defined]
        for tool in (3, 4):
            monitoring.use_tool_id(tool, "somebody")
        try:
            _core.start(rate=0)
            target_of(branch)()
            assert _core.status()["tracer_hook"] == "setprofile"
            assert calls() == {"branch": 1, "leaf": 2}
            assert any("tool ids" in warning for warning in _core.snapshot().meta()["warnings"])
        finally:
            for tool in (3, 4):
                monitoring.free_tool_id(tool)

    def test_ids_and_events_are_given_back(self) -> None:
        monitoring = sys.monitoring  # type: ignore[attr-defined]
        _core.start(rate=0)
        target_of(branch)()
        assert monitoring.get_tool(3) == "hybridprof"
        _core.stop()
        assert [monitoring.get_tool(tool) for tool in (3, 4, 5)] == [None, None, None]
        monitoring.use_tool_id(3, "next")
        try:
            assert monitoring.get_local_events(3, branch.__code__) == 0
            assert monitoring.get_events(3) == 0
        finally:
            monitoring.free_tool_id(3)

    def test_an_id_that_another_tool_freed_is_taken_again(self) -> None:
        monitoring = sys.monitoring  # type: ignore[attr-defined]
        _core.start(rate=0)
        target = target_of(branch)
        target()
        monitoring.free_tool_id(3)
        _core.snapshot()
        target()
        assert calls() == {"branch": 2, "leaf": 4}

    def test_coverage_like_tools_keep_working(self) -> None:
        monitoring = sys.monitoring  # type: ignore[attr-defined]
        lines: list[int] = []
        monitoring.use_tool_id(monitoring.COVERAGE_ID, "lines")
        try:
            monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, lambda _code, line: lines.append(line))
            monitoring.set_local_events(monitoring.COVERAGE_ID, leaf.__code__, monitoring.events.LINE)
            _core.start(rate=0)
            target_of(branch)()
            assert len(lines) == 2
            assert calls() == {"branch": 1, "leaf": 2}
        finally:
            monitoring.set_local_events(monitoring.COVERAGE_ID, leaf.__code__, 0)
            monitoring.free_tool_id(monitoring.COVERAGE_ID)

    def test_nothing_global_is_switched_for_a_call(self) -> None:
        """A change of global events has all code instrumented anew; 3.13.0 allows 2**24 of them."""
        _core.start(rate=0)
        target = target_of(branch)
        for _ in range(5000):
            target()
        learned = _core.status()["tracing"]["learned"]
        began = time.perf_counter_ns()
        for _ in range(5000):
            target()
        assert (time.perf_counter_ns() - began) / 5000 < 100_000
        assert _core.status()["tracing"]["learned"] == learned
        assert calls() == {"branch": 10_000, "leaf": 20_000}


def test_hook_monitoring_is_refused_where_there_is_none() -> None:
    if "monitoring" in _core.HOOKS:
        with traced.session("monitoring", [branch.__code__]):
            branch()
    else:
        with pytest.raises((RuntimeError, ValueError), match="monitoring"):
            _core.start(rate=0, hook="monitoring")


@HOOKS
def test_greenlets_have_stacks_of_their_own(hook: str) -> None:
    greenlet = pytest.importorskip("greenlet")

    def beneath() -> None:
        for _ in range(3):
            leaf()
            others.switch()
        leaf()

    def elsewhere() -> None:
        while True:
            branch()
            leaf()
            main.switch()

    def switching() -> None:
        beneath()

    _core.start(rate=0, hook=hook)
    target = target_of(switching)
    main, others = greenlet.getcurrent(), greenlet.greenlet(elsewhere)
    target()
    target()
    branch()
    counts = calls()
    prefix = "test_greenlets_have_stacks_of_their_own.<locals>."
    assert counts == {prefix + "switching": 2, prefix + "beneath": 2, "leaf": 8}
    assert edges()[prefix + "beneath", "leaf"] == 8


@HOOKS
def test_greenlets_in_a_whole_program(hook: str) -> None:
    greenlet = pytest.importorskip("greenlet")

    def elsewhere() -> None:
        while True:
            branch()
            main.switch()

    def switching() -> None:
        leaf()
        others.switch()
        branch()

    main, others = greenlet.getcurrent(), greenlet.greenlet(elsewhere)
    _core.start(rate=0, hook=hook)
    _core.trace_everything(True)
    switching()
    switching()
    counts = calls()
    prefix = "test_greenlets_in_a_whole_program.<locals>."
    assert (counts[prefix + "switching"], counts[prefix + "elsewhere"], counts["branch"], counts["leaf"]) == (2, 1, 4, 10)
    assert edges()[prefix + "elsewhere", "branch"] == 2
    assert edges()[prefix + "switching", "branch"] == 2
