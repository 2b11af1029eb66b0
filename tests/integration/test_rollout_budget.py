# SPDX-License-Identifier: MIT
"""A service whose load jumps: the ladder's steps are really applied to its session, and taken back. Time and costs are made up; the session is real."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruled import Hand

import hybridprof
from hybridprof import _core
from hybridprof.cli.status import described
from hybridprof.rollout import readings
from hybridprof.rollout.ladder import HALVINGS, PATIENCE

HERE = __name__
CONFIG = f"stage = 'deep'\n[sampler]\nrate = 80\n[deep]\ntargets = ['{HERE}:cheap', '{HERE}:dear']\nrate = 0.64\n[caps]\ndeep_rate = 1.0\n"


def cheap() -> int:
    return 1


def dear() -> int:
    return sum(map(int, "12"))


def armed() -> dict[str, float]:
    return {code.co_qualname: rate for code, rate in _core.targets() if code.co_filename == __file__}


def here() -> Any:
    """This module as it is now: on 3.11 targets are replaced in it."""
    return sys.modules[HERE]


def steps(status: dict[str, Any]) -> list[str]:
    found: list[str] = status["ladder"]["steps"]
    return found


def test_a_load_that_jumps_ten_times(hand: Hand) -> None:
    """Four looks a second, as a ruler takes them while something is traced. Over any ten seconds the costs stay within their budgets."""
    status = hand.configured(CONFIG)
    began = hybridprof.snapshot().meta["started"]
    past: list[tuple[float, float, float]] = []

    def second(load: float) -> dict[str, Any]:
        """Tracing costs what is armed, the sampler what its rate says."""
        nonlocal status
        for _ in range(4):
            tracer, sampler = load * 0.01 * sum(armed().values()) / 1.28, 0.004 * status["rate_hz"] / 80
            past.append((0.25, sampler, tracer))
            status = hand.costs(0.25, sampler=sampler, tracer=tracer)
        return status

    for _ in range(15):
        assert steps(second(1.0)) == []
    assert armed() == {"cheap": 0.64, "dear": 0.64}
    second(10.0)
    assert steps(status) == ["halve"] * 3 and armed() == {"cheap": 0.08, "dear": 0.08}
    assert status["in_force"]["deep.rate"] == {
        "value": 0.08,
        "from": f"{hand.path}:7, lowered by the budget: tracing took 5 times its budget",
        "asked": 0.64,
    }
    assert status["ladder"]["says"] == ["deep rates are 1/8 of what they would be"]
    for _ in range(30):
        second(10.0)
    assert steps(status) == ["halve"] * 3  # what is left fits, and is not tried again for ever
    for _ in range(30):
        second(1.0)
    assert steps(status) == [] and armed() == {"cheap": 0.64, "dear": 0.64}
    assert status["rate_hz"] == 80 and hybridprof.snapshot().meta["started"] == began  # all within one session
    for first in range(len(past) - 40):
        ten = past[first : first + 40]
        assert sum(seconds * tracer for seconds, _, tracer in ten) <= 0.02 * 10
        assert sum(seconds * sampler for seconds, sampler, _ in ten) <= 0.01 * 10


def test_the_costliest_target_goes_when_rates_do_not_help(hand: Hand) -> None:
    hand.configured(CONFIG.replace("0.64", "1.0"))
    hand.costs()  # the first reading
    while len(steps(hybridprof.status())) < HALVINGS:
        hand.costs(tracer=0.5)
    here().cheap()
    for _ in range(2000):
        here().dear()
    status = hand.costs(tracer=0.025)
    assert steps(status)[HALVINGS:] == ["drop"] and status["patterns"] == [f"{HERE}:cheap"] and set(armed()) == {"cheap"}
    status = hand.costs(tracer=0.025)
    assert steps(status)[HALVINGS:] == ["drop", "drop"] and armed() == {}
    assert status["ladder"]["says"][1:] == [f"target {HERE}:dear is dropped", f"target {HERE}:cheap is dropped"]
    status = hand.costs(tracer=0.025)  # by marks and blocks
    assert steps(status)[-1] == "untrace" and status["runs"] == {"sampler": True, "tracer": False}
    assert status["why"].endswith("; no targets: tracing took 1.25 times its budget")
    for _ in range(PATIENCE):
        status = hand.costs()
    assert steps(status)[-1] == "drop" and status["runs"]["tracer"]


def test_the_sampler_slows_down_and_ends_and_comes_back(hand: Hand) -> None:
    hand.configured("stage = 'fleet'\nsampler.rate = 80\n")
    hand.costs()
    assert hand.costs(sampler=0.02)["rate_hz"] == 20
    assert hand.costs(sampler=0.9)["rate_hz"] == 20  # a change costs what no rate does
    assert hand.costs(sampler=0.02)["rate_hz"] == 5
    hand.costs(sampler=0.02)
    status = hand.costs(sampler=0.02)
    assert (status["running"], status["stage"], steps(status)[-1]) == (False, "dark", "off")
    assert status["why"].startswith("stage 'dark' (budget: sampling took 2 times its budget)")
    while hybridprof.status()["ladder"]["owed_cpu_s"]:  # which is paid first
        hand.costs()
    rates = [0.0]  # in the window with which it was
    for _ in range(6 * PATIENCE - 1):
        status = hand.costs()
        rates.append(status["rate_hz"] if status["running"] else 0.0)
    assert [rates[PATIENCE * number - 1] for number in range(1, 6)] == [5, 10, 20, 40, 80] and steps(status) == []


def by_the_file(hand: Hand) -> None:
    hand.write("stage = 'fleet'\nsampler.rate = 40\n")


def by_an_override(hand: Hand) -> None:
    hand.ruler.override("sampler.rate", 40, hand.until() + 600)


def by_the_program(hand: Hand) -> None:
    hybridprof.start(rate=40)


@pytest.mark.parametrize("change", [by_the_file, by_an_override, by_the_program])
def test_a_beginning_by_will_is_forgiven_and_nothing_else(hand: Hand, change: Callable[[Hand], None]) -> None:
    """A file changes what runs when the window of before is closed, others at once; in both cases the beginning falls into the window that closes next."""
    hand.configured("stage = 'fleet'\n" + ("" if change is by_the_program else "sampler.rate = 80\n"))
    for _ in range(5):
        hand.costs(sampler=0.001)
    change(hand)
    if change is by_the_file:
        assert steps(hand.costs(sampler=0.001)) == []  # it is seen now
    assert hybridprof.status()["rate_hz"] == 40
    status = hand.costs(sampler=0.03)
    assert (steps(status), status["ladder"]["owed_cpu_s"]) == ([], pytest.approx(0.02))
    assert steps(hand.costs(sampler=0.03))[:1] == ["lengthen"]


def test_a_change_forgives_nothing_of_what_came_before_it(hand: Hand) -> None:
    hand.configured("stage = 'fleet'\nsampler.rate = 80\n")
    for _ in range(5):
        hand.costs(sampler=0.001)
    by_the_file(hand)
    status = hand.costs(sampler=0.03)
    assert steps(status) == ["lengthen"] * 2 and status["rate_hz"] == 10


def test_the_costs_stand_beside_their_budgets(hand: Hand) -> None:
    assert hand.configured("stage = 'fleet'\nsampler.budget = '2%'\n")["costs"] is None
    hand.costs()
    costs = hand.costs(2.0, process=0.5, sampler=0.005, tracer=0.001)["costs"]
    assert (costs["sampler_share"], costs["sampler_budget"], costs["tracer_budget"]) == pytest.approx((0.0025, 0.02, 0.02))
    assert costs["sampler_of_budget"] == pytest.approx(costs["sampler_share"] / 0.02)
    assert costs["seconds"] == 3.0


def test_tables_that_are_too_large_begin_anew(hand: Hand, tmp_path: Path) -> None:
    """What they had is in a file, nothing is traced for ten windows, and the operator sees why."""
    (tmp_path / "state").mkdir(mode=0o700)
    places = f"state_dir = '{tmp_path}/state'\noutput_dir = '{tmp_path}/profiles'\n"
    hand.configured(places + CONFIG + "[memory]\nbudget = 20\n")
    hand.costs()
    session, files = _core.costs()["session"], hybridprof.status()["output"]["written"]
    here().cheap()
    hand.sums = replace(hand.sums, own=21_000_000)
    status = hand.costs()
    assert steps(status) == ["shed"] and status["ladder"]["why"] == "tables took 1.05 times their budget of memory"
    assert status["runs"] == {"sampler": True, "tracer": False} and status["running"] and armed() == {}
    assert _core.costs()["session"] > session
    assert (status["costs"]["memory_budget_bytes"], status["costs"]["memory_of_budget"]) == (20_000_000, 1.05)
    report = {**hand.ruler.report(), "pid": 1}
    assert "  memory    21.0 MB of tables (105 % of their budget, 20 MB), of 0.0 MB in all" in described(report, 0.0)
    deadline = time.monotonic() + 20
    while hybridprof.status()["output"]["written"] == files:  # by the thread that writes, long before its minute is over
        assert time.monotonic() < deadline
        time.sleep(0.02)
    hand.sums = replace(hand.sums, own=1_000_000)
    for _ in range(PATIENCE):
        status = hand.costs()
    assert steps(status) == [] and set(armed()) == {"cheap", "dear"}
    hand.ruler.close()
    audit = (tmp_path / "state" / "audit.jsonl").read_text()
    assert "nothing is traced, for its memory" in audit


def left(depth: int) -> int:
    return 0 if not depth else left(depth - 1) + right(depth - 1)


def right(depth: int) -> int:
    return 1 if not depth else left(depth - 1) + right(depth - 1)


def test_a_new_session_really_has_empty_tables(hand: Hand) -> None:
    """A tree of sixteen thousand nodes in a budget of a megabyte above what the process knows of code, with readings of this very process."""
    hand.ruler._accounts._read = readings.Readings(lambda: hand.now)
    hand.configured(CONFIG.replace("cheap", "left").replace("0.64", "1.0\nbudget = '10%'"))
    empty = _core.costs()["own_bytes"]
    budget = max(1.0, empty / 1e6 + 0.9)
    hand.says(CONFIG.replace("cheap", "left").replace("0.64", "1.0\nbudget = '10%'") + f"[memory]\nbudget = {budget}\n")
    hand.look()
    for _ in range(20):  # the core keeps its own budget meanwhile
        here().left(13)
        if _core.costs()["own_bytes"] > budget * 1e6:
            break
    large = _core.costs()["own_bytes"]
    assert large > budget * 1e6
    assert "shed" in steps(hand.look())
    assert _core.costs()["own_bytes"] < empty + (large - empty) / 2
    assert "off" not in steps(hand.look()) and hybridprof.status()["running"]


def test_an_override_of_memory_is_capped(hand: Hand) -> None:
    hand.configured("stage = 'fleet'\n[caps]\nmemory_budget = 100\n")
    hand.ruler.override("memory.budget", 50, hand.until())
    assert hand.look()["in_force"]["memory.budget"]["value"] == 50
    with pytest.raises(ValueError, match=r"memory.budget is 500, and \[caps\] memory_budget allows at most 100"):
        hand.ruler.override("memory.budget", 500, hand.until())
    assert hand.says("stage = 'fleet'\n")["in_force"]["memory.budget"]["value"] == 50


def test_what_somebody_else_ends_is_held_against_nobody(hand: Hand) -> None:
    hand.configured("stage = 'fleet'\nsampler.rate = 80\n")
    hand.costs()
    assert hand.costs(sampler=0.02)["rate_hz"] == 20
    hand.says("stage = 'off'")
    assert hand.says("stage = 'fleet'\nsampler.rate = 80\n")["rate_hz"] == 80


def test_real_costs_of_a_real_session(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with readings of this very process, in which tracing is made to look dear: the core's figures reach the ladder."""
    real = readings.Readings(lambda: hand.now)
    hand.ruler._accounts._read = real
    costs = _core.costs
    monkeypatch.setattr(readings._core, "costs", lambda: {**costs(), "unit_ns": 1e6})
    hand.configured(CONFIG.replace("0.64", "1.0"))
    hand.look()
    for _ in range(1000):
        here().dear()
    status = hand.look()
    # At least: the core keeps its own budget meanwhile.
    assert status["costs"]["events"] >= 20 and status["costs"]["tracer_of_budget"] > 1
    # A single event at a closed gate is dear here, too, and then the costliest target goes instead.
    assert steps(status)[:1] in (["halve"], ["drop"]) and sum(armed().values()) < 2.0
