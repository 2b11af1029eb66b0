# SPDX-License-Identifier: MIT
"""The rules of accounting on generated trees, in which each node may be sampled, counted, both or neither."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import accounting
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hybridprof
from hybridprof.profile import Node

sys.path.insert(0, str(Path(__file__).parent))
from made_profiles import GAP, Made, Stack, encoded, profiles


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profiles")


def loaded(folder: Path, made: Made) -> hybridprof.Profile:
    path = folder / f"{made.number}.hyprof"
    path.write_bytes(encoded(made))
    return hybridprof.load(path)


@settings(deadline=None, max_examples=150)
@given(profiles(1))
def test_every_rule_holds(folder: Path, made: Made) -> None:
    profile = loaded(folder, made)
    assert accounting.broken(profile) == []
    assert profile.residual_ns == 0


@settings(deadline=None, max_examples=100)
@given(profiles(1))
def test_times_are_those_of_the_stacks(folder: Path, made: Made) -> None:
    """A profile is a bag of stacks: own time lies at a stack's end, inclusive time at everything on it, once."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    primitive: Counter[str] = Counter()
    seen: dict[str, set[str]] = {}
    for stack in made.stacks:
        *above, leaf = (f"f{function}" for function in stack.functions)
        ns = stack.samples * made.gap_ns + stack.exact_ns
        own[leaf] += ns
        total.update(dict.fromkeys({*above, leaf}, ns))
        calls[leaf] += stack.calls
        primitive[leaf] += 0 if leaf in above else stack.calls
        seen.setdefault(leaf, set()).update(
            kind for kind, value in (("sampled", stack.samples), ("exact", stack.calls + stack.exact_ns + stack.overhead_ns)) if value
        )
    for row in loaded(folder, made).functions:
        if row.kind == "thread":
            continue
        assert (row.self_ns, row.total_ns) == (own[row.name], total[row.name]), row
        assert (row.calls or 0, row.primitive_calls or 0) == (calls[row.name], primitive[row.name]), row
        kinds = seen.get(row.name, set())
        if kinds == {"sampled", "exact"}:
            assert row.measured == "mixed" and row.calls == calls[row.name], row  # a lower bound, and says so
        if "exact" not in kinds:
            assert row.measured == "sampled" and row.calls is None, row


@settings(deadline=None, max_examples=60)
@given(profiles(1), profiles(2), st.sampled_from(["python", "unknown"]))
def test_what_is_made_of_profiles_keeps_the_rules(folder: Path, one: Made, two: Made, state: str) -> None:
    both = loaded(folder, one).merge(loaded(folder, two))
    assert accounting.broken(both) == []
    assert list(accounting.of_nodes(both.select(state))) == []
    again = folder / "again.hyprof"
    both.write(again)
    assert accounting.broken(hybridprof.load(again)) == []


# --- each rule says something of a profile that breaks it ----------------------------------------------------------------------------------

STACKS = (Stack(0, (0, 1), samples=5), Stack(0, (0,), calls=3, exact_ns=GAP, overhead_ns=7), Stack(1, (1, 0, 1), samples=2, calls=1))


class Planted:
    """A profile with something wrong in it."""

    def __init__(self, profile: hybridprof.Profile, **wrong: Any) -> None:
        self._profile = profile
        self.__dict__.update(wrong)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._profile, name)


@pytest.fixture
def good(folder: Path) -> hybridprof.Profile:
    profile = loaded(folder, Made(9, STACKS, threads=("MainThread", "Thread-1 (work)")))
    assert accounting.broken(profile) == []
    return profile


def complaints(rule: Any, profile: hybridprof.Profile, **wrong: Any) -> list[str]:
    return list(rule(cast(hybridprof.Profile, Planted(profile, **wrong))))


def test_rules_about_rows_and_threads_are_awake(good: hybridprof.Profile) -> None:
    rows, threads = good.functions, good.threads
    sampled = next(row for row in rows if row.measured == "sampled" and row.kind == "thread")
    own = next(row for row in rows if row.name == "f1")
    assert complaints(accounting.of_threads, good, threads=[replace(threads[0], measured_ns=threads[0].measured_ns + 1), *threads[1:]])
    assert complaints(
        accounting.of_threads, good, threads=[replace(threads[0], sampled_ns=threads[0].sampled_ns + 1, residual_ns=-1), *threads[1:]]
    )
    less = replace(threads[0], measured_ns=threads[0].measured_ns - 1, residual_ns=-1)
    assert complaints(accounting.of_threads, good, threads=[less, *threads[1:]], residual_ns=-1)
    assert complaints(accounting.of_threads, good, residual_ns=1)
    assert complaints(accounting.of_rows, good, functions=[replace(own, self_ns=own.self_ns + 1)])
    assert complaints(accounting.of_rows, good, functions=[*rows, replace(sampled, self_ns=2, total_ns=1)])
    assert complaints(accounting.of_rows, good, functions=[*rows, replace(own, self_ns=0, calls=1, primitive_calls=2)])
    assert complaints(accounting.of_rows, good, threads=[replace(thread, measured_ns=1) for thread in threads])
    assert complaints(accounting.of_edges, good, edges=good.edges[1:])
    assert complaints(accounting.of_totals, good, functions=[replace(own, total_ns=own.total_ns + 1)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"measured": "sampled", "calls": 3},
        {"measured": "mixed", "calls": None},
        {"measured": "exact", "calls": 1, "samples": 2},
        {"measured": "sampled", "calls": None, "self_ns": 5, "self_error_ns": 0},
        {"measured": "mixed", "calls": 1, "samples": 0, "self_error_ns": 0, "total_error_ns": 7},
        {"measured": "mixed", "calls": 1, "samples": 0, "self_error_ns": 7, "total_error_ns": 0},
    ],
)
def test_the_rule_about_kinds_is_awake(good: hybridprof.Profile, wrong: dict[str, Any]) -> None:
    row = next(row for row in good.functions if row.name == "f0")
    assert complaints(accounting.of_kinds, good, functions=[replace(row, **wrong)])


def test_the_rule_about_nodes_is_awake(good: hybridprof.Profile) -> None:
    child = Node(None, None, 5, 5, 1, "sampled", None)
    for own, total in ((0, 4), (1, 5), (-1, 4)):
        assert complaints(accounting.of_nodes, good, tree=Node(None, None, own, total, 1, "sampled", None, [child]))
    assert not complaints(accounting.of_nodes, good, tree=Node(None, None, 1, 6, 1, "sampled", None, [child]))


def test_the_rule_about_pstats_is_awake(good: hybridprof.Profile) -> None:
    row = next(row for row in good.functions if row.name == "f0")
    assert complaints(accounting.of_pstats, good, functions=[replace(row, calls=99)])
