# SPDX-License-Identifier: MIT
"""A budget for tracing: held by tracing fewer calls, said in the profile."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hybridprof
from hybridprof import _core

spares_functions = pytest.mark.skipif("monitoring" not in _core.HOOKS, reason="a profile function cannot spare one function")


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
    assert not [sentence for sentence in profile.meta["warnings"] if "budget" in sentence or "left" in sentence]


@pytest.mark.parametrize("budget", [-1.0, 101.0, float("nan")])
def test_bad_budgets_are_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="budget"):
        hybridprof.Profiler(budget=budget)


def tiny(number: int) -> int:
    return number + 1


def long_call(seconds: float) -> int:
    calls = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number in range(1000):
            tiny(number)
        calls += 1000
    return calls


def profiled(
    function: Callable[..., int], target: Callable[..., int], *arguments: object, **options: Any
) -> tuple[hybridprof.Profile, int]:
    hybridprof.deep(target)
    try:
        with hybridprof.Profiler(rate=0, **options) as profiler:
            result = function(*arguments)
    finally:
        _core.remove_target(target.__code__)
    assert profiler.profile is not None
    return profiler.profile, result


def warned(profile: hybridprof.Profile, words: str) -> bool:
    return any(words in warning for warning in profile.meta["warnings"])


@spares_functions
def test_a_tiny_function_in_a_call_that_lasts_is_left_to_the_sampler() -> None:
    profile, calls = profiled(long_call, long_call, 1.5, budget=2.0)
    row, outer = row_of(profile, "tiny"), row_of(profile, "long_call")
    assert row.calls is not None and 0 < row.calls < calls / 5
    assert row.measured == "mixed"
    assert (outer.calls, outer.measured) == (1, "exact")
    assert warned(profile, "left to the sampler") and not warned(profile, "only a share")
    assert profile.meta["tracing"]["overhead_ns"] <= 0.02 * 1.5e9 * 2


@spares_functions
def test_one_that_is_called_from_elsewhere_costs_too() -> None:
    def shared() -> int:
        target(1)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            for number in range(1000):
                leaf(number)
        gated = _core.status()["tracing"]["gated"]
        for number in range(50_000):
            leaf(number)
        return int(_core.status()["tracing"]["gated"] - gated)

    profile, gated_at_the_end = profiled(shared, target, budget=1.0)
    assert gated_at_the_end < 1000  # it has no events any more, or 100,000 had met a closed gate
    assert warned(profile, "left to the sampler")
    assert row_of(profile, "leaf").measured == "mixed"


@spares_functions
def test_functions_get_their_events_back() -> None:
    def phases() -> int:
        long_call(0.5)
        time.sleep(0)
        end = time.monotonic() + 4.5
        while time.monotonic() < end:  # the target goes on being called, and costs little
            time.sleep(0.02)
            long_call(0)
        before = calls_of("tiny")
        for _ in range(5):
            quiet(7)
        return calls_of("tiny") - before

    def calls_of(name: str) -> int:
        return sum(row[5] or 0 for row in _core.snapshot().functions() if row[0] == name)

    hybridprof.deep(quiet)
    try:
        _profile, counted = profiled(phases, long_call, budget=2.0)
    finally:
        _core.remove_target(quiet.__code__)
    assert counted == 35


def quiet(number: int) -> int:
    return sum(tiny(each) for each in range(number))


def recursive(depth: int, seconds: float = 0.0) -> int:
    end = time.monotonic() + seconds
    while seconds and time.monotonic() < end:
        recursive(depth)
    return 0 if depth == 0 else 1 + recursive(depth - 1)


@pytest.mark.parametrize("hook", _core.HOOKS)
def test_a_call_that_cannot_be_made_cheap_is_cut_short(hook: Any) -> None:
    function = hybridprof.deep(recursive)
    try:
        with hybridprof.Profiler(rate=0, budget=1.0, hook=hook) as profiler:
            function(90, 1.0)
    finally:
        _core.remove_target(recursive.__code__)
    profile = profiler.profile
    assert profile is not None
    assert warned(profile, "the beginning of a call")
    assert profile.meta["tracing"]["truncated"] > 0
    assert profile.meta["tracing"]["overhead_ns"] <= 0.01 * 1e9 * 3
    row = row_of(profile, "recursive")
    assert row.measured == "mixed" and row.calls is not None and row.calls > 90


@spares_functions
def test_time_after_the_events_are_gone_is_the_callers() -> None:
    def calls_then_sleeps() -> int:
        for number in range(300_000):
            tiny(number)
        time.sleep(0.5)
        return 0

    profile, _ = profiled(calls_then_sleeps, calls_then_sleeps, budget=2.0)
    assert warned(profile, "left to the sampler")
    assert row_of(profile, "tiny").self_ns < 0.1e9


@spares_functions
def test_c_functions_that_a_spared_function_calls_are_lower_bounds_too() -> None:
    def calls_c(number: int) -> None:
        if number % 100 == 0:
            abs(number)

    def target_of_c() -> int:
        for number in range(2_000_000):
            calls_c(number)
        return 0

    profile, _ = profiled(target_of_c, target_of_c, budget=5.0, c_calls=True)
    assert warned(profile, "left to the sampler")
    row = row_of(profile, "<built-in method builtins.abs>")
    assert row.calls is not None and row.calls < 20_000 and row.measured == "mixed"


@spares_functions
def test_a_cost_that_many_functions_share() -> None:
    names: dict[str, Any] = {}
    for number in range(300):
        exec(f"def shared_{number}(): pass", names)
    functions = [names[f"shared_{number}"] for number in range(300)]

    def calls_each() -> None:
        for function in functions:
            function()

    def outside() -> int:
        calls_each()
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            for function in functions:
                function()
        gated = _core.status()["tracing"]["gated"]
        for _ in range(100):
            for function in functions:
                function()
        gated = _core.status()["tracing"]["gated"] - gated
        for _ in range(20):
            calls_each()
        return int(gated)

    profile, gated = profiled(outside, calls_each, budget=2.0)
    assert gated < 45_000  # of 60,000 events; a slow build need not spare them all
    (row,) = [row for row in profile.functions if row.name.endswith("calls_each")]
    assert (row.calls, row.measured) == (21, "exact")


@spares_functions
def test_a_spared_function_that_opens_a_block() -> None:
    def hosts(count: int, blocks: bool) -> Iterator[None]:
        if blocks:
            with hybridprof.deep.block("in pieces"):
                time.sleep(0.01)
                yield
                time.sleep(0.05)
        for _ in range(count):
            yield

    with hybridprof.Profiler(rate=0, budget=2.0) as profiler:
        list(hosts(0, True))
        for _ in hosts(500_000, False):
            pass
        for _ in range(5):
            list(hosts(0, True))
    assert profiler.profile is not None
    row = row_of(profiler.profile, "in pieces")
    assert row.calls == 6 and row.total_ns > 6 * 0.055e9


@spares_functions
def test_one_that_died_is_not_exact_in_anothers_place() -> None:
    def run() -> int:
        names: dict[str, Any] = {}
        exec("def mortal(): pass", names)
        repeats(names["mortal"], 1_000_000)
        address = id(names.pop("mortal").__code__)
        for _ in range(50):
            exec("def next_one(): pass", names)
            if id(names["next_one"].__code__) == address:
                break
        repeats(names["next_one"], 3)
        return 0

    def repeats(function: Callable[[], None], count: int) -> None:
        for _ in range(count):
            function()

    profile, _ = profiled(run, run, budget=2.0)
    row = row_of(profile, "mortal")
    assert row.calls is not None and (row.calls == 1_000_000 or row.measured == "mixed")


def test_a_block_of_another_thread_leaves_no_hook_behind() -> None:
    opened, done = threading.Event(), threading.Event()
    left: list[object] = []

    def with_a_block() -> None:
        with hybridprof.deep.block("waits"):
            opened.set()
            done.wait()
        left.append(sys.getprofile())

    function = hybridprof.deep(long_call)
    try:
        with hybridprof.Profiler(rate=0, budget=1.0):
            thread = threading.Thread(target=with_a_block)
            thread.start()
            opened.wait()
            function(0.3)
            done.set()
            thread.join()
    finally:
        _core.remove_target(long_call.__code__)
    assert left == [None]


def empty() -> None:
    pass


def test_a_target_that_is_called_all_the_time_is_left_alone_for_a_while() -> None:
    function = hybridprof.deep(empty)
    try:
        with hybridprof.Profiler(rate=0, budget=2.0) as profiler:
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                for _ in range(1000):
                    function()
            before = _core.status()["tracing"]
            for _ in range(50_000):
                function()
            after = _core.status()["tracing"]
    finally:
        _core.remove_target(empty.__code__)
    assert after["skipped"] - before["skipped"] < 500  # nobody is asked any more, or 50,000 had been left out
    assert after["calls"] - before["calls"] < 500
    profile = profiler.profile
    assert profile is not None
    assert warned(profile, "a target is called so often") and warned(profile, "only a share")
    assert row_of(profile, "empty").measured == "mixed"
    assert profile.meta["tracing"]["overhead_ns"] <= 0.02 * 1.5e9 * 3


@spares_functions
def test_a_target_that_was_left_alone_beneath_another() -> None:
    """Its own extents and its place in others' are closed when its events go, and what it calls hangs beneath the caller that is known."""

    def inner() -> None:
        quiet_leaf()

    def outer(count: int) -> int:
        for _ in range(count):
            inner()
        return 0

    def quiet_leaf() -> None:
        pass

    hybridprof.deep(inner)
    try:
        profile, _ = profiled(lambda: [inner() for _ in range(1_000_000)] and outer(1_000_000), outer, budget=1.0)
    finally:
        _core.remove_target(inner.__code__)
    threads = profile.threads
    assert sum(thread.exact_ns for thread in threads) > 0
    for row in profile.functions:
        assert row.calls is None or row.calls <= 2_000_000
        assert row.total_ns >= row.self_ns


