# SPDX-License-Identifier: MIT
"""The study of coverage itself: programs that time themselves, the share of intervals that hold, and a file that many may write."""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truth import coverage, programs, study
from truth.clock import Truth


class Ticking:
    """A clock that goes on by one at each look, and by more where it is told to."""

    def __init__(self) -> None:
        self.time = 0

    def __call__(self) -> int:
        self.time += 1
        return self.time


def test_calls_are_timed_and_what_timing_takes_is_nobodys() -> None:
    clock = Ticking()
    truth = Truth(clock)

    def inner(truth: Truth) -> None:
        clock.time += 100

    def outer(truth: Truth) -> str:
        clock.time += 1000
        truth.call(inner)
        truth.call(inner)
        return "done"

    assert truth.call(outer) == "done"
    assert truth.self_ns == {"inner": 2 * 101, "outer": 1000 + 3}  # each look takes 1
    assert truth.total_ns["outer"] == 1000 + 2 * 104 + 1


def test_recursion_counts_once_and_an_exception_passes() -> None:
    clock = Ticking()
    truth = Truth(clock)

    def walk(truth: Truth, depth: int) -> None:
        clock.time += 10
        if not depth:
            raise KeyError(depth)
        truth.call(walk, depth - 1)

    with pytest.raises(KeyError):
        truth.call(walk, 2)
    assert truth.total_ns["walk"] == clock.time - 3  # but for the outermost call's own looks
    assert 30 <= truth.self_ns["walk"] <= truth.total_ns["walk"]
    truth.call(lambda truth: None)
    assert truth.total_ns["<lambda>"] == 1


class Jumping(Ticking):
    """Each look is a microsecond later, so that programs end soon."""

    def __call__(self) -> int:
        self.time += 1000
        return self.time


@pytest.mark.parametrize("name", [name for name in programs.PROGRAMS if name not in ("threaded", "waiting")])
def test_programs_add_up(name: str) -> None:
    clock = Jumping()
    truth = Truth(clock)
    programs.PROGRAMS[name](truth, 50 * programs.MS, random.Random(1))
    assert 0 < sum(truth.self_ns.values()) <= clock.time
    for function, own in truth.self_ns.items():
        assert 0 < own <= truth.total_ns[function] <= clock.time


def test_threads_are_added_up() -> None:
    truth = Truth(Jumping())
    programs.threaded(truth, 60 * programs.MS, random.Random(1))
    assert {"serve", "spread", "gather", "shared"} == set(truth.total_ns)
    assert truth.total_ns["serve"] >= sum(truth.self_ns.values()) > 0.5 * truth.total_ns["serve"]
    assert truth.self_ns["shared"] == truth.total_ns["shared"]


# --- how often intervals hold --------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(1, 2000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_wilson_holds_the_share_and_never_degenerates(pair: tuple[int, int]) -> None:
    held, count = pair
    low, high = coverage.wilson(held, count)
    assert 0 <= low <= held / count + 1e-15 and held / count - 1e-15 <= high <= 1
    assert high - low > 0
    # where the score test at 5 % just says no
    for bound in (low, high):
        if 1e-9 < bound < 1 - 1e-9:
            assert abs(held / count - bound) == pytest.approx(coverage.NORMAL_95 * (bound * (1 - bound) / count) ** 0.5)


def test_wilson_of_nothing() -> None:
    assert coverage.wilson(0, 0) == (0, 1)


def run_of(held: bool, program: str = "steady", figure: str = "self") -> dict[str, Any]:
    said = 100.0 if held else 200.0
    return {"program": program, "clock": "cpu", "samples": 90, "missed": 10, "functions": {"f": {figure: [said, 20.0, 110.0]}, "g": {}}}


@pytest.mark.parametrize(
    ("held", "of", "figure", "verdict"),
    [
        (950, 1000, "self", "as promised"),
        (880, 1000, "self", "too narrow"),
        (996, 1000, "total", "wider than promised"),
        (996, 1000, "difference", "as promised"),
        (18, 20, "self", "as promised"),  # too few to tell
    ],
)
def test_verdicts(held: int, of: int, figure: str, verdict: str) -> None:
    runs = [run_of(number < held, figure=figure) for number in range(of)]
    (found,) = coverage.coverages(runs)
    assert (found.runs, found.values, found.coverage, found.verdict) == (of, of, held / of, verdict)
    assert coverage.missed(runs) == 0.1


def test_what_is_shown() -> None:
    runs = [run_of(number % 3 > 0, program) for number in range(300) for program in ("steady", "short")]
    found = coverage.coverages(runs)
    assert [(each.program, each.figure) for each in found] == [("steady", "self"), ("short", "self")]
    lines = coverage.table(found).splitlines()
    assert lines[2].startswith("| steady | cpu | 300 | **66.7 (61.2–71.8)** too narrow |")
    drawn = ElementTree.fromstring(coverage.plot(found, "a < b & c"))
    assert len([each for each in drawn if each.tag.endswith("circle")]) == 2


# --- the file -------------------------------------------------------------------------------------------------------------------------------


def options(**changes: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"runs": 25, "program": ["steady", "short"], "clock": ["cpu"], "rate": 1000.0, "seconds": 0.3} | changes)


def test_a_study_goes_on_where_it_was() -> None:
    fresh = list(study.work(options(), Counter()))
    assert fresh[:2] == [("steady", "cpu", 10, 0), ("short", "cpu", 10, 0)]
    assert sum(count for program, _, count, _ in fresh if program == "steady") == 25
    rest = list(study.work(options(), Counter({("steady", "cpu"): 13, ("short", "cpu"): 99})))
    assert rest == [("steady", "cpu", 7, 13), ("steady", "cpu", 5, 20)]


def test_lines_of_others_and_half_lines_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    own = {"python": study.platform.python_version(), "rate": 1000.0, "seconds": 0.3, "program": "steady"}
    study.append(path, [own])
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"python": "3.1')  # whoever wrote it was killed
    study.append(path, [own | {"rate": 99.0}, own | {"program": "short"}])
    assert [line["program"] for line in study.lines_of(path, options())] == ["steady", "short"]
    assert study.lines_of(tmp_path / "none", options()) == []


def test_results_are_written(tmp_path: Path) -> None:
    runs = [run_of(number % 20 > 0) for number in range(200)]
    study.write(tmp_path / "results", runs, options(), "scripts/study")
    (numbers,) = (tmp_path / "results").glob("coverage-*.json")
    stored = json.loads(numbers.read_text(encoding="utf-8"))
    assert stored["coverage"][0]["coverage"] == 0.95 and stored["missed_ticks"] == {"steady, cpu": 0.1}
    assert "95.0 (" in numbers.with_suffix(".md").read_text(encoding="utf-8")
    assert numbers.with_suffix(".svg").exists()


@pytest.mark.parametrize("words", [["--runs", "0"], ["--runs", "x"], ["--seconds", "-1"], ["--program", "other"], ["--minutes", "nan"]])
def test_bad_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        study.parsed(words)
    assert ended.value.code == 2
    assert words[1] in capsys.readouterr().err


def test_the_clock_is_only_looked_at_through_truth() -> None:
    made: Callable[[Truth, int], None] = programs.leaf("made")
    clock = Jumping()
    made(Truth(clock), 5000)
    assert 5000 <= clock.time <= 8000
    assert made.__code__.co_name == made.__name__ == "made"
