# SPDX-License-Identifier: MIT
"""The ladder against services whose cost is known: it gets within the budget, in its order, and gives back all that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridprof.rollout.ladder import (
    HALVINGS,
    HEADROOM,
    LENGTHENINGS,
    MOST_OWED,
    PATIENCE,
    TRACER_KINDS,
    Budgets,
    Easing,
    State,
    Step,
    after,
    at_rest,
    described,
    easing,
    load,
    most_windows,
    sheds,
    willed,
)
from hybridprof.rollout.ledger import Window

BUDGETS = Budgets(1.0, 2.0)
TEN = 10.0


def over(window: Window) -> bool:
    return load(window.tracer, BUDGETS.tracer, window) > 1 or load(window.sampler, BUDGETS.sampler, window) > 1


@dataclass
class Service:
    """What it would cost without a ladder, each as a share of its CPU time. gated: of tracing, what a lower rate does not save, as long as a target is there."""

    targets: Mapping[str, float] = field(default_factory=lambda: {"a": 0.5, "b": 0.3, "c": 0.2})
    tracer: float = 0.005
    marks: float = 0.0
    gated: float = 0.0
    sampler: float = 0.002
    busy: float = 1.0  # of a core
    window: float = 0.25
    state: State = field(default_factory=State)
    past: list[Window] = field(default_factory=list)

    def costs(self) -> tuple[float, float]:
        now = easing(self.state) or Easing()
        if now.off:
            return 0.0, 0.0
        left = sum(share for target, share in self.targets.items() if target not in now.dropped)
        traced = self.tracer * left * (now.deep_share + self.gated) + self.marks * now.deep_share
        return 0.0 if now.untraced else traced, self.sampler / now.interval

    def runs(self, windows: int) -> list[State]:
        states = []
        for _ in range(windows):
            tracer, sampler = (cost * self.busy * self.window for cost in self.costs())
            self.past.append(Window(self.window, self.busy * self.window, sampler, tracer))
            self.state = after(self.state, self.past[-1], BUDGETS, list(self.targets), lambda: self.targets)
            states.append(self.state)
        return states

    def is_over(self) -> bool:
        tracer, sampler = (cost * self.busy for cost in self.costs())
        return over(Window(1.0, self.busy, sampler, tracer))

    def longest_overrun(self) -> int:
        """Windows in a row."""
        longest = now = 0
        for window in self.past:
            now = now + 1 if over(window) else 0
            longest = max(longest, now)
        return longest

    def worst_ten_seconds(self) -> tuple[float, float]:
        """Of each budget, over any ten seconds."""
        many = round(TEN / self.window)
        worst = [0.0, 0.0]
        for first in range(max(1, len(self.past) - many + 1)):
            part = self.past[first : first + many]
            cpu, seconds = sum(each.process for each in part), sum(each.seconds for each in part)
            whole = Window(seconds, cpu)
            worst[0] = max(worst[0], load(sum(each.tracer for each in part), BUDGETS.tracer, whole))
            worst[1] = max(worst[1], load(sum(each.sampler for each in part), BUDGETS.sampler, whole))
        return worst[0], worst[1]


def kinds(state: State) -> list[str]:
    return [step.kind for step in state.steps]


def test_within_its_budgets_nothing_is_taken_back() -> None:
    service = Service(tracer=0.9 * HEADROOM * 0.02, sampler=0.9 * HEADROOM * 0.01)
    assert all(state.steps == () for state in service.runs(200))
    assert easing(service.state) is None and described(service.state) == []


def test_every_step_in_its_order() -> None:
    """Tracing that no rate makes cheaper, and a sampler that is far too dear: all steps there are."""
    service = Service(tracer=0.5, gated=1e6, sampler=0.9)
    service.runs(40)
    assert kinds(service.state)[-1] == "off" and service.costs() == (0.0, 0.0)
    tracing = [kind for kind in kinds(service.state) if kind in TRACER_KINDS]
    assert tracing == ["halve"] * HALVINGS + ["drop"] * 3
    assert [kind for kind in kinds(service.state) if kind not in TRACER_KINDS] == ["lengthen"] * LENGTHENINGS + ["off"]
    assert service.state.dropped == ("a", "b", "c")  # the costliest first
    service = Service(targets={}, marks=100.0)
    service.runs(10)
    assert kinds(service.state) == ["halve"] * HALVINGS + ["untrace"]


def test_a_sampler_that_is_too_dear_costs_no_target() -> None:
    service = Service(sampler=0.03)
    service.runs(40)
    assert set(kinds(service.state)) == {"lengthen"} and not service.is_over()


def test_what_cannot_be_explained_ends_everything() -> None:
    """Nothing is traced, and tracing costs too much all the same: the sampler's steps, then off."""
    state = State((Step("untrace"),))
    for _ in range(LENGTHENINGS + 1):
        state = after(state, Window(1.0, 1.0, 0.0, 0.5), BUDGETS, (), dict)
    assert kinds(state)[-1] == "off" and state.steps[-1].why == "tracing, though nothing is traced, took 25 times its budget"
    assert after(state, Window(1.0, 1.0, 0.0, 0.5), BUDGETS, (), dict).steps == state.steps


