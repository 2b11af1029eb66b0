# SPDX-License-Identifier: MIT
"""A rate below 1: counts are of the calls that were traced, neither the target's nor those of what it calls pass for all of them, and the profile
says by what chance and how many were left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hybridprof
from hybridprof import _core
from hybridprof.profile import Profile

CALLS = 400


def leaf() -> None:
    pass


def inner() -> None:
    leaf()


def target() -> None:
    inner()


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    yield
    _core.remove_target(target.__code__)


def marked(function: Callable[[], None], rate: float) -> Callable[[], None]:
    _core.add_target(function.__code__, rate)
    return _core.deep_function(function) if _core.needs_wrapper(function.__code__) else function


def measured(rate: float) -> Profile:
    _core.remove_target(target.__code__)
    _core.start(rate=0, seed=11)
    call = marked(target, 1.0)
    call()  # what it calls is known from here on: nothing is a lower bound for having been met late
    _core.add_target(target.__code__, rate)
    for _ in range(CALLS - 1):
        call()
    _core.stop()
    return Profile(_core.snapshot())


def test_what_is_called_by_chance_is_no_exact_count(tmp_path: Path) -> None:
    profile = measured(0.1)
    profile.write(tmp_path / "x.hyprof")
    for each in (profile, hybridprof.load(tmp_path / "x.hyprof")):
        rows = {row.name: row for row in each.functions}
        traced = rows["target"].calls
        assert traced is not None and 10 < traced < 100
        assert (rows["inner"].calls, rows["inner"].measured) == (traced, "mixed")
        assert rows["target"].measured == rows["leaf"].measured == "mixed"
        edges = {(edge.caller.name, edge.callee.name): edge for edge in each.edges if edge.caller is not None}
        assert edges["target", "inner"].measured == edges["inner", "leaf"].measured == "mixed"
        (said,) = (warning for warning in each.meta["warnings"] if "by chance" in warning)
        assert said.startswith(f"{CALLS - traced} calls of targets were left out by chance") and said.endswith("target (10 %)")


def test_all_calls_are_exact() -> None:
    profile = measured(1.0)
    rows = {row.name: row for row in profile.functions}
    assert (rows["inner"].calls, rows["inner"].measured, rows["leaf"].calls) == (CALLS, "exact", CALLS)
    assert not any("by chance" in warning for warning in profile.meta["warnings"])
