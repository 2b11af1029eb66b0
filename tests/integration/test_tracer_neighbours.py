# SPDX-License-Identifier: MIT
"""The tracer beside other tools: profile functions, monitoring tools, tool ids that are taken."""

from __future__ import annotations

import cProfile
import os
import sys
import threading
import time
from typing import Any

import pytest
from controlled import until
from oracle import traced
from oracle.targets import HOOKS, branch, calls, leaf, measured, no_session_left, target_of

import hybridprof
from hybridprof import _core

__all__ = ["no_session_left"]


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
        assert monitoring.get_tool(4) is None  # the one that ddtrace wants
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

    def test_a_function_that_no_target_calls_is_left_alone_once_the_target_has_returned(self) -> None:
        """Discovery's callback tells of itself: while a function is in sight, each call of it is an event of the tracer's second tool."""
        monitoring = sys.monitoring  # type: ignore[attr-defined]
        _core.start(rate=0)
        target = target_of(branch)
        target()

        def elsewhere() -> None:
            pass

        seen: list[str] = []
        real = monitoring.register_callback(5, monitoring.events.PY_START, None)

        def watch(code: Any, offset: int) -> Any:
            seen.append(code.co_name)
            return real(code, offset)

        elsewhere()
        monitoring.register_callback(5, monitoring.events.PY_START, real)
        monitoring.register_callback(5, monitoring.events.PY_START, watch)
        for _ in range(50):
            elsewhere()
        monitoring.register_callback(5, monitoring.events.PY_START, real)
        assert seen.count("elsewhere") <= 1

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


# --- what comes in between ------------------------------------------------------------------------------------------------------------


def watch_nothing(_frame: object, _event: str, _argument: object) -> None:
    pass


@HOOKS
def test_a_profile_function_that_is_set_within_a_target(hook: str) -> None:
    """Nobody sees the target's call end: its clock must not run on, and the next call is traced again."""

    def outer(disturb: bool) -> None:
        leaf()
        if disturb:
            sys.setprofile(watch_nothing)
        leaf()

    _core.start(rate=0, hook=hook)
    target = target_of(outer)
    try:
        target(True)
        time.sleep(0.3)  # nobody's
    finally:
        sys.setprofile(None)
    profile = _core.snapshot()  # looks after the hook
    assert sum(thread["exact_ns"] for thread in profile.threads()) < 0.2e9
    target(False)
    expected = {"monitoring": 4, "setprofile": 3}[hook]
    assert calls() == {"test_a_profile_function_that_is_set_within_a_target.<locals>.outer": 2, "leaf": expected}
    if hook == "setprofile":
        assert any("profile function of another tool" in warning for warning in _core.snapshot().meta()["warnings"])
        assert measured()["leaf"] == "mixed"


@HOOKS
def test_the_last_look_at_what_tracing_costs_ends_what_nobody_saw_end(hook: str) -> None:
    def outer() -> None:
        sys.setprofile(watch_nothing)

    _core.start(rate=0, hook=hook)
    target = target_of(outer)
    try:
        target()
        time.sleep(0.3)  # nobody's
    finally:
        sys.setprofile(None)
    _core.stop()
    assert sum(thread["exact_ns"] for thread in _core.snapshot().threads()) < 0.2e9


@HOOKS
def test_a_profile_function_that_comes_and_goes_within_a_target(hook: str) -> None:
    def outer() -> None:
        leaf()
        sys.setprofile(watch_nothing)
        leaf()
        sys.setprofile(None)
        leaf()

    _core.start(rate=0, hook=hook)
    target = target_of(outer)
    target()
    time.sleep(0.3)
    assert sum(thread["exact_ns"] for thread in _core.snapshot().threads()) < 0.2e9
    assert calls()["leaf"] == {"monitoring": 3, "setprofile": 1}[hook]
    assert calls()["test_a_profile_function_that_comes_and_goes_within_a_target.<locals>.outer"] == 1


def counted_by(profile: cProfile.Profile, name: str) -> int:
    profile.create_stats()
    stats: dict[Any, Any] = profile.stats  # type: ignore[attr-defined]
    return sum(value[1] for key, value in stats.items() if key[2] == name)


