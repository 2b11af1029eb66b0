# SPDX-License-Identifier: MIT
"""What crashes lead to, held against the same rules told as a story, for every short history."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridprof.rollout.crash_rules import Crashes, Standing, allowed, cleared, disabled_until, recorded, standing
from hybridprof.rollout.stages import STAGES

EVENTS = ("crash", "crash of another", "60 s of health", "59 s of health", "5 minutes", "40 minutes", "12 hours")
PAUSES = {"60 s of health": 60.0, "59 s of health": 59.0, "5 minutes": 300.0, "40 minutes": 2400.0, "12 hours": 43200.0}
HOUR = 3600.0


@dataclass
class Story:
    """One key's, event by event: what each crash did when it came, and what ended it."""

    times: list[float] = field(default_factory=list)
    steps: list[tuple[float, Standing]] = field(default_factory=list)
    disabled_to: float = -1.0

    def crash(self, now: float) -> None:
        self.times.append(now)
        if len([time for time in self.times if time >= now - HOUR]) > 2:
            self.disabled_to = now + 24 * HOUR
        twice = len([time for time in self.times if time >= now - 600]) > 1
        self.steps.append((now, Standing.SAMPLER_ONLY if twice else Standing.DOWN))

    def health(self, born: float) -> None:
        self.steps = [step for step in self.steps if step[0] > born]

    def standing(self, now: float) -> Standing:
        if now < self.disabled_to:
            return Standing.DISABLED
        return max((step for time, step in self.steps if now < time + 24 * HOUR), default=Standing.CLEAR)


def told(events: tuple[str, ...]) -> list[tuple[Standing, Standing]]:
    """After each event: (by the rules, by the story)."""
    crashes: Crashes = ()
    story, now, found = Story(), 1000.0, []
    for event in events:
        if event == "crash":
            crashes = recorded(crashes, "a", now)
            story.crash(now)
        elif event == "crash of another":
            crashes = recorded(crashes, "b", now)
        born, now = now, now + PAUSES.get(event, 0.0)
        if "health" in event:
            crashes = cleared(crashes, "a", born, now)
            if now - born >= 60:
                story.health(born)
        found.append((standing(crashes, "a", now), story.standing(now)))
    return found


def test_every_history_of_five_events() -> None:
    met = set()
    for events in itertools.product(EVENTS, repeat=5):
        pairs = told(events)
        assert all(rules is story for rules, story in pairs), (events, pairs)
        met |= {rules for rules, _ in pairs}
    assert met == set(Standing)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(EVENTS), max_size=60))
def test_long_histories(events: list[str]) -> None:
    assert all(rules is story for rules, story in told(tuple(events)))


@pytest.mark.parametrize(
    ("times", "now", "expected"),
    [
        ((), 0, Standing.CLEAR),
        ((0,), 0, Standing.DOWN),
        ((0,), 86399, Standing.DOWN),
        ((0,), 86400, Standing.CLEAR),
        ((0, 600), 600, Standing.SAMPLER_ONLY),
        ((0, 601), 601, Standing.DOWN),
        ((0, 1800, 3600), 3600, Standing.DISABLED),
        ((0, 1800, 3601), 3601, Standing.DOWN),
        ((0, 1, 2), 2 + 86399, Standing.DISABLED),
        ((0, 1, 2), 2 + 86400, Standing.CLEAR),
    ],
)
def test_the_edges_of_the_windows(times: tuple[float, ...], now: float, expected: Standing) -> None:
    crashes: Crashes = ()
    for time in times:
        crashes = recorded(crashes, "a", time)
    assert standing(crashes, "a", now) is expected
    assert standing(crashes, "b", now) is Standing.CLEAR


def test_health_lifts_a_step_and_forgets_no_crash() -> None:
    """A program that crashes every two minutes, each time after a minute of health, ends up disabled."""
    crashes: Crashes = ()
    found = []
    for round_ in range(3):
        now = 120.0 * (round_ + 1)
        crashes = recorded(crashes, "a", now)
        found.append(standing(crashes, "a", now))
        crashes = cleared(crashes, "a", now, now + 60)
        found.append(standing(crashes, "a", now + 60))
    assert found == [Standing.DOWN, Standing.CLEAR, Standing.SAMPLER_ONLY, Standing.CLEAR, Standing.DISABLED, Standing.DISABLED]
    assert disabled_until(crashes, "a", 500.0) == 360.0 + 86400


def test_a_life_speaks_only_for_crashes_before_it() -> None:
    crashes = recorded(recorded((), "a", 10.0), "a", 1000.0)
    assert [crash.cleared for crash in cleared(crashes, "a", 500.0, 1200.0)] == [True, False]


def test_memory_is_bounded() -> None:
    crashes: Crashes = ()
    for number in range(1000):
        crashes = recorded(crashes, str(number), float(number))
    assert len(crashes) == 64


@pytest.mark.parametrize(("standing_", "stages"), [
    (Standing.CLEAR, ("off", "dark", "canary", "fleet", "deep", "wide")),
    (Standing.DOWN, ("off", "off", "dark", "canary", "fleet", "deep")),
    (Standing.SAMPLER_ONLY, ("off", "dark", "canary", "fleet", "fleet", "fleet")),
    (Standing.DISABLED, ("off",) * 6),
])  # fmt: skip
def test_what_each_standing_allows(standing_: Standing, stages: tuple[str, ...]) -> None:
    assert tuple(allowed(stage, standing_) for stage in STAGES) == stages