def test_of_targets_of_which_nothing_is_known_the_last_goes_first() -> None:
    state = State((Step("halve"),) * HALVINGS)
    for expected in ("c", "b", "a"):
        state = after(state, Window(0.25, 0.25, 0.0, 0.1), BUDGETS, ["a", "b", "c"], dict)
        assert state.steps[-1] == Step("drop", expected, "tracing took 20 times its budget")


def test_as_many_targets_go_as_the_overrun_asks_for() -> None:
    state = State((Step("halve"),) * HALVINGS)
    shares = {"a": 0.2, "b": 0.7, "c": 0.1}
    assert after(state, Window(0.25, 0.25, 0.0, 0.0055), BUDGETS, list(shares), lambda: shares).dropped == ("b",)
    assert after(state, Window(0.25, 0.25, 0.0, 0.05), BUDGETS, list(shares), lambda: shares).dropped == ("b", "a", "c")


def test_where_closed_gates_cost_too_much_no_rate_is_halved() -> None:
    """What was tried once and helped nothing is not tried six times."""
    state = after(State(), Window(0.25, 0.25, 0.0, 0.05), BUDGETS, ["a", "b"], dict)
    assert set(kinds(state)) == {"halve"} and len(state.steps) == 4
    state = after(state, Window(0.25, 0.25, 0.0, 0.04, closed=0.03), BUDGETS, ["a", "b"], lambda: {"a": 1.0})
    assert kinds(state)[4:] == ["drop"] and state.dropped == ("a",)
    state = after(state, Window(0.25, 0.25, 0.0, 0.006, closed=0.0), BUDGETS, ["a", "b"], dict)
    assert kinds(state)[5:] == ["halve"]  # what is left of the events is traced calls: here a rate helps


MEMORY = Budgets(1.0, 2.0, 10.0)


def fills(state: State, *megabytes: float, sampler: float = 0.0) -> State:
    for each in megabytes:
        state = after(state, Window(1.0, 1.0, sampler, own=round(each * 1e6)), MEMORY, ["a"], dict)
    return state


def test_tables_that_are_too_large_begin_anew_and_then_end() -> None:
    state = fills(State(), 9.9, 10.0)
    assert state.steps == ()
    shed = fills(state, 10.1)
    assert shed.steps == (Step("shed", why="tables took 1.01 times their budget of memory"),) and sheds(state.steps, shed.steps)
    now = easing(shed)
    assert now is not None and now.untraced and not now.off and now.deep_share == 1.0
    assert described(shed) == ["nothing is traced, for its memory"]
    again = fills(shed, 0.5, 5.0, 10.5)
    assert kinds(again) == ["shed", "off"] and not sheds(shed.steps, again.steps)
    assert fills(again, 0.0, 99.0).steps == again.steps  # nothing is left to take back


def test_memory_is_given_back_like_all_else() -> None:
    state = fills(State(), 11.0)
    assert kinds(fills(state, *[0.5] * (PATIENCE - 1))) == ["shed"]
    back = fills(state, *[0.5] * PATIENCE)
    assert back.steps == () and not sheds(state.steps, back.steps)
    assert kinds(fills(state, *[8.0] * 40)) == ["shed"]  # within the budget, without the headroom
    relapsed = fills(back, 11.0)
    assert kinds(relapsed) == ["shed"] and relapsed.patience == 2 * PATIENCE


def test_a_new_session_comes_before_slower_samples() -> None:
    state = fills(State(), 1.0, 11.0, sampler=0.04)
    assert kinds(state) == ["shed"]
    assert kinds(fills(state, 1.0, 1.0, sampler=0.04)) == ["shed"] + ["lengthen"] * 3


