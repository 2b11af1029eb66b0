# SPDX-License-Identifier: MIT
"""Self time by line, against programs whose lines cost what their comments say."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

import hybridprof
from hybridprof import _core
from hybridprof.profile import Profile


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    _core.stop()
    yield
    _core.stop()


# `#= n`: n units of the same work on this line, in each round. The work is C's (`sum` of a range, some 50 us for each unit), so the line is the
# one that the call stands on, and lines without a comment cost nothing that counts.
PLACES = """
def plain(R):
    sum(R[1])                                  #= 1
    sum(R[2]); sum(R[1])                       #= 3

    x = sum(R[6])                              #= 6
    return x


def expression(R):
    return (
        sum(R[1])                              #= 1
        + sum(R[2])                            #= 2
        + max(
            sum(R[3]),                         #= 3
            sum(R[1]),                         #= 1
            key=lambda x: sum(R[1]),           #= 2
        )
        if sum(R[2])                           #= 2
        else 0
    )


def comprehensions(R):
    a = [
        sum(R[1])                              #= 3
        for _ in (1, 2, 3)
        if sum(R[2])                           #= 6
    ]
    b = {
        i: sum(R[1])                           #= 2
        for i in (1, 2)
    }
    return a, b, list(
        sum(R[i])                              #= 3
        for i in (1, 2)
    )


def generator(R):
    sum(R[1])                                  #= 1
    yield sum(R[2])                            #= 2
    try:
        sum(R[3])                              #= 3
        yield 0
    finally:
        sum(R[1])                              #= 1


class Manager:
    def __init__(self, R):
        self.R = R

    def __enter__(self):
        sum(self.R[1])                         #= 1

    def __exit__(self, *error):
        sum(self.R[2])                         #= 2
        return True


def blocks(R):
    with Manager(
        R if sum(R[2]) else R                  #= 2
    ):
        sum(R[1])                              #= 1
        raise ValueError(
            sum(R[1])                          #= 1
        )
    try:
        try:
            sum(R[2])                          #= 2
            1 / 0
        except (
            ValueError if sum(R[1]) else KeyError,  #= 1
        ):
            sum(R[6])
        except ZeroDivisionError:
            sum(R[3])                          #= 3
        finally:
            sum(R[1])                          #= 1
    except OSError:
        pass


def decorated(R):
    def decorate(weight):
        return lambda function: sum(R[weight]) and function  #= 2

    @decorate(
        1 if sum(R[1]) else 1                  #= 1
    )
    @decorate(1)
    def inner(
        a=sum(R[2]),                           #= 2
        *,
        b=sum(R[1]),                           #= 1
    ):
        return a

    class Body:
        value = sum(R[1])                      #= 1

    return inner


def match(R, value):
    match value:
        case 1 if sum(R[1]):                   #= 1
            sum(R[2])                          #= 2
        case _:
            sum(R[6])


def round(R):
    plain(R)
    expression(R)
    comprehensions(R)
    for _ in generator(R):
        pass
    blocks(R)
    decorated(R)
    match(R, 1)
"""
EXPECTED = {number: int(cost[1]) for number, text in enumerate(PLACES.splitlines(), 1) if (cost := re.search(r"#= (\d+)$", text))}
UNIT = 4000


def by_line(profile: Profile, file: str) -> dict[int, tuple[int, int]]:
    """(samples, self ns) of each line of a file."""
    found: dict[int, tuple[int, int]] = {}
    for line in profile.lines:
        if line.node.function is not None and line.node.function.file == file:
            samples, ns = found.get(line.line, (0, 0))
            found[line.line] = samples + line.samples, ns + line.self_ns
    return found


def standard_error(share: float, samples: int) -> float:
    """Of a share of time estimated from samples with exponential gaps: the weights' second moment is twice the square of their mean."""
    return sqrt(2 * share * (1 - share) / samples)


