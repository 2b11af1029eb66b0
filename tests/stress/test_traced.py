# SPDX-License-Identifier: MIT
"""The tracer where targets come and go under it, where the program forks, and over a million calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stress.running import SECONDS, result

from hybridprof import _core

pytestmark = pytest.mark.timeout(0)
HOOKS = pytest.mark.parametrize("hook", _core.HOOKS)
CALLS = 1_000_000
TARGETS = 10_000
LIVES = 40_000 if SECONDS > 10 else 10_000
# What a process may gather for reasons of its own: fragments of arenas, stacks of threads, a table that doubles once.
SLACK = 4_000_000  # bytes
SLACK_OBJECTS = 200
# A code object that lived leaves its line in the table of functions and its nodes in the tree: two functions with three nodes here, and the
# doubling of the table and the tree.
PER_LIFE = 1500  # bytes


def traced(name: str, *arguments: object) -> dict[str, Any]:
    found = result("traced.py", name, *arguments)
    print(found)
    return found


@HOOKS
def test_targets_come_and_go_while_they_run(hook: str) -> None:
    found = traced("come_and_go", SECONDS, hook)
    assert found["odd"] == [] and found["too_long"] == []
    assert found["left_alone"]
    assert found["added"] == 100
    assert found["sampled"] > 0
    assert min(found["turns"][body] for body in ("works", "works_in_tasks", "suspends", "changes", "looks")) > 5


@HOOKS
def test_fork_storm_while_traced(tmp_path: Path, hook: str) -> None:
    found = traced("fork_storm", SECONDS, tmp_path / "storm.hyprof", hook)
    assert found["bad"] == []
    assert found["forks"] >= 10
    assert found["counted"] == found["true"]
    assert found["same"]


def stays_flat(found: dict[str, Any], growth: int = 0) -> None:
    before, after = found["before"], found["after"]
    assert after["bytes"] <= before["bytes"] + SLACK + growth
    assert after["objects"] <= before["objects"] + SLACK_OBJECTS
    if not growth:
        assert after["tracer"] <= before["tracer"] + 100_000


@HOOKS
def test_a_million_calls_leave_nothing_behind(hook: str) -> None:
    found = traced("many_calls", CALLS, hook)
    assert found["calls"] >= CALLS
    stays_flat(found)


@HOOKS
def test_ten_thousand_targets_leave_nothing_behind(hook: str) -> None:
    found = traced("many_targets", TARGETS, hook)
    assert found["targets"] == 0 and found["called"] == len(range(0, TARGETS, 7))
    stays_flat(found)


@HOOKS
def test_code_that_is_made_traced_and_freed(hook: str) -> None:
    found = traced("short_lives", LIVES, hook)
    assert found["counts"] == {"made": LIVES, "inner": LIVES}
    stays_flat(found, PER_LIFE * found["lives"])
