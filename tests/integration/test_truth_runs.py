# SPDX-License-Identifier: MIT
"""One run of each program of the study, under the real sampler: what is compared belongs together. How often intervals hold is for `make study`."""

from __future__ import annotations

import json

import accounting
import pytest
from oracle.targets import no_session_left
from truth import coverage, runs
from truth.clock import CLOCKS
from truth.programs import PROGRAMS

__all__ = ["no_session_left"]


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_run(name: str, clock: str) -> None:
    run = runs.Run(name, clock, 1000, 0.1, 1)
    assert accounting.broken(run.profile) == []
    figures = run.figures()
    assert figures and set(figures) <= set(run.truth.total_ns)
    for function, found in figures.items():
        for figure, (said, error, true) in found.items():
            assert said >= 0 and error >= 0 and true > 0, (function, figure)
            assert error > 0 or not run.profile.meta["samples"]["kept"], (function, figure)
    shares = [found["share"][2] for found in figures.values() if "share" in found]
    assert 0 < sum(shares) <= 1.01
    sampled = {
        row.split(".<locals>.")[0] for row in run.rows
    }  # what starts the threads may be seen on a loaded machine, in a comprehension
    assert sampled <= {*run.truth.total_ns, name}  # what was sampled of the program was timed, too


def test_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    runs.main("steady", "cpu", "1000", "0.1", "3", "7")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3
    assert all(set(line) == {"samples", "missed", "functions"} for line in lines)
    with_difference = [any("difference" in figures for figures in line["functions"].values()) for line in lines]
    assert with_difference == [False, True, False]  # disjoint pairs, so that none counts twice
    found = coverage.coverages([line | {"program": "steady", "clock": "cpu"} for line in lines])
    assert {each.figure for each in found} == set(coverage.FIGURES)
