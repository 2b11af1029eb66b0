# SPDX-License-Identifier: MIT
"""The difference of two snapshots of one session."""

from __future__ import annotations

from typing import Any

from hybridprof.cli.top import Live, between
from hybridprof.profile import Function


def row(name: str, **changes: Any) -> Function:
    values: dict[str, Any] = {
        "module": "m",
        "file": "m.py",
        "line": 1,
        "calls": None,
        "primitive_calls": None,
        "self_ns": 0,
        "total_ns": 0,
        "self_error_ns": 0,
        "total_error_ns": 0,
        "measured": "sampled",
        "samples": 0,
        "kind": "python",
    }
    return Function(name=name, **{**values, **changes})


def test_what_came_between() -> None:
    before = [
        row("a", self_ns=100, total_ns=300, self_error_ns=30, total_error_ns=6, samples=10),
        row("still", self_ns=5, samples=1),
        row("b", calls=4, primitive_calls=3, total_ns=9),
    ]
    now = [
        row("a", self_ns=250, total_ns=800, self_error_ns=50, total_error_ns=10, samples=25),
        row("still", self_ns=5, samples=1),
        row("b", calls=9, primitive_calls=5, total_ns=20, measured="mixed"),
        row("new", self_ns=7, samples=1),
    ]
    a, b, new = between(before, now)
    assert (a.self_ns, a.total_ns, a.samples) == (150, 500, 15)
    assert (a.self_error_ns, a.total_error_ns) == (40, 8)  # variances add up: 50² = 30² + 40²
    assert (b.calls, b.primitive_calls, b.total_ns, b.measured) == (5, 2, 11, "mixed")
    assert new == now[3]


def test_time_that_was_given_back_is_no_time() -> None:
    """Sampled time of a function that turns out to be traced goes to what is exact."""
    (one,) = between([row("a", self_ns=100, total_ns=100, self_error_ns=9)], [row("a", self_ns=80, total_ns=120, self_error_ns=5)])
    assert (one.self_ns, one.total_ns, one.self_error_ns) == (0, 20, 0)
    assert between([row("a", self_ns=100)], [row("a", self_ns=80)]) == []


class Snapshot:
    def __init__(self, session: str, rows: list[Function]) -> None:
        self.meta = {"profile_id": session}
        self.functions = rows


def test_another_session_begins_anew() -> None:
    live = Live(Snapshot("one", [row("a", self_ns=10)]))  # type: ignore[arg-type]
    live.add(Snapshot("one", [row("a", self_ns=30)]))  # type: ignore[arg-type]
    assert [each.self_ns for each in live.rows(False)] == [20] and [each.self_ns for each in live.rows(True)] == [30]
    live.add(Snapshot("two", [row("a", self_ns=5)]))  # type: ignore[arg-type]
    assert [each.self_ns for each in live.rows(False)] == [5]
