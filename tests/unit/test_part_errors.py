# SPDX-License-Identifier: MIT
"""Errors of parts of a function's time: of contexts, of callers' shares, by thread and by state. Every sampled number has one."""

from __future__ import annotations

from collections import defaultdict
from math import isclose, sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from unit.made_profiles import GAP, Made, Stack, encoded, profiles

import hybridprof
from hybridprof.cli import report, threads
from hybridprof.cli.terminal import Terminal
from hybridprof.profile import Edge, Function, Node, Profile


def read(folder: Path, made: Made) -> Profile:
    path = folder / "made.hyprof"
    path.write_bytes(encoded(made))
    return hybridprof.load(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("part_errors")


def nodes_of(profile: Profile) -> list[Node]:
    return [node for thread in profile.tree.children for node in beneath(thread)]


def errors_of(part: Node | Edge | Function) -> tuple[int, int]:
    return part.self_error_ns, part.total_error_ns


ANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@ANY
@given(made=profiles(1))
def test_what_is_sampled_has_an_error_and_what_is_exact_has_none(folder: Path, made: Made) -> None:
    profile = read(folder, made)
    whole = sum(thread.sampled_ns for thread in profile.threads) + 6 * made.gap_ns * len(made.threads)
    parts: list[Any] = [*nodes_of(profile), *profile.edges, *(row for each in threads.by_thread(profile) for row in each.functions)]
    for part in parts:
        of = part if isinstance(part, Function) else part.function if isinstance(part, Node) else part.callee
        exact = sum(stack.exact_ns for stack in made.stacks)
        if part.measured == "exact":
            assert part.self_error_ns == 0
        elif of.kind != "thread" and part.measured == "sampled" and part.total_ns > exact:
            assert 0 < part.self_error_ns <= whole and 0 < part.total_error_ns <= whole
    assert all(thread.total_error_ns == 0 for thread in profile.tree.children)


@ANY
@given(made=profiles(1))
def test_threads_together_have_the_error_of_the_function(folder: Path, made: Made) -> None:
    profile = read(folder, made)
    squares: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for each in threads.by_thread(profile):
        for row in each.functions:
            own = squares[row.name, row.module]
            own[0] += row.self_error_ns**2
            own[1] += row.total_error_ns**2
    for row in profile.functions:
        found = squares[row.name, row.module]
        for error, square in zip(errors_of(row), found, strict=True):
            # A function that is exact in one thread and sampled in another has in its row what both might have gone without.
            assert sqrt(square) <= error + 3 and (row.measured == "mixed" or isclose(sqrt(square), error, rel_tol=1e-6, abs_tol=3))


def check_functions_of_one_caller(profile: Profile) -> None:
    contexts: dict[int, list[Node]] = defaultdict(list)
    for node in nodes_of(profile):
        contexts[id(node.function)].append(node)
    edges = defaultdict(list)
    for edge in profile.edges:
        edges[id(edge.callee)].append(edge)
    for row in profile.functions:
        if len(contexts[id(row)]) == 1:
            assert errors_of(contexts[id(row)][0]) == errors_of(row) == errors_of(edges[id(row)][0])


@ANY
@given(made=profiles(1))
def test_a_function_of_one_caller_has_one_error(folder: Path, made: Made) -> None:
    """Where all of it is in one context, the edge and the node are as well known as the function in that thread."""
    check_functions_of_one_caller(read(folder, made))


@ANY
@given(first=profiles(1), second=profiles(2))
def test_merged_profiles(folder: Path, first: Made, second: Made) -> None:
    """Variances are given there, of gaps of different kinds: a part is no better known than independent samples of the mean gap would make it."""
    merged = read(folder, first).merge(read(folder, second))
    check_functions_of_one_caller(merged)
    for thread in merged.threads:
        assert thread.root is not None
        inclusive = {id(node): sum(each.samples for each in beneath(node)) for node in beneath(thread.root)}
        whole: dict[int, int] = defaultdict(int)
        for node in beneath(thread.root):
            whole[id(node.function)] += 0 if beneath_itself(node) else inclusive[id(node)]
        for node in beneath(thread.root):
            samples = inclusive[id(node)]
            if node.measured == "sampled" and 0 < samples < whole[id(node.function)]:
                usual = 1.96 * sqrt(samples * (1 - samples / thread.samples) * 1.92711) * thread.sampled_ns / thread.samples
                assert node.total_error_ns >= min(0.999 * usual, thread.sampled_ns - 1)


def beneath(node: Node) -> list[Node]:
    found, pending = [], [node]
    while pending:
        found.append(pending.pop())
        pending += found[-1].children
    return found


def beneath_itself(node: Node) -> bool:
    above = node.parent
    while above is not None and above.function is not node.function:
        above = above.parent
    return above is not None


def two_callers(share: int, samples: int = 400) -> Made:
    """f2 is called by f0 and by f1, `share` of its samples of a thousand by f0."""
    return Made(1, (Stack(0, (0, 2), samples=share), Stack(0, (1, 2), samples=samples - share), Stack(0, (3,), samples=600)))


def test_a_part_has_the_error_of_independent_samples(folder: Path) -> None:
    profile = read(folder, two_callers(100))
    edges = {(edge.caller.name, edge.callee.name): edge for edge in profile.edges if edge.caller is not None}
    # N p (1 - p) E[G^2] d^2, and one run more: csrc/tree/error_bars.c
    expected = 1.96 * sqrt((1000 * 0.1 * 0.9 + 1) * 1.92711) * GAP
    assert edges["f0", "f2"].total_error_ns == pytest.approx(expected, rel=0.02)
    assert edges["f0", "f2"].self_error_ns == edges["f0", "f2"].total_error_ns
    assert edges["f1", "f2"].total_error_ns > edges["f0", "f2"].total_error_ns


@pytest.mark.parametrize("arguments", [["--callers"], ["--callees"], ["--tree"], ["--threads"], ["--tree", "--fold", "60"]])
def test_every_sampled_time_is_printed_with_its_error(folder: Path, arguments: list[str]) -> None:
    profile = read(folder, two_callers(100))
    options = report.parser().parse_args(["x", *arguments])
    lines = [line for line, _ in report.rendered(profile, "self", options, Terminal())]
    head = next(line for line in lines if "total" in line)
    totals = head.index("total") + len("total"), head.index("±", head.index("total")) + 1
    rows = [line for line in lines if " s " in line[: totals[0] + 1] and "thread" not in line and "more" not in line]
    assert len(rows) >= 2
    for line in rows:
        assert line[totals[0] : totals[1]].strip().endswith("s"), line


def test_what_is_left_out_has_an_error_too(folder: Path) -> None:
    options = report.parser().parse_args(["x", "--limit", "1"])
    profile = read(folder, two_callers(100))
    lines = [line for line, _ in report.rendered(profile, "self", options, Terminal())]
    (rest,) = (line for line in lines if "more functions" in line)
    assert "4.000 s ± " in rest, rest


def test_a_file_that_keeps_no_errors_says_so(folder: Path, tmp_path: Path) -> None:
    read(folder, two_callers(100)).write(tmp_path / "x.pstats")
    profile = hybridprof.load(tmp_path / "x.pstats")
    assert all(errors_of(edge) == (0, 0) for edge in profile.edges)
    options = report.parser().parse_args(["x", "--callers"])
    assert "keeps no errors" in report.rendered(profile, "self", options, Terminal())[-1][0]
