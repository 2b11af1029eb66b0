# SPDX-License-Identifier: MIT
"""A file each interval. Time stands still until a test moves it; what is written is a stand-in, but where a test says otherwise."""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hybridprof.rollout.pace import Pace
from hybridprof.rollout.rotation import KEPT, LARGE, Rotation, Settings, program, roots
from hybridprof.rollout.spool import Limits, name_of


class Part:
    """In place of a profile."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.started = f"2026-11-29T17:00:{number:02d}.000000Z"

    def meta(self) -> dict[str, Any]:
        return {"started": self.started}

    def write(self, path: str, format: str) -> None:
        assert format == "hyprof"
        Path(path).write_text(str(self.number))


class Hand:
    def __init__(self, folder: Path, ahead: float = 0.0) -> None:
        self.now, self.ahead = 1000.0, ahead  # of the system's clock, which is set while the test runs
        self.parts: deque[Part] = deque()
        self.left = 0
        self.lost = self.nodes = 0
        self.folder = folder
        self.process = 0.0
        self.pace = Pace(lambda: self.now, lambda: self.process)
        settings = Settings(str(folder), "shop", "web", 60.0, Limits(100, 10**9, 1e9))
        self.rotation = Rotation(
            settings,
            lambda: "2",
            take=lambda settings: self.parts.popleft() if self.parts else None,
            left=lambda: (self.left, self.lost, self.nodes),
            clock=lambda: self.now,
            wall=self.wall,
            pace=self.pace,
            period=3600.0,
        )

    def wall(self) -> float:
        return time.time() + self.ahead

    def measured(self, *numbers: int) -> None:
        self.parts.extend(map(Part, numbers))

    def look(self, seconds: float) -> None:
        self.now += seconds
        self.rotation.look()

    def contents(self) -> list[str]:
        return [path.read_text() for path in sorted(self.folder.glob("*.hyprof"))]


@pytest.fixture
def hand(tmp_path: Path) -> Hand:
    return Hand(tmp_path / "profiles")


def test_a_file_each_interval_and_none_before(hand: Hand) -> None:
    hand.measured(1, 2, 3)
    hand.look(59)
    assert not hand.folder.exists()
    hand.look(1)
    assert hand.contents() == ["1"]
    hand.look(59)
    assert hand.contents() == ["1"]
    hand.look(1)
    assert hand.contents() == ["1", "2"]
    status = hand.rotation.status()
    assert (status["written"], status["failures"], status["waiting"], status["lost"], status["problem"]) == (2, 0, 0, 0, "")
    assert os.path.basename(status["last_file"]) == f"shop@web.s2.p{os.getpid()}.20261129T170002.000Z.hyprof"


def test_a_file_that_is_not_paid_for_comes_later_and_covers_more(hand: Hand) -> None:
    hand.measured(1, 2, 3, 4)
    hand.rotation.change(replace(hand.rotation.settings, budget=1.0))
    hand.look(60)
    hand.pace.charge(0.2)
    hand.look(60)
    status = hand.rotation.status()
    assert (hand.contents(), status["postponed"], status["waits_for_budget"]) == (["1"], 1, True)
    hand.process += 19
    hand.look(60)
    assert hand.contents() == ["1"]
    hand.process += 2
    hand.look(1)
    status = hand.rotation.status()
    assert (hand.contents(), status["postponed"], status["waits_for_budget"]) == (["1", "2"], 1, False)
    hand.look(60)
    assert hand.contents() == ["1", "2", "3"]
    hand.pace.charge(10.0)
    hand.rotation.hurry()  # a session that has ended waits for no budget
    hand.look(1)
    assert hand.contents() == ["1", "2", "3", "4"]


def test_sessions_that_end_all_the_time_have_one_unpaid_file_in_an_interval(hand: Hand) -> None:
    hand.rotation.change(replace(hand.rotation.settings, budget=1.0))
    hand.measured(*range(1, 50))
    hand.pace.charge(1.0)
    for _ in range(118):  # just two intervals
        hand.rotation.hurry()
        hand.look(1)
    status = hand.rotation.status()
    assert hand.contents() == ["1", "2"] and (status["postponed"], status["waits_for_budget"]) == (2, True)
    hand.process += 90.0  # what an unpaid file cost is owed with the rest
    hand.pace.charge(0.1)
    hand.look(1)
    assert hand.contents() == ["1", "2"]
    hand.process += 21.0
    hand.look(1)
    assert hand.contents() == ["1", "2", "3"]
    hand.rotation.hurry()
    hand.look(1)
    assert hand.contents() == ["1", "2", "3", "4"]  # nothing is owed


def test_what_replaced_sessions_left_is_written_too(hand: Hand) -> None:
    hand.measured(1, 2, 3, 4)
    hand.left = 2
    hand.look(60)
    assert hand.contents() == ["1", "2", "3"]  # two that were left, and that of the session there is now


def test_nothing_measured_is_no_file(hand: Hand) -> None:
    hand.look(60)
    assert hand.contents() == [] and hand.rotation.status()["problem"] == ""


def test_a_session_that_ended_is_written_at_the_next_look(hand: Hand) -> None:
    hand.measured(1)
    hand.rotation.hurry()
    hand.look(1)
    assert hand.contents() == ["1"]


@pytest.mark.parametrize("jump", [-3600.0, 86400.0])
def test_files_come_and_stay_whatever_the_clock_is_set_to(tmp_path: Path, jump: float) -> None:
    """A folder that is full, and files that are younger than the jump is long."""
    hand = Hand(tmp_path / "profiles", -jump)
    settings = replace(hand.rotation.settings, limits=Limits(3, 10**9, 43200.0))
    hand.rotation.change(settings)

    def write(number: int) -> list[str]:
        hand.measured(number)
        hand.parts[-1].started = datetime.fromtimestamp(hand.wall(), UTC).isoformat()
        hand.look(61.0)
        return sorted(hand.contents())

    for number in (1, 2, 3):
        write(number)
    hand.ahead = 0.0
    for path in hand.folder.iterdir():  # the system's clock is as it will be: what is there has the time that it would have had
        os.utime(path, (path.stat().st_mtime - jump,) * 2)
    hand.rotation.change(replace(settings, interval=61.0))
    assert [write(4), write(5)] == [["2", "3", "4"], ["3", "4", "5"]]
    assert (hand.rotation.written, hand.rotation.removed, hand.rotation.problem) == (5, 2, "")


def test_a_shorter_interval_counts_at_once_a_longer_one_from_the_next_file(hand: Hand) -> None:
    hand.measured(*range(1, 9))
    hand.rotation.change(replace(hand.rotation.settings, interval=10.0))
    hand.look(10)
    assert hand.contents() == ["1"]
    hand.rotation.change(replace(hand.rotation.settings, interval=100.0))
    hand.look(10)
    hand.look(99)
    assert hand.contents() == ["1", "2"]
    hand.look(1)
    assert hand.contents() == ["1", "2", "3"]


def test_what_cannot_be_written_waits_and_is_counted_when_it_cannot_wait(hand: Hand) -> None:
    hand.folder.write_text("a file is in the way")
    hand.measured(*range(1, KEPT + 4))
    for _ in range(KEPT + 2):
        hand.look(60)
    status = hand.rotation.status()
    assert (status["written"], status["waiting"], status["lost"], status["failures"]) == (0, KEPT, 2, KEPT + 2)
    assert status["problem"] == f"profiles cannot be written to {hand.folder}: is no folder; {KEPT} wait in memory"
    hand.folder.unlink()
    hand.look(60)
    assert hand.contents() == [str(number) for number in range(3, KEPT + 4)]
    assert hand.rotation.status()["problem"] == "" and hand.rotation.status()["lost"] == 2


def test_what_waits_for_the_disk_is_counted_as_memory(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Part, "__sizeof__", lambda part: 1_000_000 * part.number, raising=False)
    seen: list[int] = []
    written = Part.write
    monkeypatch.setattr(Part, "write", lambda part, *words: (seen.append(hand.rotation.held), written(part, *words))[1])
    hand.measured(1, 2, 3)
    hand.look(60)
    assert seen == [0] and hand.rotation.held == 0  # what is just being written is gone in a moment
    hand.folder.rename(hand.folder.with_name("elsewhere"))
    hand.folder.write_text("in the way")
    hand.look(60)
    hand.look(60)
    assert 5_000_000 <= hand.rotation.held <= 5_001_000
    hand.folder.unlink()
    hand.look(60)
    assert hand.rotation.held == 0


def test_one_that_fails_does_not_lose_those_before_it(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Part.write

    def write(part: Part, path: str, format: str) -> None:
        if part.number == 2 and hand.now < 1200:
            raise OSError(errno.EIO, "Input/output error")
        written(part, path, format)

    monkeypatch.setattr(Part, "write", write)
    hand.measured(1, 2, 3)
    for _ in range(3):
        hand.look(60)
    assert hand.contents() == ["1"] and "Input/output error; 2 wait in memory" in hand.rotation.status()["problem"]
    hand.look(60)
    assert hand.contents() == ["1", "2", "3"]


def full(monkeypatch: pytest.MonkeyPatch, code: int, most: int) -> None:
    """So many files and no more."""
    written = Part.write

    def write(part: Part, path: str, format: str) -> None:
        if len(list(Path(path).parent.iterdir())) >= most:
            raise OSError(code, os.strerror(code))
        written(part, path, format)

    monkeypatch.setattr(Part, "write", write)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_room_for_what_is_new_in_place_of_what_is_old(hand: Hand, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    told: list[int] = []
    hand.rotation.on_removed = told.append
    full(monkeypatch, code, 2)
    hand.measured(1, 2, 3, 4)
    for _ in range(4):
        hand.look(60)
    status = hand.rotation.status()
    assert (hand.contents(), status["removed"], status["failures"], status["problem"], told) == (["3", "4"], 2, 0, "", [1, 1])


def test_a_disk_that_is_full_of_what_is_newer_or_not_ours_stays_full(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    full(monkeypatch, errno.ENOSPC, 2)
    hand.folder.mkdir(mode=0o700)
    for name in ("notes", name_of("other", "web", "2", 1, 0.0)):
        (hand.folder / name).touch()
    hand.measured(1)
    hand.look(60)
    assert sorted(path.name for path in hand.folder.iterdir()) == sorted(["notes", name_of("other", "web", "2", 1, 0.0)])
    (hand.folder / "notes").unlink()
    newer = hand.folder / name_of("shop", "web", "2", 1, 4e9)
    newer.touch()
    hand.ahead = 4e9  # else it would be of a time that is still to come
    hand.look(60)
    status = hand.rotation.status()
    assert newer.exists() and (status["removed"], status["failures"], status["waiting"], status["written"]) == (0, 2, 1, 0)


def test_another_error_costs_no_file(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    full(monkeypatch, errno.EIO, 1)
    hand.measured(1, 2)
    hand.look(60)
    hand.look(60)
    assert hand.contents() == ["1"] and hand.rotation.status()["failures"] == 1


def test_what_is_too_old_goes_though_nothing_can_be_written(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    full(monkeypatch, errno.EIO, 0)
    hand.rotation.change(replace(hand.rotation.settings, limits=Limits(100, 10**9, 1000.0)))
    hand.folder.mkdir(mode=0o700)
    for number, age in ((1, 2000.0), (2, 10.0)):
        path = hand.folder / name_of("shop", "web", "2", number, time.time() - age)
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    hand.measured(1)
    hand.look(60)
    assert [path.name.split(".p")[1][0] for path in hand.folder.iterdir()] == ["2"] and hand.rotation.status()["removed"] == 1


def test_limits_are_kept_and_what_went_is_told(hand: Hand) -> None:
    told: list[int] = []
    hand.rotation.on_removed = told.append
    hand.rotation.change(replace(hand.rotation.settings, limits=Limits(2, 10**9, 1e9)))
    hand.measured(*range(1, 5))
    for _ in range(4):
        hand.look(60)
    assert hand.contents() == ["3", "4"] and told == [1, 1] and hand.rotation.status()["removed"] == 2


def test_short_of_memory_nothing_is_lost(hand: Hand) -> None:
    def short(settings: Settings) -> Any:
        raise MemoryError

    take, hand.rotation._take = hand.rotation._take, short
    hand.measured(1)
    hand.look(60)
    status = hand.rotation.status()
    assert (status["problem"], status["failures"]) == ("what was measured could not be taken: MemoryError", 1)
    hand.rotation._take = take
    hand.look(60)
    assert hand.contents() == ["1"]


def test_the_core_s_losses_are_said(hand: Hand) -> None:
    hand.lost = 5
    assert hand.rotation.status()["lost"] == 5


def test_the_end_writes_what_there_is_once(hand: Hand) -> None:
    hand.measured(1, 2)
    hand.rotation.begin()
    assert hand.rotation.end(20.0)
    assert hand.contents() == ["1"]
    hand.rotation.begin()
    assert not hand.rotation._follower.runs


def test_a_child_has_nothing_of_its_parent_s(hand: Hand) -> None:
    hand.folder.write_text("in the way")
    hand.measured(1, 2)
    hand.look(60)
    hand.folder.unlink()
    hand.rotation.after_fork_in_child()
    status = hand.rotation.status()
    assert (status["waiting"], status["failures"], status["problem"]) == (0, 0, "")
    hand.look(59)
    assert hand.contents() == []
    hand.look(1)
    assert hand.contents() == ["2"]


def test_what_is_taken_off_paths_and_command_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/srv/shop/serve.py", "--password=hunter2"])
    assert program() == "serve.py"
    monkeypatch.setattr("sys.argv", ["/usr/lib/python3/gunicorn/__main__.py", "-w", "2"])
    assert program() == "gunicorn"
    monkeypatch.setattr("sys.path", ["/srv/shop/", "relative"])
    assert {"/srv/shop", os.path.abspath("relative")} <= set(roots(True) or ()) and roots(False) is None


def test_a_session_that_has_grown_large_begins_anew(hand: Hand) -> None:
    begun: list[int] = []
    hand.rotation.on_large = lambda: begun.append(hand.nodes)
    for hand.nodes in (LARGE, LARGE + 1):
        hand.measured(1)
        hand.look(60)
    assert begun == [LARGE + 1]
