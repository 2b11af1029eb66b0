# SPDX-License-Identifier: MIT
"""A function beneath a target that carries no events has its time by samples, not in its caller's."""

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

import hybridprof
from hybridprof import _core

pytestmark = pytest.mark.skipif("monitoring" not in _core.HOOKS, reason="a profile function reports every call")

SECONDS = 2.0


def work(number: int) -> int:
    total = 0
    for value in range(100):
        total += value * number
    return total


def nested(number: int) -> int:
    return work(number) + work(number + 1)


def rare(number: int) -> int:
    total = 0
    for value in range(3000):
        total += value * number
    return total


def target(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number in range(50):
            nested(number)
        rare(1)


def profiled(function: Callable[..., None], *arguments: object, **options: Any) -> hybridprof.Profile:
    hybridprof.deep(function)
    try:
        with hybridprof.Profiler(**options) as profiler:
            function(*arguments)
    finally:
        _core.remove_target(function.__code__)
    assert profiler.profile is not None
    return profiler.profile


def rows(profile: hybridprof.Profile) -> dict[str, hybridprof.Function]:
    return {row.name: row for row in profile.functions}


@pytest.mark.timing
def test_times_are_those_of_full_tracing() -> None:
    whole = rows(profiled(target, SECONDS, rate=2000))
    divided_profile = profiled(target, SECONDS, rate=2000, budget=0.2)
    divided = rows(divided_profile)
    for name in ("work", "nested", "rare", "target"):
        # nested is small: full tracing leaves some of its own cost there.
        expected, found = whole[name], divided[name]
        margin = 2 * found.self_error_ns + 0.04 * SECONDS * 1e9
        assert abs(found.self_ns - expected.self_ns) < margin, (name, found, expected)
    assert (divided["work"].measured, divided["target"].measured, divided["rare"].measured) == ("mixed", "exact", "exact")
    assert divided["target"].calls == 1 and divided["target"].self_error_ns > 0
    assert divided["rare"].self_error_ns == 0
    assert divided["work"].samples > 100
    for thread in divided_profile.threads:
        assert abs(thread.residual_ns) <= 0.02 * thread.measured_ns


def test_lines_are_divided_too() -> None:
    profile = profiled(target, 1.0, rate=2000, budget=0.01)
    first = work.__code__.co_firstlineno
    lines = [line for line in profile.lines if line.node.function.name == "work"]
    assert sum(line.samples for line in lines) == rows(profile)["work"].samples
    loop = sum(line.samples for line in lines if first + 2 <= line.line <= first + 3)
    assert loop > 0.9 * sum(line.samples for line in lines) > 100
    assert sum(line.self_ns for line in profile.lines) == pytest.approx(sum(thread.sampled_ns for thread in profile.threads), rel=0.001)


def test_where_all_is_reported_nothing_is_divided() -> None:
    profile = profiled(target, 0.5, rate=5000)
    for row in profile.functions:
        if row.kind == "python" and row.calls is not None:
            assert (row.samples, row.self_error_ns) == (0, 0), row
    assert rows(profile)["work"].measured == "exact"


def test_without_a_sampler_it_stays_with_the_caller() -> None:
    found = rows(profiled(target, 2.0, rate=0, budget=0.2))
    assert found["work"].self_ns < 0.5 * found["target"].total_ns  # 0.7 of it in truth


def test_deeper_targets_beneath_a_function_without_events() -> None:
    def leaf() -> None:
        work(1)

    def between(count: int) -> None:
        for _ in range(count):
            leaf()

    def outer() -> None:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            between(100)

    profile = profiled(outer, rate=2000, budget=0.2)
    found = {row.name.rpartition(".")[2]: row for row in profile.functions}
    assert found["outer"].total_ns == pytest.approx(1e9, rel=0.1)
    assert found["work"].self_ns > 0.6e9
    assert found["between"].total_ns >= found["leaf"].total_ns >= found["work"].self_ns
    assert sys.getprofile() is None
