# SPDX-License-Identifier: MIT
"""What `diff` shows agrees with what it says: a function is called changed if and only if the interval of its change is without 0."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.made_profiles import Made, Stack, encoded, profiles

import hybridprof
from hybridprof.cli.main import main
from hybridprof.difference import Change, Compare, Diff


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diff_intervals")


def compared(folder: Path, base: Made, new: Made, compare: Compare = "auto") -> Diff:
    paths = folder / "base.hyprof", folder / "new.hyprof"
    for path, made in zip(paths, (base, new), strict=True):
        path.write_bytes(encoded(made))
    return hybridprof.load(paths[0]).diff(hybridprof.load(paths[1]), compare)


def changes(found: Diff) -> Iterator[Change]:
    for row in found.functions:
        yield row.self
        yield row.total


def grown(made: Made, factors: list[int]) -> Made:
    """As another run would be, each stack with a factor (percent) of its own."""
    stacks = tuple(
        dataclasses.replace(stack, samples=stack.samples * factor // 100, exact_ns=stack.exact_ns * factor // 100)
        for stack, factor in zip(made.stacks, factors, strict=False)
    )
    return dataclasses.replace(made, number=made.number + 1, stacks=stacks)


ANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
FACTORS = st.lists(st.sampled_from([0, 50, 80, 95, 100, 100, 105, 110, 130, 200, 400]), min_size=8, max_size=8)
COMPARE = st.sampled_from(["auto", "time", "share"])


@ANY
@given(base=profiles(1), factors=FACTORS, compare=COMPARE)
def test_the_interval_agrees_with_the_verdict(folder: Path, base: Made, factors: list[int], compare: Compare) -> None:
    found = compared(folder, base, grown(base, factors), compare)
    for change in changes(found):
        assert change.significant == (abs(change.deviation_ns) > change.deviation_error_ns), change
        assert change.significant == (change.q <= 0.05) and (change.p <= 0.05 or not change.significant), change
        if change.significant and change.base_ns and change.new_ns:
            assert (change.deviation_ns > 0) == (change.relative > 0), change
    change_ns, error_ns = found.whole_change
    old, new = found.whole_ns
    assert change_ns == new - old and error_ns >= 0


@ANY
@given(base=profiles(1), factors=FACTORS)
def test_an_interval_is_no_narrower_than_one_of_95_percent(folder: Path, base: Made, factors: list[int]) -> None:
    """Held against equal times, so that the interval of the difference is about the same thing; that one has the normal distribution's width."""
    found = compared(folder, base, grown(base, factors), "time")
    for change in changes(found):
        assert change.deviation_ns == change.new_ns - change.base_ns == change.change_ns
        assert change.deviation_error_ns >= min(change.error_ns, abs(change.change_ns)) - 2


def steady(number: int, first: int = 400) -> Made:
    """Five functions of 4, 3, 2, 1 and 0.5 s."""
    counts = (first, 300, 200, 100, 50)
    return Made(number, tuple(Stack(0, (place,), samples=count) for place, count in enumerate(counts)))


def test_what_changed_is_found_still(folder: Path) -> None:
    found = compared(folder, steady(1), steady(2, first=800))
    (row,) = found.changed
    assert row.function.name == "f0" and row.self.deviation_ns > row.self.deviation_error_ns > 0
    assert compared(folder, steady(1), steady(2)).changed == []


def test_the_whole_has_an_interval(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(folder, steady(1), steady(2, first=700))
    assert found.whole_change == (3_000_000_000, pytest.approx(0.06 * 10_500_000_000))
    paths = [str(folder / "base.hyprof"), str(folder / "new.hyprof")]
    assert main(["diff", *paths]) == 0
    first, second, head, *rows = capsys.readouterr().out.splitlines()
    assert "change +3.000 s ± 630.0 ms" in first and head.count("±") == 2, (first, second, head)
    assert main(["diff", *paths, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (answer["meta"]["change_ns"], answer["meta"]["change_error_ns"]) == (3_000_000_000, 630_000_000)
    for row in answer["functions"]:
        assert row["significant"] == (abs(row["deviation_self_ns"]) > row["deviation_error_ns"])
        assert row["significant_total"] == (abs(row["deviation_total_ns"]) > row["deviation_total_error_ns"])
    (marked,) = (row for row in rows if row.startswith("*"))
    assert "f0" in marked