@pytest.mark.timing
def test_each_line_has_what_it_costs() -> None:
    """By the CPU clock: on the wall's, a neighbour's slice is the time of the line that it interrupts."""
    scope: dict[str, Any] = {}
    exec(compile(PLACES, "<places>", "exec"), scope)
    ranges = {weight: range(weight * UNIT) for weight in (1, 2, 3, 6)}
    cpu: dict[int, float] = dict.fromkeys(ranges, 0.0)
    with hybridprof.Profiler(rate=4000, clock="cpu") as profiler:
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            scope["round"](ranges)
            for weight, numbers in ranges.items():
                begin = time.thread_time()
                sum(numbers)
                cpu[weight] += (time.thread_time() - begin) / weight
    units = [seconds / cpu[6] for seconds in cpu.values()]
    assert max(units) - min(units) < 0.3, units  # the work is what the comments say
    found = by_line(profiler.profile, "<places>")
    samples, whole = sum(n for n, _ in found.values()), sum(ns for _, ns in found.values())
    costs = sum(EXPECTED.values())
    assert samples > 1000
    late = profiler.profile.meta["samples"]["missed"] / samples
    for number, cost in EXPECTED.items():
        seen, ns = found.get(number, (0, 0))
        true, where = cost / costs, PLACES.splitlines()[number - 1]
        # Five standard errors for some thirty lines; half a point for what else stands on the line.
        assert abs(seen / samples - true) < 5 * standard_error(true, samples) + 0.005, (where, seen / samples, true, samples)
        # A sampler that gets no CPU for some ms gives them to one line: then the weights vary far more than gaps do.
        assert abs(ns / whole - true) < 5 * standard_error(true, samples) * (1 + 5 * late) + 0.005, (where, ns / whole, true, samples, late)
    others = {number: ns for number, (_, ns) in found.items() if number not in EXPECTED}
    assert sum(others.values()) < 0.04 * whole, others
    assert 0 not in found or found[0][1] < 0.005 * whole


JIT = bool(getattr(sys, "_jit", None)) and sys._jit.is_enabled()
LOOPS = """
def loops(R):
    for _ in R[1]: pass                        #= 1
    for _ in R[3]: pass                        #= 3
    for _ in R[2]: pass                        #= 2
    n = 0
    while n < len(R[1]):
        n = n + 1 - 0 * n + 0 * n - 0 * n
    for _ in R[6]: pass                        #= 6
"""


@pytest.mark.timing
def test_lines_of_python_code_alone() -> None:
    """Nothing is called: the instruction is caught wherever it is."""
    scope: dict[str, Any] = {}
    exec(compile(LOOPS, "<loops>", "exec"), scope)
    ranges = {weight: range(weight * UNIT) for weight in (1, 2, 3, 6)}
    with hybridprof.Profiler(rate=4000, clock="cpu") as profiler:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            scope["loops"](ranges)
    found = by_line(profiler.profile, "<loops>")
    marked = {number: int(text[-1]) for number, text in enumerate(LOOPS.splitlines(), 1) if "#=" in text}
    whole, samples = sum(found[number][1] for number in marked), sum(found[number][0] for number in marked)
    assert set(found) <= set(range(2, 10)), found
    head, body = (found.get(number, (0, 0))[1] for number in (7, 8))
    # Compiled code does not tell its frame where it is: until it is left, a loop's time stands where it was entered.
    assert head + body > 0 if JIT else body > head > 0, found
    for number, cost in marked.items():
        share, true = found[number][1] / whole, cost / sum(marked.values())
        assert abs(share - true) < 5 * standard_error(true, samples) + 0.01, (number, share, true, samples)


def far(line_count: int, file: Path) -> Callable[[], None]:
    """A function of so many lines, each of them some work, from a real file."""
    file.write_text("def far():\n" + "    sum(R)\n" * line_count, encoding="utf-8")
    scope: dict[str, Any] = {"R": range(200)}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), scope)
    function: Callable[[], None] = scope["far"]
    return function


def test_a_function_of_a_hundred_thousand_lines(tmp_path: Path) -> None:
    """Most samples are on a line of their own, which the histogram has room for: at most 72 bytes for each while it grows."""
    count = 100_000
    function = far(count, tmp_path / "far.py")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _core.start(rate=10_000, clock="cpu")  # by the wall a thread that waits for a processor is met on one line again and again
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        function()
    _core.stop()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    profile = hybridprof.snapshot()
    found = by_line(profile, str(tmp_path / "far.py"))
    samples = sum(n for n, _ in found.values())
    assert samples > 1000 and len(found) > 0.5 * samples
    assert all(1 <= number <= count + 1 for number in found)  # 1: where it begins
    # Spread as the work is: the tenths of the function have equal shares.
    tenths = [0] * 10
    for number, (n, _) in found.items():
        tenths[min(9, max(0, number - 2) * 10 // count)] += n
    assert max(abs(n / samples - 0.1) for n in tenths) < 5 * standard_error(0.1, samples) + 0.02, tenths
    assert grown < 12_000_000 + 200 * samples, (grown, samples)