# --- the limit of one call ------------------------------------------------------------------------------------------------------------


def calls_leaves(count: int) -> int:
    for number in range(count):
        tiny(number)
    return count


@pytest.mark.parametrize("hook", _core.HOOKS)
def test_a_call_with_more_events_than_allowed_goes_on_untraced(hook: Any) -> None:
    function = hybridprof.deep(calls_leaves)
    try:
        with hybridprof.Profiler(rate=0, event_limit=1000, hook=hook) as profiler:
            function(100_000)
            function(100)
            function(100_000)
    finally:
        _core.remove_target(calls_leaves.__code__)
    profile = profiler.profile
    assert profile is not None
    row, leaves = row_of(profile, "calls_leaves"), row_of(profile, "tiny")
    assert row.calls == 3
    assert leaves.calls is not None and 2 * 499 + 100 <= leaves.calls <= 2 * 510 + 100
    assert (row.measured, leaves.measured) == ("mixed", "mixed")
    assert profile.meta["tracing"]["truncated"] == 4  # twice the target and the leaf that was one too many
    assert warned(profile, "more events than the limit allows")


@pytest.mark.parametrize("hook", _core.HOOKS)
def test_each_thread_has_a_limit_of_its_own(hook: Any) -> None:
    function = hybridprof.deep(calls_leaves)
    try:
        with hybridprof.Profiler(rate=0, event_limit=100_000, hook=hook) as profiler:
            threads = [threading.Thread(target=function, args=(40_000,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        _core.remove_target(calls_leaves.__code__)
    profile = profiler.profile
    assert profile is not None
    leaves = row_of(profile, "tiny")
    assert (leaves.calls, leaves.measured) == (160_000, "exact")
    assert not [sentence for sentence in profile.meta["warnings"] if "limit" in sentence or "left" in sentence]


def test_recursion_comes_to_the_limit_too() -> None:
    function = hybridprof.deep(recursive)
    try:
        with hybridprof.Profiler(rate=0, event_limit=50) as profiler:
            assert function(200) == 200
    finally:
        _core.remove_target(recursive.__code__)
    assert profiler.profile is not None
    row = row_of(profiler.profile, "recursive")
    assert row.calls is not None and 25 <= row.calls <= 60 and row.measured == "mixed"


@pytest.mark.parametrize("limit", [-1, 2**64])
def test_bad_limits_are_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="event_limit must be from 0"):
        hybridprof.Profiler(event_limit=limit)
