# SPDX-License-Identifier: MIT
"""The search for impossible stacks over many runs: what it adds up, and when it begins anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stress import impossible

FOUND = {
    "in_stacks": 60,
    "running": 50,
    "impossible": {"a > b": 1},
    "impossible_samples": 3,
    "unresolved": 2,
    "unresolved_by": {"moved": 2},
    "missed": 40,
    "retried": 5,
}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the programs that were run, none of them really."""
    names: list[str] = []

    def run(name: str, *_rest: object) -> tuple[dict[str, Any] | None, str]:
        names.append(name)
        return (None, f"{name} crashed") if name == "crashes" else (FOUND, "")

    monkeypatch.setattr(impossible, "one_run", run)
    monkeypatch.setattr(impossible, "source", lambda: {"commit": "c", "core": "one", "changed": ""})
    return names


def search(path: Path, names: list[str], wanted: int) -> impossible.Results:
    results = impossible.Results(path, "same-cpu")
    impossible.measure(results, names, wanted, 1.0, 100.0)
    return results


def test_counts_add_up_over_calls(tmp_path: Path, runs: list[str]) -> None:
    path = tmp_path / "found.json"
    search(path, ["chains", "codes"], 240)
    assert runs == ["chains", "codes"] * 2
    total = search(path, ["chains", "codes"], 241).totals["chains"]
    assert runs == ["chains", "codes"] * 3
    assert (total["samples"], total["impossible"], total["unresolved_by"], total["examples"]) == (180, 9, {"moved": 6}, {"a > b": 3})
    stored = json.loads(path.read_text())
    assert (stored["samples"], stored["impossible"], stored["workloads"]["chains"]["runs"]) == (360, 18, 3)
    assert json.loads(impossible.line_of("chains", total))["kept"] == 0.6


def test_another_core_begins_anew(tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "found.json"
    search(path, ["chains"], 60)
    monkeypatch.setattr(impossible, "source", lambda: {"commit": "c", "core": "two", "changed": ""})
    assert search(path, ["chains"], 60).totals["chains"]["samples"] == 60
    assert runs == ["chains"] * 2


def test_a_program_that_crashes_is_left_alone_and_told(tmp_path: Path, runs: list[str]) -> None:
    results = search(tmp_path / "found.json", ["crashes", "chains"], 480)
    assert runs.count("crashes") == 3 and runs.count("chains") == 4
    assert results.totals["crashes"]["failures"] == ["crashes crashed"] * 3