@HOOKS
def test_cprofile_within_a_target(hook: str) -> None:
    profile = cProfile.Profile()

    def outer() -> None:
        leaf()
        profile.enable()
        leaf()
        profile.disable()
        leaf()

    _core.start(rate=0, hook=hook)
    target = target_of(outer)
    target()
    assert counted_by(profile, "leaf") == 1
    assert calls()["leaf"] == (3 if "monitoring" in _core.HOOKS else 1)  # where it has the thread's profile function nothing was seen
    target()
    assert calls()["test_cprofile_within_a_target.<locals>.outer"] == 2


@HOOKS
def test_a_target_within_cprofile(hook: str) -> None:
    profile = cProfile.Profile()
    _core.start(rate=0, hook=hook)
    target = target_of(branch)
    profile.runcall(target)
    target()
    assert counted_by(profile, "leaf") == 2
    both = {"branch": 2, "leaf": 4}
    assert calls() == (both if "monitoring" in _core.HOOKS else {"branch": 1, "leaf": 2})


@HOOKS
def test_a_generator_target_beside_a_profile_function(hook: str) -> None:
    """On 3.11 the hook is on for good then, and comes back with the next look."""

    def steps() -> Any:
        yield leaf()
        yield leaf()

    _core.start(rate=0, hook=hook)
    target = target_of(steps)
    assert list(target()) == [None, None]
    sys.setprofile(watch_nothing)
    try:
        list(target())
        _core.snapshot()
        list(target())
    finally:
        sys.setprofile(None)
    _core.snapshot()
    list(target())
    expected = {"monitoring": 4, "setprofile": 2}[hook]
    assert calls() == {"test_a_generator_target_beside_a_profile_function.<locals>.steps": expected, "leaf": 2 * expected}
    assert any("profile function" in warning for warning in _core.snapshot().meta()["warnings"]) == (hook == "setprofile")


# --- functions that are given other code --------------------------------------------------------------------------------------------


def give_other_code(function: Any) -> None:
    """As line_profiler does: made from its own, with all tools' local events."""
    code = function.__code__.replace()
    for tool in range(6) if "monitoring" in _core.HOOKS else ():
        try:
            sys.monitoring.set_local_events(tool, code, sys.monitoring.get_local_events(tool, function.__code__))
        except ValueError:
            continue  # nobody's id
    function.__code__ = code


def test_a_target_that_is_given_other_code_stays_one() -> None:
    def outer() -> None:
        leaf()

    name = "test_a_target_that_is_given_other_code_stays_one.<locals>.outer"
    original = outer.__code__
    _core.start(rate=0)
    target = target_of(outer)
    target()
    give_other_code(outer)
    target()
    give_other_code(outer)
    target()
    assert calls() == {name: 3, "leaf": 3}
    _core.remove_target(original)
    target()
    assert calls() == {name: 3, "leaf": 3}


def test_what_a_target_calls_is_given_other_code() -> None:
    """Its calls count once, though they carry the events that were copied."""

    def inner() -> None:
        pass

    def outer() -> None:
        inner()

    name = "test_what_a_target_calls_is_given_other_code.<locals>."
    _core.start(rate=0)
    target = target_of(outer)
    for times in range(1, 4):
        target()
        assert calls() == {name + "outer": times, name + "inner": times}
        give_other_code(inner)


def test_a_marked_function_that_was_given_other_code_before_the_session() -> None:
    def outer() -> None:
        leaf()

    marked = hybridprof.deep(outer)
    give_other_code(outer)
    with hybridprof.Profiler(rate=0):
        marked()
        assert calls()["leaf"] == 1
    give_other_code(outer)
    with hybridprof.Profiler(rate=0):
        marked()
        assert calls()["leaf"] == 1


def test_a_thread_that_ends_without_its_hook() -> None:
    """Its call has what had passed with its last event, whenever somebody asks."""

    def last_heard() -> None:
        leaf()
        sys.setprofile(None)

    _core.start(rate=0, hook="setprofile")
    target = target_of(last_heard)
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    until(lambda: not os.path.exists(f"/proc/self/task/{thread.native_id}"))

    def total_ns() -> int:
        return next(row[8] for row in _core.snapshot().functions() if row[0].endswith("last_heard"))

    first = total_ns()
    time.sleep(0.05)
    assert total_ns() == first < 50_000_000
    assert calls()["leaf"] == 1
