# SPDX-License-Identifier: MIT
"""The ledger with made-up readings, and the figures that the core really keeps."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybridprof
from hybridprof import _core, api
from hybridprof.rollout import readings as readings_
from hybridprof.rollout.control import Control
from hybridprof.rollout.ledger import LONGEST, SHORTEST, Ledger, Reading, Window, between, total
from hybridprof.rollout.output import Output
from hybridprof.rollout.readings import Readings, TargetCosts, calls_by_target


def test_a_window_is_what_has_grown() -> None:
    old = Reading(1.0, 2.0, 7, 0.1, 100, 1e-6, 30, 4, 0.01, 0.02, 0.003, 50, 6)
    new = Reading(3.0, 3.0, 7, 0.15, 1100, 2e-6, 50, 8, 0.02, 0.04, 0.004, 40, 9)
    found = between(old, new)
    assert (found.seconds, found.process, found.events, found.gated, found.rss, found.own) == (2.0, 1.0, 20, 4, 40, 9)
    assert (found.sampler, found.tracer, found.writer, found.ruler) == pytest.approx((0.05, 1000 * 2e-6, 0.03, 0.001))
    assert found.closed == pytest.approx(4 * 2e-6)


def test_sums_of_another_session_begin_at_nothing() -> None:
    old = Reading(1.0, 2.0, 7, 0.1, 100, 1e-6, 30, 4, 0.01, 0.02, 0.003)
    found = between(old, Reading(2.0, 2.5, 8, 0.3, 200, 1e-6, 31, 5, 0.02, 0.03, 0.004))
    assert (found.sampler, found.events, found.gated) == (0.3, 31, 5)
    assert (found.tracer, found.writer) == pytest.approx((200e-6, 0.02 + 0.01))
    assert found.process == 0.5


def test_a_sum_that_shrinks_has_begun_anew() -> None:
    found = between(Reading(1.0, 9.0, 7, 5.0, 10, 1e-6, 10, 10), Reading(2.0, 1.0, 7, 0.5, 4, 1e-6, 3, 2))
    assert (found.process, found.sampler, found.events, found.gated) == (1.0, 0.5, 3, 2)


def test_tracing_takes_no_more_than_all_time() -> None:
    """Events are recorded with the GIL held; a busy machine calibrates too dear."""
    assert between(Reading(0.0), Reading(0.5, units=10**9, unit=1e-6)).tracer == 0.5


def test_windows_are_no_shorter_than_a_quarter_of_a_second() -> None:
    ledger = Ledger()
    assert ledger.recent() is None
    closed = [ledger.add(Reading(at, process=at)) for at in (0.0, 0.1, 0.2, 0.25, 0.4, 1.0, 0.9, 1.2)]
    # 0.9: the clock went back, and nothing is known of that time.
    assert [None if each is None else round(each.seconds, 3) for each in closed] == [None, None, None, 0.25, None, 0.75, None, 0.3]
    assert ledger.recent() == total([Window(0.25, 0.25), Window(0.75, 0.75), between(Reading(0.9, 0.9), Reading(1.2, 1.2))])
    ledger.forget()
    assert ledger.recent() is None and ledger.add(Reading(5.0)) is None


@given(st.lists(st.floats(0.01, 20), min_size=1, max_size=60))
def test_what_is_recent_is_about_ten_seconds(steps: list[float]) -> None:
    ledger, at = Ledger(), 0.0
    lengths = []
    for step in steps:
        at += step
        window = ledger.add(Reading(at, process=2 * at))
        lengths += [window.seconds] if window is not None else []
    recent = ledger.recent()
    if recent is None:
        assert lengths == []
        return
    assert min(lengths) >= SHORTEST - 1e-9
    assert recent.seconds >= min(sum(lengths), LONGEST) - 1e-9
    assert recent.seconds - lengths[-1] <= LONGEST + max(lengths)
    assert recent.process == pytest.approx(2 * recent.seconds)


# --- where the readings come from ---------------------------------------------------------------------------------------------------------------


def work() -> int:
    return inner()


def inner() -> int:
    return 1


def other() -> int:
    return inner()


def test_the_core_says_what_the_session_has_cost() -> None:
    hybridprof.stop()
    nothing = _core.costs()
    assert (nothing["sampler_cpu_ns"], nothing["events"], nothing["units"], nothing["own_bytes"]) == (0, 0, 0, 0)
    with hybridprof.Profiler(rate=1000, deep=[f"{__name__}:work"]):
        first = _core.costs()
        assert first["session"] > nothing["session"] and first["own_bytes"] > 0 and first["unit_ns"] > 0
        for _ in range(1000):
            globals()["work"]()
        then = _core.costs()
        while then["sampler_cpu_ns"] == 0:  # on a busy machine its thread may not have had its turn
            time.sleep(0.01)
            then = _core.costs()
        # A call has two events, and each start weighs three units at least.
        assert then["events"] - first["events"] == 4000
        assert then["units"] - first["units"] >= 6000
        assert then["session"] == first["session"]
        status = _core.status()
        assert status["sampler_cpu_ns"] >= then["sampler_cpu_ns"] > 0
        assert status["tracing"]["events"] == then["events"]
    after = _core.costs()
    assert (after["session"], after["events"], after["sampler_cpu_ns"]) == (then["session"], 0, 0)


def test_events_at_a_closed_gate_cost_too() -> None:
    with hybridprof.Profiler(rate=0, deep=[f"{__name__}:work"]):
        globals()["work"]()  # from here on `inner` has events
        globals()["work"]()
        first = _core.costs()
        for _ in range(1000):
            globals()["inner"]()
        then = _core.costs()
    if _core.HOOKS[0] == "monitoring":  # the other hook is on beneath targets only, and meets nothing elsewhere
        assert then["gated"] - first["gated"] >= 1000 and then["units"] - first["units"] >= 1000
    assert then["events"] == first["events"]


def test_the_thread_that_writes_is_counted(tmp_path: Path) -> None:
    with hybridprof.Profiler(rate=1000):
        _core.stream(str(tmp_path / "x.hyprof"), 0.01)
        try:
            while not _core.costs()["writer_cpu_ns"]:
                sum(range(1000))
        finally:
            _core.stream(None)
    assert (tmp_path / "x.hyprof").exists()


def test_a_real_reading() -> None:
    now = [5.0]
    readings = Readings(lambda: now[0])
    readings.charge(0.5)
    readings.charge(-1.0)
    readings.charge_ruler(0.25)
    with hybridprof.Profiler(rate=100):
        found = readings()
    assert (found.at, found.writing, found.ruler) == (5.0, 0.5, 0.25)
    assert found.process > 0 and found.rss > 1 << 20 and found.own > 0 and found.session > 0


def test_the_process_s_memory_is_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rss = [5.0], [100]
    monkeypatch.setattr(readings_, "_rss", lambda: rss[0])
    readings = Readings(lambda: now[0])
    seen = []
    for now[0], rss[0] in ((5.0, 100), (5.25, 200), (9.9, 300), (10.0, 400), (3.0, 500)):
        seen.append(readings().rss)
    assert seen == [100, 100, 100, 400, 500]


def test_calls_belong_to_the_outermost_target() -> None:
    functions = [("m", "a"), ("m", "b"), ("n", "C.c"), ("m", "<module>")]
    nodes: list[tuple[int, int, int | None, int, int, int, str]] = [
        (-1, -1, None, 0, 0, 0, ""),
        (0, 3, None, 0, 0, 0, ""),  # never traced: context
        (1, 0, 5, 0, 0, 0, ""),  # a
        (2, 1, 7, 0, 0, 0, ""),  # b beneath a
        (1, 1, 11, 0, 0, 0, ""),  # b
        (4, 2, 13, 0, 0, 0, ""),  # C.c beneath b
        (1, 2, 17, 0, 0, 0, ""),  # of a mark or a block: no target's
    ]
    assert calls_by_target(nodes, functions, ["m:a", "m:b"]) == {"m:a": 12, "m:b": 24}
    assert calls_by_target(nodes, functions, ["n:C"]) == {"n:C": 30}
    assert calls_by_target(nodes, functions, ["*"]) == {"*": 53}


def test_the_costliest_target_is_found_by_what_it_did_last() -> None:
    costs = TargetCosts()
    targets = [f"{__name__}:work", f"{__name__}:inner"]
    with hybridprof.Profiler(rate=0, deep=targets):
        for _ in range(10):
            globals()["work"]()
        assert costs.shares(targets) == {targets[0]: 1.0, targets[1]: 0.0}
        for _ in range(60):
            globals()["inner"]()
        for _ in range(20):
            globals()["work"]()
        assert costs.shares(targets) == {targets[0]: 0.4, targets[1]: 0.6}
        assert costs.shares(targets) == {}  # nothing since


@pytest.mark.parametrize("others", [[], ["other"]])
def test_what_was_beneath_a_target_that_has_gone_costs_nothing_more(others: list[str]) -> None:
    """Else a target that is dropped because it costs too much would go on costing two thirds of it."""
    with hybridprof.Profiler(rate=0, deep=[f"{__name__}:{each}" for each in ("work", *others)]) as profiler:
        globals()["work"]()
        globals()["work"]()
        with api._lock:
            profiler.retarget([f"{__name__}:{each}" for each in others], 1.0)
        first = _core.costs()
        for _ in range(1000):
            globals()["work"]()
        then = _core.costs()
        assert (then["events"] - first["events"], then["gated"] - first["gated"], then["units"] - first["units"]) == (0, 0, 0)
        if others:  # and beneath what is still a target it is met again
            globals()["other"]()
            before = _core.costs()["events"]
            globals()["other"]()
            assert _core.costs()["events"] - before == 4


def test_what_blocks_have_met_is_forgotten_on_request() -> None:
    with hybridprof.Profiler(rate=0, deep=[f"{__name__}:other"]):
        for _ in range(2):
            with hybridprof.deep.block("a request"):
                globals()["work"]()
        first = _core.costs()
        for _ in range(100):
            globals()["work"]()
        then = _core.costs()
        if _core.HOOKS[0] == "monitoring":
            assert then["gated"] - first["gated"] >= 100
        _core.forget_beneath()
        first = _core.costs()
        for _ in range(100):
            globals()["work"]()
        assert _core.costs()["units"] == first["units"]
        globals()["other"]()
        globals()["other"]()
        assert _core.costs()["events"] > first["events"]


def test_what_waits_outside_the_core_is_our_memory_too(hand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Output, "held", 2000)
    monkeypatch.setattr(Control, "held", 300)
    hand.configured("stage = 'fleet'")
    hand.sums = replace(hand.sums, own=10)
    hand.look()
    assert hand.look()["costs"]["own_bytes"] == 2310