def test_a_load_that_jumps_ten_times_stays_within_its_budget_over_any_ten_seconds() -> None:
    for before in (0.1, 0.3, 0.5, 0.65):
        service = Service(tracer=before * 0.02, sampler=before * 0.01)
        service.runs(80)
        service.tracer *= 10
        first = service.runs(1)[0]
        if before > 0.1:
            assert "halve" in kinds(first)  # in the very first window that shows it
        service.runs(200)
        assert not service.is_over()
        service.tracer /= 10
        service.runs(400)
        assert service.state.steps == ()
        assert service.worst_ten_seconds()[0] <= 1.0, before


def test_calls_times_ten_with_the_cpu_time_times_ten_is_no_overrun() -> None:
    service = Service(tracer=0.01, sampler=0.0001, busy=0.08)
    service.runs(50)
    service.busy = 0.8
    service.runs(50)
    assert service.state.steps == () and service.worst_ten_seconds()[0] <= 1.0


def test_a_program_that_sleeps_may_be_sampled() -> None:
    """The floor, 0.1 % of a core, whatever the share of next to nothing is."""
    service = Service(busy=0.001, sampler=0.7, tracer=0.7)
    assert all(state.steps == () for state in service.runs(100))
    service.sampler = 1.5
    service.runs(20)
    assert set(kinds(service.state)) == {"lengthen"}


def test_one_step_is_given_back_for_ten_clean_windows() -> None:
    service = Service(tracer=0.15)
    service.runs(1)
    assert kinds(service.state) == ["halve"] * 4
    service.tracer = 0.001
    counts = [len(state.steps) for state in service.runs(4 * PATIENCE)]
    assert counts == [4] * 9 + [3] * 10 + [2] * 10 + [1] * 10 + [0]


def test_a_step_that_is_needed_again_at_once_is_given_back_later_and_later() -> None:
    """A target that is always too dear when it is there."""
    service = Service(targets={"a": 1.0}, tracer=0.5, gated=1e6)
    states = service.runs(6000)
    trials = [number for number, (old, new) in enumerate(zip(states, states[1:], strict=False)) if len(new.steps) < len(old.steps)]
    gaps = [later - earlier for earlier, later in zip(trials, trials[1:], strict=False)]
    assert gaps == sorted(gaps) and gaps[0] < 30 and gaps[-1] > 300
    service.tracer, service.gated = 0.001, 0.0
    service.runs(20 * 640)
    assert service.state.steps == () and service.state.patience == PATIENCE


SHARES = st.dictionaries(st.sampled_from("abcde"), st.floats(0.01, 1.0), max_size=5)
COST = st.floats(0.0, 1.0)


@settings(max_examples=200, deadline=None)
@given(SHARES, COST, COST, COST, COST, st.floats(0.001, 4.0))
def test_it_is_never_over_for_long(
    targets: dict[str, float], tracer: float, marks: float, sampler: float, gated: float, busy: float
) -> None:
    """Whatever each step saves."""
    service = Service(targets, tracer, marks, gated, sampler, busy, window=1.0)
    service.runs(60)
    assert service.longest_overrun() <= most_windows(len(targets))


@settings(max_examples=200, deadline=None)
@given(SHARES, st.lists(st.tuples(COST, COST, COST), min_size=1, max_size=8))
def test_steps_come_in_their_order(targets: dict[str, float], loads: list[tuple[float, float, float]]) -> None:
    service = Service(targets, window=1.0)
    for service.tracer, service.marks, service.sampler in loads:
        for state in service.runs(15):
            of = [kind for kind in kinds(state) if kind in TRACER_KINDS]
            assert of == sorted(of, key=TRACER_KINDS.index)
            rest = [kind for kind in kinds(state) if kind not in TRACER_KINDS]
            assert rest == sorted(rest) and rest.count("off") <= 1  # "lengthen" before "off", by chance in the alphabet too
            assert of.count("halve") <= HALVINGS and rest.count("lengthen") <= LENGTHENINGS
            assert len(set(state.dropped)) == len(state.dropped) and set(state.dropped) <= targets.keys()
            assert not state.dropped or of.count("halve") == HALVINGS


@settings(max_examples=100, deadline=None)
@given(SHARES, COST, COST, COST, st.floats(0.0, 0.65), st.floats(0.0, 0.65))
def test_it_recovers_fully(
    targets: dict[str, float], tracer: float, marks: float, sampler: float, tracer_then: float, sampler_then: float
) -> None:
    """Once all of it fits within nine tenths of the headroom, and what beginnings have cost is paid."""
    service = Service(targets, tracer, marks, 0.0, sampler, window=1.0)
    service.runs(30)
    service.tracer, service.marks = tracer_then * BUDGETS.tracer / 100 / max(1e-9, sum(targets.values())), 0.0
    service.sampler = sampler_then * BUDGETS.sampler / 100
    steps, patience = len(service.state.steps), service.state.patience
    service.runs(steps * patience + 1 + ceil(MOST_OWED / (1 - 0.65)))
    assert service.state.steps == ()


