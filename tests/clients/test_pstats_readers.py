# SPDX-License-Identifier: MIT
"""A .pstats file is what cProfile would have written, to every interpreter's pstats.Stats: its table, who called whom with which numbers,
sums of several files."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
from clients import interpreters, readers
from clients.expected import Held, Numbers, Shown, pstats_key
from clients.running import Run, as_shown, check_and_awaken, missing, without_invented
from clients.test_clients import pstats_name

pytest_plugins = ["clients.running"]


def interpreter(minor: int) -> str:
    place = interpreters.found().get(minor)
    if place is None:
        missing(f"CPython 3.{minor}", f"pyenv install 3.{minor}")
        raise AssertionError
    return place


@pytest.fixture(scope="session", params=interpreters.MINORS, ids=lambda minor: f"3.{minor}")
def python(request: pytest.FixtureRequest) -> str:
    return interpreter(request.param)


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_no_interpreter_is_missed_in_silence(ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(interpreters, "found", dict)
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match=r"CPython 3\.15 is not on this machine") as told:
        interpreter(15)
    assert told.type is outcome  # what is raised here and not caught would skip this test


def edge_numbers(held: Held) -> dict[tuple[Hashable, Hashable], Numbers]:
    """Of each caller and callee, by key: what the callee spent when called from there. The total counts once for each stack that has the edge."""
    keys = [pstats_key(function) for function in held.functions]
    stacks = held.stacks(keys)
    edges: list[frozenset[tuple[Hashable, Hashable]]] = []
    found: dict[tuple[Hashable, Hashable], Numbers] = {}
    for parent, function, calls, self_ns in held.nodes:
        above: frozenset[tuple[Hashable, Hashable]] = edges[parent] if parent >= 0 else frozenset()
        if parent >= 0:
            edge = keys[held.nodes[parent][1]], keys[function]
            above |= {edge}
            numbers = found.setdefault(edge, Numbers())
            numbers.self_ns += self_ns
            numbers.calls += calls
            numbers.primitive_calls += calls if keys[function] not in stacks[parent] else 0
        edges.append(above)
        for each in above:
            found[each].total_ns += self_ns
    return found


def shown_edges(run: Run) -> Shown:
    """By the names that pstats prints, (callee, caller)."""
    shown: Shown = {}
    for (caller, callee), numbers in edge_numbers(run.held).items():
        shown.setdefault((pstats_name(callee), pstats_name(caller)), []).append(numbers)
    return shown


def test_the_table(run: Run, python: str) -> None:
    shown = readers.pstats_table(run.pstats, python)
    check_and_awaken(as_shown(run, pstats_key, pstats_name), without_invented(shown), readers.PSTATS_STEPS)


def without_invented_callers(shown: Shown) -> Shown:
    return {edge: rows for edge, rows in shown.items() if not any("all threads" in str(end) for end in edge)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", ["callers", "callees"])
def test_who_called_whom(run: Run, python: str, what: str) -> None:
    shown = readers.pstats_edges(run.pstats, what, python)
    check_and_awaken(shown_edges(run), without_invented_callers(shown), readers.PSTATS_STEPS)


def test_each_caller_to_the_nanosecond(run: Run, python: str) -> None:
    """What print_callers rounds, as the program that loads the file has it."""
    stats = readers.pstats_stats(run.pstats, python)
    held = {(callee, caller): [numbers] for (caller, callee), numbers in edge_numbers(run.held).items()}
    read: Shown = {
        (callee, caller): [Numbers(own * 1e9, total * 1e9, calls, primitive)]
        for callee, (_, callers) in stats.items()
        for caller, (calls, primitive, own, total) in callers.items()
        if "all threads" not in caller[2]
    }
    check_and_awaken(held, read, readers.PSTATS_EXACT)


def test_a_file_added_to_itself(run: Run, python: str) -> None:
    once, twice = readers.pstats_stats(run.pstats, python), readers.pstats_stats(run.pstats, python, times=2)
    assert once
    assert twice == {
        key: (tuple(2 * number for number in row), {caller: tuple(2 * number for number in value) for caller, value in callers.items()})
        for key, (row, callers) in once.items()
    }
