# SPDX-License-Identifier: MIT
"""What comes in bursts is held to its budget. Clocks stand still until a test moves them."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridprof.rollout.pace import FLOOR, Pace, Spent


class Hand:
    def __init__(self) -> None:
        self.now = self.process = 100.0
        self.pace = Pace(lambda: self.now, lambda: self.process)

    def passes(self, seconds: float, cpu: float) -> None:
        self.now += seconds
        self.process += cpu


def test_a_burst_is_paid_for_by_the_programs_work() -> None:
    hand = Hand()
    assert hand.pace.allows(1.0)
    hand.pace.begin()
    hand.pace.charge(0.05)
    assert not hand.pace.allows(1.0) and hand.pace.allows(100.0) is False
    hand.passes(5.1, 5.1)
    assert hand.pace.allows(1.0) and not hand.pace.allows(0.5)
    hand.pace.begin()  # what is left over is not kept for later
    hand.pace.charge(0.05)
    assert not hand.pace.allows(1.0)


def test_how_long_it_takes_to_be_paid_for() -> None:
    """If the program goes on as it has; one that does less says so the next time."""
    hand = Hand()
    assert hand.pace.wait(1.0) == 0
    hand.pace.charge(0.05)
    hand.passes(2.0, 1.0)
    assert hand.pace.wait(1.0) == pytest.approx(8.0)
    hand.passes(7.9, 3.95)
    assert not hand.pace.allows(1.0)
    hand.passes(0.2, 0.1)
    assert hand.pace.allows(1.0) and hand.pace.wait(1.0) == 0


def test_who_shares_a_budget_takes_turns() -> None:
    """Else the one that always asks first would have every burst."""
    hand, had = Hand(), {"files": 0, "uploads": 0}
    for _ in range(200):
        hand.passes(1.0, 1.0)
        for who in had:
            if hand.pace.allows(1.0, who):
                hand.pace.begin(who)
                hand.pace.charge(0.05)
                had[who] += 1
    assert abs(had["files"] - had["uploads"]) <= 1 and sum(had.values()) > 30
    alone = 0
    for _ in range(100):
        hand.passes(1.0, 1.0)
        if hand.pace.allows(1.0, "files"):
            hand.pace.begin("files")
            hand.pace.charge(0.05)
            alone += 1
    assert alone >= 18  # nobody waits for who asks no more


def test_a_program_that_sleeps_is_written_too() -> None:
    hand = Hand()
    hand.pace.charge(0.01)
    hand.passes(0.009 / FLOOR, 0.0)
    assert not hand.pace.allows(1.0)
    hand.passes(0.002 / FLOOR, 0.0)
    assert hand.pace.allows(1.0)


@given(st.floats(0.01, 100), st.lists(st.tuples(st.floats(0, 2), st.floats(0, 10), st.floats(0, 8)), min_size=1, max_size=50))
def test_over_any_time_it_takes_its_share_and_one_burst(budget: float, looks: list[tuple[float, float, float]]) -> None:
    hand, spent, last = Hand(), 0.0, 0.0
    for cost, seconds, cpu in looks:
        hand.passes(seconds, min(seconds, cpu))
        if hand.pace.allows(budget):
            hand.pace.begin()
            hand.pace.charge(cost)
            spent, last = spent + cost, cost
    earned = budget / 100 * (hand.process - 100) + FLOOR * (hand.now - 100)
    assert spent - last <= earned * (1 + 1e-9)


def test_nothing_that_threads_tell_is_lost() -> None:
    spent = Spent()
    threads = [threading.Thread(target=lambda: [spent.add(0.5) for _ in range(20_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        spent.total()
    for thread in threads:
        thread.join()
    spent.add(-3.0)
    assert spent.total() == 40_000.0
