# SPDX-License-Identifier: MIT
"""How often the configuration is looked at, and what that costs: made-up clocks and costs, and the kinds of looks in a ruler whose time stands still."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruled import Hand

from hybridprof import _core
from hybridprof.rollout import verdict
from hybridprof.rollout.looking import FLOOR, LONGEST, RESTING, SHARE, TRACED, Attention

KILL_WITHIN = 5.0  # seconds, the promise


@dataclass
class Process:
    """busy: of a core; look: CPU seconds of each."""

    busy: float
    look: float
    now: float = 0.0
    cpu: float = 0.0
    looks: float = 0.0  # CPU seconds
    longest: float = 0.0  # seconds between two

    def runs(self, attention: Attention, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            period = attention.period
            self.longest = max(self.longest, period)
            self.now += period
            self.cpu += self.busy * period
            self.looks += self.look
            attention.charge(self.look)


def attention_of(process: Process) -> Attention:
    return Attention(lambda: process.now, process=lambda: process.cpu)


@pytest.mark.parametrize("busy", [0.0, 0.0001, 0.015, 0.2, 1.0, 8.0])
@pytest.mark.parametrize("look", [0.00005, 0.0002, 0.001])
def test_looks_are_held_to_their_share(busy: float, look: float) -> None:
    """Of what the process uses, or of a core; or they come as seldom as they may."""
    process = Process(busy, look)
    attention = attention_of(process)
    attention.suit(True, True)
    process.runs(attention, 20.0)
    process.looks = 0.0
    process.runs(attention, 600.0)
    allowed = max(SHARE * busy, FLOOR) * 600
    assert process.looks <= max(allowed, look * 600 / LONGEST) * 1.02
    assert process.longest <= LONGEST < KILL_WITHIN


def test_where_they_are_cheap_they_come_as_often_as_they_should() -> None:
    process = Process(0.5, 0.00005)
    attention = attention_of(process)
    for runs, traces, period in ((True, True, TRACED), (True, False, 1.0), (False, False, RESTING)):
        attention.suit(runs, traces)
        process.runs(attention, 20.0)
        assert attention.period == period


def test_a_dear_look_is_paid_for_by_those_after_it() -> None:
    process = Process(0.0, 0.0001)
    attention = attention_of(process)
    attention.suit(True, False)
    process.runs(attention, 30.0)
    attention.charge(0.004)  # as if its pages had been swapped out
    assert 1.0 < attention.period <= LONGEST
    process.runs(attention, 120.0)
    assert attention.period == 1.0


def test_a_burst_of_work_is_looked_at_more_often_at_once() -> None:
    process = Process(0.001, 0.001)
    attention = attention_of(process)
    attention.suit(True, True)
    process.runs(attention, 60.0)
    assert attention.period == LONGEST
    process.busy = 1.0
    process.runs(attention, 0.1)
    assert attention.period == TRACED


# --- what a ruler looks at ------------------------------------------------------------------------------------------------------------------------


@dataclass
class Counted:
    all_: int = 0
    read: int = 0
    stat: int = 0


@pytest.fixture
def counted(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> Counted:
    counts = Counted()
    ruler, lstat = hand.ruler, os.lstat
    look, read = ruler.look, ruler._accounts._read

    def counting_look() -> None:
        counts.all_ += 1
        look()

    def counting_read() -> object:
        counts.read += 1
        return read()

    def counting_lstat(path: object, *rest: object, **more: object) -> object:
        counts.stat += path == str(hand.kill)
        return lstat(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(ruler, "look", counting_look)
    monkeypatch.setattr(ruler._accounts, "_read", counting_read)
    monkeypatch.setattr(os, "lstat", counting_lstat)
    return counts


def settled(hand: Hand, text: str) -> None:
    hand.configured(text)
    for _ in range(5):  # the file is not young any more
        hand.look()


def looked(hand: Hand, counted: Counted, times: int, seconds: float) -> tuple[int, int, int]:
    before = (counted.all_, counted.read, counted.stat)
    for _ in range(times):
        hand.now += seconds
        hand.ruler.tick()
    return counted.all_ - before[0], counted.read - before[1], counted.stat - before[2]


def test_where_nothing_has_changed_little_is_looked_at(hand: Hand, counted: Counted) -> None:
    settled(hand, "stage = 'fleet'")
    all_, read, stat = looked(hand, counted, 60, 1.0)
    assert all_ <= 2 and 60 <= read <= 67 and 60 <= stat <= 75
    settled(hand, "stage = 'deep'\ndeep.targets = ['nowhere:f']")
    all_, read, stat = looked(hand, counted, 240, 0.25)
    assert all_ <= 2 and read >= 235 and 60 <= stat <= 95  # costs four times a second, files once


@pytest.mark.parametrize("stage", ["dark", "off"])
def test_where_nothing_runs_costs_are_not_read_either(hand: Hand, counted: Counted, stage: str) -> None:
    settled(hand, f"stage = '{stage}'")
    assert hand.ruler.follower.period == RESTING * 3600  # the hand's period
    all_, read, stat = looked(hand, counted, 60, 2.0)
    assert 1 <= all_ <= 3 and read <= 3 and stat >= 60


def test_what_is_killed_looks_at_little_for_as_long_as_it_takes(hand: Hand, counted: Counted, tmp_path: Path) -> None:
    """Also at what could be due meanwhile, and waits until something runs again."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    settled(hand, f"stage = 'fleet'\nstate_dir = '{state}'")
    hand.kill.touch()
    hand.look()
    verdict.write(state, "dark", "fail", "worse")
    all_, read, _ = looked(hand, counted, 120, 2.0)
    assert all_ <= 5 and read <= 5
    hand.kill.unlink()
    assert hand.look()["stage"] == "dark"


