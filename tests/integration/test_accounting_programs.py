# SPDX-License-Identifier: MIT
"""The rules of accounting where sampler and tracer are at work at once, on programs of which it is known what was called from where."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import accounting
import pytest
from hypothesis import HealthCheck, given, settings
from integration.test_tracer_random import Writer, functions, module_of, the_same_in_every_run
from oracle.targets import HOOKS, no_session_left, target_of

import hybridprof
from hybridprof import _core
from hybridprof.cli import report, table
from hybridprof.profile import Node

__all__ = ["no_session_left"]

RATE = 5000
INNER, OUTER = 400, 10_000  # turns of a loop beneath a target, and beside it: so long that it is sampled, however busy the machine


def work(turns: int) -> int:
    total = 0
    for number in range(turns):
        total += number * number % 7
    return total


def measured(hook: str, program: Callable[[], object], rate: float = RATE) -> hybridprof.Profile:
    """Whatever the program, no rule is broken."""
    _core.start(rate=rate, hook=hook)  # type: ignore[arg-type]
    try:
        program()
    finally:
        _core.stop()
    profile = hybridprof.snapshot()
    assert accounting.broken(profile) == []
    return profile


def row_of(profile: hybridprof.Profile, name: str) -> hybridprof.Function:
    (row,) = [row for row in profile.functions if row.name.rpartition(".")[2] == name and row.file == __file__]
    return row


def nodes_of(profile: hybridprof.Profile, name: str) -> list[Node]:
    return [node for node in accounting.below(profile.tree) if node.function and node.function.name.rpartition(".")[2] == name]


def contexts(profile: hybridprof.Profile, name: str) -> dict[str, Node]:
    """By caller: the nodes of a function that were called there."""
    found: dict[str, Node] = {}
    for node in nodes_of(profile, name):
        if node.calls and node.parent and node.parent.function:
            caller = node.parent.function.name.rpartition(".")[2]
            assert caller not in found, f"{name} is beneath {caller} twice"
            found[caller] = node
    return found


# --- where a target hangs -------------------------------------------------------------------------------------------------------------------


@HOOKS
def test_a_target_entered_from_five_contexts_hangs_at_all_five(hook: str) -> None:
    def target() -> int:
        return work(INNER)

    marked = target_of(target)

    def one() -> None:
        marked()

    def two() -> None:
        one_again()
        marked()

    def one_again() -> None:
        marked()

    def three() -> list[Any]:
        return [marked() for _ in range(3)]

    class Four:
        def __repr__(self) -> str:
            marked()
            return ""

    def program() -> None:
        for _ in range(200):
            one()
            two()
            three()
            repr(Four())
            marked()
            work(OUTER)

    profile = measured(hook, program)
    found = contexts(profile, "target")
    three_name = "three" if "three" in found else "<listcomp>"  # a comprehension is a function of its own before 3.12
    expected = {"one": 200, "one_again": 200, "two": 200, three_name: 600, "__repr__": 200, "program": 200}
    assert {caller: node.calls for caller, node in found.items()} == expected
    for node in found.values():
        (child,) = [child for child in node.children if child.function and child.function.name == "work"]
        assert child.calls == node.calls
        assert node.measured == "exact" and node.samples == 0
    target_row, work_row = row_of(profile, "target"), row_of(profile, "work")
    assert (target_row.measured, target_row.calls, target_row.total_error_ns) == ("exact", 1600, 0)
    assert work_row.calls == 1600 and work_row.measured == "mixed"  # 200 calls more, which nobody counted
    assert work_row.samples > 0


@HOOKS
def test_recursion_through_targets(hook: str) -> None:
    def target(depth: int) -> None:
        work(INNER)
        if depth:
            between(depth)

    def between(depth: int) -> None:
        marked(depth - 1)

    marked = target_of(target)

    def program() -> None:
        for _ in range(100):
            marked(4)
            work(OUTER)

    profile = measured(hook, program)
    row = row_of(profile, "target")
    assert (row.calls, row.primitive_calls, row.measured) == (500, 100, "exact")
    between_row = row_of(profile, "between")
    assert (between_row.calls, between_row.primitive_calls) == (400, 100)
    assert between_row.total_ns < row.total_ns  # once for each stack: five times nested is not five times the time
    assert row.total_ns <= sum(thread.measured_ns for thread in profile.threads)


@HOOKS
def test_targets_within_targets(hook: str) -> None:
    def inner() -> int:
        return work(INNER)

    def outer() -> None:
        inner_marked()
        work(INNER)

    inner_marked, outer_marked = target_of(inner), target_of(outer)

    def program() -> None:
        for _ in range(150):
            outer_marked()
            inner_marked()
            work(OUTER)

    profile = measured(hook, program)
    assert {caller: node.calls for caller, node in contexts(profile, "inner").items()} == {"outer": 150, "program": 150}
    assert sum(node.calls or 0 for node in nodes_of(profile, "work")) == 450
    inner_row, outer_row = row_of(profile, "inner"), row_of(profile, "outer")
    assert (inner_row.calls, outer_row.calls) == (300, 150)
    assert {inner_row.measured, outer_row.measured} == {"exact"}


@HOOKS
def test_a_generator_leaves_its_extent_and_comes_back(hook: str) -> None:
    """What runs while it is suspended is outside: sampled, and none of its time."""
    calls = 0

    def numbers() -> Iterator[int]:
        while True:
            yield work(INNER)

    def takes(source: Iterator[int]) -> None:
        next(source)

    def takes_too(source: Iterator[int]) -> None:
        next(source)

    marked = target_of(numbers)

    def beside() -> None:
        work(10 * INNER)

    def program() -> None:
        nonlocal calls
        source = marked()
        for _ in range(150):
            takes(source)
            beside()
            takes_too(source)
            beside()
            calls += 2
        source.close()

    profile = measured(hook, program)
    row, beside_row = row_of(profile, "numbers"), row_of(profile, "beside")
    assert row.calls == 1 and row_of(profile, "work").calls == calls
    assert beside_row.calls is None and beside_row.total_ns > 0
    assert row.total_ns < 0.5 * beside_row.total_ns  # a tenth in truth
    callers = {
        node.parent.function.name.rpartition(".")[2] for node in nodes_of(profile, "numbers") if node.parent and node.parent.function
    }
    assert {"takes", "takes_too"} <= callers


@HOOKS
def test_a_thread_that_is_started_beneath_a_target_is_outside(hook: str) -> None:
    """It has a stack of its own, which is not beneath the target's."""

    def in_thread() -> None:
        for _ in range(150):
            work(OUTER)

    def target() -> None:
        thread = threading.Thread(target=in_thread, name="beneath")
        thread.start()
        thread.join()
        work(INNER)

    marked = target_of(target)

    def program() -> None:
        for _ in range(3):
            marked()

    profile = measured(hook, program)
    assert row_of(profile, "target").calls == 3
    assert row_of(profile, "work").calls == 3 and row_of(profile, "work").measured == "mixed"
    in_thread_row = row_of(profile, "in_thread")
    assert in_thread_row.calls is None and in_thread_row.measured == "sampled"
    for thread in profile.threads:
        names = {node.function.name.rpartition(".")[2] for node in accounting.below(thread.root) if node.function} if thread.root else set()
        assert "in_thread" not in names or (thread.exact_ns == 0 and "target" not in names)