# --- what a beginning costs -----------------------------------------------------------------------------------------------------------------------

FLOOR_OF_A_SECOND = 0.001  # CPU seconds, of a program that does next to nothing


@dataclass
class Beginning:
    """A sampler in a program that sleeps: `begins` CPU seconds when it begins or changes its rate, and `rate` a second besides."""

    begins: float
    rate: float
    state: State = field(default_factory=State)
    spent: list[float] = field(default_factory=list)
    changed: bool = True

    def second(self, will: bool = False) -> None:
        if will:
            self.state, self.changed = willed(self.state), True
        now = easing(self.state) or Easing()
        cost = 0.0 if now.off else self.rate / now.interval + self.begins * self.changed
        self.spent.append(cost)
        before, self.changed = self.state.steps, False
        self.state = after(self.state, Window(1.0, 0.0, cost), BUDGETS, (), dict)
        self.changed = self.state.steps != before

    def mean(self, last: int) -> float:
        return sum(self.spent[-last:]) / last


def test_a_beginning_is_the_reason_for_no_step() -> None:
    service = Beginning(begins=0.0157, rate=0.0006)
    for _ in range(120):
        service.second()
    assert service.state.steps == () and service.state.owed == 0.0
    assert service.mean(120) <= FLOOR_OF_A_SECOND  # and it is paid for
    service = Beginning(begins=0.0157, rate=0.0015)  # too dear by itself: one step, whose own beginning is no reason for another
    for _ in range(60):
        service.second()
    assert kinds(service.state) == ["lengthen"]


def test_what_a_beginning_cost_is_owed_and_paid() -> None:
    state = after(State(), Window(1.0, 0.0, 0.0157), BUDGETS, (), dict)
    owed = [state.owed]
    for _ in range(40):
        state = after(state, Window(1.0, 0.0, 0.0005), BUDGETS, (), dict)
        owed.append(state.owed)
    assert owed[0] == pytest.approx(0.0147) and owed[10] == pytest.approx(0.0097) and owed[29] == pytest.approx(0.0002) and owed[30] == 0.0


def test_no_step_of_the_sampler_is_given_back_while_something_is_owed() -> None:
    owing, free = State((Step("lengthen"),), owed=0.03), State((Step("lengthen"),))
    for _ in range(PATIENCE + 1):
        owing, free = (after(each, Window(1.0, 0.0, 0.0002), BUDGETS, (), dict) for each in (owing, free))
    assert kinds(owing) == ["lengthen"] and kinds(free) == []
    for _ in range(40):
        owing = after(owing, Window(1.0, 0.0, 0.0002), BUDGETS, (), dict)
    assert kinds(owing) == []
    tracer = State((Step("halve"),), owed=0.03)  # which begins nothing
    for _ in range(PATIENCE):
        tracer = after(tracer, Window(1.0, 0.0, 0.0002), BUDGETS, (), dict)
    assert kinds(tracer) == []


@pytest.mark.parametrize("every", [1, 2, 5, 12])
def test_who_changes_his_mind_all_the_time_is_not_forgiven_for_ever(every: int) -> None:
    """A configuration that flaps: each change begins anew. In the long run it costs what the budget allows, nearly."""
    service = Beginning(begins=0.0157, rate=0.0003)
    for number in range(1200):
        service.second(will=number % every == 0)
    assert service.mean(600) <= 1.7 * FLOOR_OF_A_SECOND, service.mean(600) / FLOOR_OF_A_SECOND
    service.second(will=True)
    for _ in range(1500):
        service.second()
    assert service.state.steps == ()  # and once that has ended, all of it runs again


def test_what_is_owed_is_not_forgotten_while_nothing_runs() -> None:
    state = after(State(), Window(1.0, 0.0, 0.0157), BUDGETS, (), dict)
    state = at_rest(state, Window(1.0, 0.0, 0.0), BUDGETS)
    assert state.steps == () and state.owed == pytest.approx(0.0137)
    for _ in range(20):  # begun and ended again and again
        state = after(willed(state), Window(1.0, 0.0, 0.0157), BUDGETS, (), dict)
        state = at_rest(state, Window(1.0, 0.0, 0.0), BUDGETS) if not state.steps else state
    assert "lengthen" in kinds(state)
    assert at_rest(state, Window(100.0, 0.0), BUDGETS) == State(willed=True)