def test_a_glance_finds_all_that_counts(hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    text = f"state_dir = '{state}'\nrollout.hosts = 1\n"
    settled(hand, "stage = 'fleet'\n" + text)
    hand.kill.touch()
    assert not hand.look()["running"]
    hand.kill.unlink()
    assert hand.look()["running"]
    settled(hand, "stage = 'fleet'\n" + text)
    monkeypatch.setenv("HYBRIDPROF_DISABLE", "1")
    assert not hand.look()["running"]
    monkeypatch.delenv("HYBRIDPROF_DISABLE")
    assert hand.look()["running"]
    for _ in range(5):
        hand.look()
    verdict.write(state, "dark", "fail", "worse")
    assert hand.look()["stage"] == "dark"
    verdict.withdraw(state)
    assert hand.look()["stage"] == "fleet"
    for _ in range(5):
        hand.look()
    hand.write("stage = 'dark'\n" + text)
    assert hand.look()["stage"] == "dark"
    hand.write("stage = 'fleet'\n" + text)
    assert hand.look()["stage"] == "fleet" and _core.running()
    for _ in range(5):
        hand.look()
    _core.stop()  # whoever does that: what is in force is made true again
    assert hand.look()["running"]


def test_a_report_that_would_say_the_same_is_not_written_while_nothing_runs(hand: Hand, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    settled(hand, f"stage = 'dark'\nstate_dir = '{state}'")
    path = state / f"status.{os.getpid()}.json"
    for _ in range(21):  # until costs have come to rest as well
        hand.look()
    before = path.stat()
    os.utime(path, (1.0, 1.0))
    for _ in range(21):
        hand.look()
    assert path.stat().st_ino == before.st_ino and path.stat().st_mtime >= before.st_mtime  # but that it is alive can be seen
    path.unlink()
    for _ in range(21):
        hand.look()
    assert path.exists()


def test_what_writes_is_told_that_nothing_runs_until_it_rests(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first look there is a last file to be written; a later one finds that it is."""
    settled(hand, "stage = 'fleet'")
    hand.kill.touch()
    hand.look()
    told: list[float] = []
    monkeypatch.setattr(hand.ruler.output, "update", lambda *_: told.append(hand.now))
    for _ in range(25):
        hand.look()
    assert told