@HOOKS
def test_threads_that_end_between_two_samples(hook: str) -> None:
    """Of what such a thread lived only the tracer knows the last part; what was sampled of it comes on top of neither."""

    def target() -> int:
        return work(2 * INNER)

    marked = target_of(target)

    def in_thread() -> None:
        for _ in range(4):
            work(INNER)
            marked()

    def program() -> None:
        for _ in range(40):
            threads = [threading.Thread(target=in_thread) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    profile = measured(hook, program, rate=2000)
    assert row_of(profile, "target").calls == 480
    assert sum(thread.exact_ns > 0 for thread in profile.threads) > 60  # some go on with the record of one that has ended


@HOOKS
@pytest.mark.parametrize("rate", [0, 100])
def test_what_was_traced_in_part_is_a_lower_bound_or_has_an_error(hook: str, rate: float) -> None:
    took = 0.0

    def target() -> None:
        nonlocal took
        began = time.thread_time()
        work(INNER)
        took += time.thread_time() - began

    marked = target_of(target, 0.1)

    def program() -> None:
        for _ in range(100):
            marked()
            work(INNER)

    profile = measured(hook, program, rate=rate)
    row = row_of(profile, "target")
    assert row.measured == "mixed" and 0 < (row.calls or 0) < 100
    assert row.time_lower_bound == (rate == 0)
    assert (row.self_error_ns > 0, row.total_error_ns > 0) == (rate > 0, rate > 0)
    assert rate == 0 or row.total_ns + row.total_error_ns >= 1e9 * took
    assert report.as_json(row)["time_lower_bound"] == (rate == 0)
    said = table.cells(row)
    assert (said[1].endswith("+"), said[3].endswith("+"), bool(said[4])) == (rate == 0, rate == 0, rate > 0)


# --- what is left ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.timing
@HOOKS
def test_the_residual_is_at_most_one_percent_and_stated(hook: str) -> None:
    def target() -> int:
        return work(20 * INNER)

    marked = target_of(target)

    def program() -> None:
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            marked()
            work(2 * OUTER)

    profile = measured(hook, program, rate=1000)
    whole = sum(thread.measured_ns for thread in profile.threads)
    assert abs(profile.residual_ns) <= 0.01 * whole
    assert profile.meta["residual_ns"] == profile.residual_ns
    assert sum(thread.exact_ns for thread in profile.threads) > 0.1 * whole
    assert sum(thread.sampled_ns for thread in profile.threads) > 0.2 * whole


# --- programs that nobody thought of -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::SyntaxWarning")
@HOOKS
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(functions=functions)
def test_a_random_program_under_sampler_and_tracer(hook: str, functions: list[tuple[bool, list[Any]]]) -> None:
    module = module_of(Writer(functions).text())
    chosen = module.f1 if functions[1][0] is False else module.safely
    setattr(module, chosen.__name__, target_of(chosen))

    def program() -> None:
        for _ in range(20):
            module.run()

    try:
        with the_same_in_every_run():
            measured(hook, program, rate=50_000)
    finally:
        _core.remove_target(chosen.__code__)
