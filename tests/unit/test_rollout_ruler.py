# SPDX-License-Identifier: MIT
"""What is in force is made true in this process. The clock stands still until a test moves it, and looks are taken by hand."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ruled import Hand

import hybridprof
from hybridprof import _core, api, options, ruling
from hybridprof.rollout import ConfigError, current, environment
from hybridprof.rollout.process import retire
from hybridprof.rollout.watched import WatchedFile, presence

HERE = __name__


def first() -> int:
    return 1


def second() -> int:
    return 2


def deep_targets(*names: str, rate: float = 1.0) -> str:
    return f"stage = 'deep'\n[deep]\ntargets = {[f'{HERE}:{name}' for name in names]}\nrate = {rate}\n[caps]\ndeep_rate = 1.0\n"


def armed() -> dict[str, float]:
    return {code.co_qualname: rate for code, rate in _core.targets() if code.co_filename == __file__}


def calls_of(name: str) -> int | None:
    return next((row.calls for row in hybridprof.snapshot().functions if row.name == name), None)


def test_stages_come_and_go(hand: Hand) -> None:
    seen = []
    hand.configured("stage = 'off'")
    for stage in ("dark", "canary", "fleet", "deep", "off", "wide", "dark"):
        status = hand.says(f"stage = '{stage}'\nrollout.hosts = 1\ndeep.targets = ['{HERE}:first']")
        assert status["stage"] == stage and status["why"] == f"stage {stage!r} ({hand.path}:2)" + (
            ": the configuration is followed, and nothing runs yet" if stage == "dark" else ""
        )
        assert (status["problem"], status["config_errors"]) == ("", [])
        seen.append((stage, status["running"], list(armed())))
    assert seen == [
        ("dark", False, []),
        ("canary", True, []),
        ("fleet", True, []),
        ("deep", True, ["first"]),
        ("off", False, []),
        ("wide", True, ["first"]),
        ("dark", False, []),
    ]


def test_rate_and_budget_change_within_one_session(hand: Hand) -> None:
    hand.configured(deep_targets("first") + "[sampler]\nrate = 20\n")
    began = hybridprof.snapshot().meta["started"]
    for _ in range(3):
        here().first()
    status = hand.says(deep_targets("first") + "[sampler]\nrate = 30\n[rollout]\n")
    assert status["rate_hz"] == 30
    assert hand.says(deep_targets("first").replace("rate = 1.0\n[", "rate = 1.0\nbudget = '5%'\n[", 1))["rate_hz"] == 100
    assert (hybridprof.snapshot().meta["started"], calls_of("first")) == (began, 3)
    assert hand.says("stage = 'fleet'\nsampler.clock = 'cpu'")["clock"] == "cpu"  # that takes a new one
    assert calls_of("first") is None


def test_another_event_limit_takes_another_session(hand: Hand) -> None:
    hand.configured(deep_targets("first"))
    assert hybridprof.status()["in_force"]["deep.event_limit"]["value"] == 0
    here().first()
    began = hybridprof.snapshot().meta["started"]
    status = hand.says(deep_targets("first").replace("rate =", "event_limit = 500\nrate =", 1))
    assert (status["in_force"]["deep.event_limit"]["value"], status["problem"]) == (500, "")
    assert hybridprof.snapshot().meta["started"] != began and calls_of("first") is None
    with hybridprof.Profiler(deep=[f"{HERE}:first"], event_limit=7):  # the file outranks the code
        assert hybridprof.status()["in_force"]["deep.event_limit"]["value"] == 500
    hand.says("stage = 'deep'")
    with hybridprof.Profiler(event_limit=7):
        assert hybridprof.status()["in_force"]["deep.event_limit"] == {"value": 7, "from": "the program's code", "asked": None}


def here() -> Any:
    """This module as it is now: on 3.11 targets are replaced in it."""
    return sys.modules[HERE]


def test_targets_are_added_and_removed(hand: Hand) -> None:
    hand.configured(deep_targets("first"))
    assert armed() == {"first": 1.0}
    assert hand.says(deep_targets("first", "second", rate=0.5))["patterns"] == [f"{HERE}:first", f"{HERE}:second"]
    assert armed() == {"first": 0.5, "second": 0.5}
    hand.says(deep_targets("second"))
    assert armed() == {"second": 1.0}
    here().second()
    here().first()
    assert (calls_of("second"), calls_of("first")) == (1, None)


def test_the_kill_file(hand: Hand) -> None:
    text = deep_targets("first")
    hand.configured(text)
    hand.kill.symlink_to("nowhere")
    status = hand.look()
    assert (status["running"], status["stage"], status["why"]) == (False, "off", f"kill file {hand.kill} exists")
    assert armed() == {}
    hand.says(text + "[rollout]\nhosts = 1\n")
    assert not _core.running()
    with pytest.raises(ValueError, match=r"sampler\.rate is 5000"):
        hand.ruler.override("sampler.rate", 5000, hand.until())
    hand.ruler.override("stage", "wide", hand.until())
    hybridprof.start()
    assert not _core.running()
    hand.kill.unlink()
    status = hand.look()
    assert (status["running"], status["stage"], armed()) == (True, "wide", {"first": 1.0})


def test_an_override_ends_by_itself(hand: Hand) -> None:
    hand.configured("stage = 'fleet'")
    hand.ruler.override("stage", "off", hand.until(), by="uid 0")
    status = hybridprof.status()
    assert (status["running"], status["why"]) == (False, "stage 'off' (override by uid 0, for 60 s more)")
    assert status["overrides"] == [{"key": "stage", "value": "off", "by": "uid 0", "seconds_left": 60.0}]
    hand.epoch -= 1e6  # somebody sets the wall clock
    assert hand.look(59.0)["running"] is False
    assert hand.look(1.0)["running"] is True
    hand.ruler.override("sampler.rate", 50, hand.until())
    assert hybridprof.status()["rate_hz"] == 50
    hand.ruler.withdraw("sampler.rate")
    assert hybridprof.status()["rate_hz"] == 100


def test_the_last_good_file_is_kept(hand: Hand) -> None:
    hand.configured("stage = 'fleet'\nsampler.rate = 50")
    for spoil, sentence in [
        (lambda: hand.write("stage = "), "f:2: is no TOML: Invalid value"),
        (lambda: hand.write("stage = 'flet'"), "f:2: stage must be one of off, dark, canary, fleet, deep, wide, not 'flet'"),
        (lambda: hand.write("stage = 'off'", 0o666), "f: is writable by everybody (mode 0666); chmod go-w it"),
        (hand.path.unlink, "f: cannot be read: No such file or directory"),
    ]:
        spoil()
        status = hand.look()
        assert [each.replace(str(hand.path), "f") for each in status["config_errors"]] == [sentence]
        assert (status["running"], status["rate_hz"]) == (True, 50)
    status = hand.says("stage = 'fleet'\nsampler.rate = 60")
    assert (status["config_errors"], status["rate_hz"]) == ([], 60)


def test_configure_refuses_and_changes_nothing(hand: Hand) -> None:
    hand.configured("stage = 'fleet'\nsampler.rate = 50")
    bad = hand.path.with_name("bad.toml")
    bad.write_text("stage = 'x'\nservice = 3\n")
    bad.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        hybridprof.configure(bad)
    assert len(caught.value.errors) == 2 and str(caught.value) == "\n".join(caught.value.errors)
    status = hand.look()
    assert (status["config"], status["rate_hz"], status["config_errors"]) == (str(hand.path), 50, [])


def test_the_program_says_what_the_file_does_not(hand: Hand) -> None:
    hand.configured("sampler.rate = 50\n[caps]\ndeep_rate = 1.0")
    assert hybridprof.status()["stage"] == "off"
    profiler = hybridprof.start(rate=70, clock="cpu")
    assert hybridprof.start(rate=1) is profiler
    status = hybridprof.status()
    assert (status["stage"], status["rate_hz"], status["clock"]) == ("fleet", 50, "cpu")
    assert status["in_force"]["stage"] == {"value": "fleet", "from": "the program's code", "asked": None}
    with hybridprof.Profiler(deep=[f"{HERE}:first"]) as guest:
        here().first()
        assert hybridprof.status()["stage"] == "deep"
    assert [row.calls for row in guest.profile.functions if row.name == "first"] == [1]
    assert (hybridprof.status()["stage"], armed()) == ("fleet", {})
    profiler.stop()
    assert not hybridprof.running()
    assert profiler.profile.meta["clock"] == "cpu"


def test_the_file_outranks_the_program(hand: Hand) -> None:
    hand.configured("stage = 'dark'")
    with hybridprof.Profiler(deep=["*"]) as profiler:
        assert not hybridprof.running()
    assert profiler.profile.functions == []
    (warning,) = profiler.profile.meta["warnings"]
    assert warning.startswith("stage 'dark' (")


def test_marks_wait_for_their_stage(hand: Hand) -> None:
    @hybridprof.deep(rate=0.5)
    def marked() -> None: ...

    @hybridprof.deep(rate=0.001)
    def seldom() -> None: ...

    def rates() -> list[float]:
        return [rate for code, rate in _core.targets() if code.co_name in ("marked", "seldom") and code.co_filename == __file__]

    def blocks() -> bool:
        with hybridprof.deep.block("ruled"):
            first()
        return calls_of("ruled") is not None

    hand.configured("stage = 'fleet'")
    assert (rates(), blocks()) == ([], False)
    hand.says("stage = 'deep'")
    assert sorted(rates()) == [0.001, 0.01]
    hand.says("stage = 'deep'\n[deep]\nrate = 1.0\n[caps]\ndeep_rate = 1.0")
    assert (sorted(rates()), blocks()) == ([0.001, 0.5], True)
    hand.says("stage = 'off'")
    assert rates() == []


def test_what_is_stopped_stays_so_until_it_is_started(hand: Hand) -> None:
    hand.configured("stage = 'fleet'")
    hybridprof.stop()
    status = hand.look()
    assert (status["running"], status["stage"], status["why"]) == (False, "off", "hybridprof.stop() was called in this process")
    hybridprof.start()
    assert hybridprof.running()
    hybridprof.stop()
    hybridprof.configure(hand.path)
    assert hybridprof.running()


def test_disabled_while_it_runs(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    hand.configured("stage = 'fleet'")
    monkeypatch.setenv("HYBRIDPROF_DISABLE", "1")
    status = hand.look()
    assert (status["running"], status["why"]) == (False, "HYBRIDPROF_DISABLE is set")
    monkeypatch.setenv("HYBRIDPROF_DISABLE", "0")
    assert hand.look()["running"]


def test_what_is_refused_is_a_problem_and_no_exception(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise RuntimeError("no more threads")

    hand.configured("stage = 'off'")
    monkeypatch.setattr(api.Profiler, "begin", refuse)
    status = hand.says("stage = 'fleet'")
    assert (status["running"], status["problem"]) == (False, "no more threads")
    hybridprof.start()
    monkeypatch.undo()
    status = hand.look()
    assert (status["running"], status["problem"]) == (True, "")


def test_sessions_begin_no_more_often_than_thirty_times_a_minute(hand: Hand) -> None:
    """Whoever makes stages flap, by whatever way: between two looks each would cost what nobody knows of."""
    hand.configured("stage = 'dark'")
    begun = 0
    for _ in range(50):
        hand.ruler.override("stage", "fleet", hand.until())
        begun += _core.running()
        hand.ruler.override("stage", "dark", hand.until())
    assert begun == 30
    hand.ruler.override("stage", "fleet", hand.until() + 600)
    status = hand.look()
    assert not status["running"]
    assert status["problem"] == "sessions have begun 30 times within 60 s, each by a change; the next waits until that is over"
    assert hand.look(60.0)["running"] and hybridprof.status()["problem"] == ""


def test_bad_targets_leave_the_sampler(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `*` within a budget does on 3.11."""
    monkeypatch.setattr(options, "check_spares_functions", lambda hook: (_ for _ in ()).throw(ValueError("not here")))
    status = hand.configured("stage = 'deep'\ndeep.targets = ['*']")
    assert (status["running"], status["problem"], status["patterns"]) == (True, "not here", [])
    assert hand.look()["problem"] == "not here"


def test_slots_ceilings_and_requests(hand: Hand) -> None:
    hand.configured("stage = 'deep'\n[rollout]\nprocesses = 0.5\nrequests = 0.5\n[caps]\nrequests = 0.5\n")
    traced = {}
    for slot in map(str, range(20)):
        hand.ruler.set_slot(slot)
        traced[slot] = hand.ruler.in_force().traces
    assert 4 < sum(traced.values()) < 16
    hand.ruler.set_slot(next(slot for slot, on in traced.items() if on))
    picked = [hand.ruler.picks_request(f"trace-{number}") for number in range(200)]
    assert 60 < sum(picked) < 140
    with pytest.raises(ValueError, match=r"rollout\.requests is 1, and \[caps\] requests allows at most 0\.5"):
        hand.ruler.override("rollout.requests", 1.0, hand.until())
    hand.ruler.ceiling("crash loop", "fleet", "two crashes in 10 min")
    assert hybridprof.status()["why"] == "stage 'fleet' (crash loop: two crashes in 10 min)"
    assert not any(hand.ruler.picks_request(f"trace-{number}") for number in range(200))
    hand.ruler.ceiling("crash loop", None)
    assert hybridprof.status()["stage"] == "deep"


def test_a_session_that_runs_comes_under_the_rule(tmp_path: Path) -> None:
    profiler = hybridprof.start(rate=70, deep=[f"{HERE}:first"])
    hand = Hand(tmp_path)
    try:
        status = hand.configured("sampler.rate = 50")
        assert (status["running"], status["stage"], status["rate_hz"]) == (True, "deep", 50)
        profiler.stop()
        assert not hybridprof.running()
    finally:
        retire()


def test_the_environment_appoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be used: nothing runs, the program goes on, and the mended file counts."""
    hybridprof.stop()
    path = tmp_path / "c.toml"
    path.write_text("stage = 'flet'\n")
    path.chmod(0o600)
    monkeypatch.setenv("HYBRIDPROF_CONFIG", str(path))
    monkeypatch.setenv("HYBRIDPROF_SAMPLER_RATE", "x")
    ruling.appoint_by(environment.appoint)
    try:
        profiler = hybridprof.start()
        status = hybridprof.status()
        sentence = f"{path}:1: stage must be one of off, dark, canary, fleet, deep, wide, not 'flet'"
        assert (status["running"], status["stage"], status["why"]) == (False, "off", f"stage 'off' ({sentence})")
        assert capsys.readouterr().err.splitlines()[0] == f"hybridprof: {sentence}"
        assert len(status["config_errors"]) == 2
        path.write_text("stage = 'fleet'\n")
        ruler = current()
        assert ruler is not None
        ruler.look()
        assert hybridprof.running()
        profiler.stop()
        assert hybridprof.running()  # the file says so, whatever the program does with its Profiler
    finally:
        retire()


def test_a_file_is_read_again_while_it_is_young(tmp_path: Path) -> None:
    """Two writes within one step of the file system's clock look alike. Once more when it is young no longer, however rarely anybody looks."""
    now = [0.0]
    path = tmp_path / "f"
    path.write_text("1")
    file = WatchedFile(str(path), lambda: now[0])
    seen = []
    for moment in (0.0, 1.0, 2.0, 3.0, 4.0):
        now[0] = moment
        seen.append(file.changed())
    assert seen == [True, True, True, True, False]
    path.chmod(0o640)
    assert file.changed()
    now[0] = 9.0
    assert file.may_differ() and file.changed() and not file.may_differ() and not file.changed()


def test_a_file_that_could_not_be_read_for_a_while_is_read_again(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks as it did when it could not be read."""
    hand.configured("stage = 'fleet'")
    for _ in range(10):
        hand.look()
    real, ruler_module = os.open, sys.modules["hybridprof.rollout.config"]

    def refused(path: Any, *rest: Any) -> int:
        if str(path) == str(hand.path):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, *rest)

    monkeypatch.setattr(ruler_module.os, "open", refused)  # type: ignore[attr-defined]
    hand.write("stage = 'off'")
    for _ in range(10):
        hand.look()
    assert hybridprof.running()
    monkeypatch.undo()
    hand.look()
    assert not hybridprof.running()


def test_whether_a_kill_file_is_there(tmp_path: Path) -> None:
    assert presence(str(tmp_path / "kill")) == ""
    assert presence(str(tmp_path)) == f"kill file {tmp_path} exists"
    (tmp_path / "file").touch()
    assert presence(str(tmp_path / "file/kill")) == ""
    assert "cannot be told: File name too long" in presence(str(tmp_path / ("x" * 300)))


def test_a_kill_file_that_comes_while_others_hold_the_state_is_not_missed(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    hand.configured("stage = 'fleet'")
    guarding = hand.ruler._guarding
    waits: list[float] = []

    def look() -> None:
        waits.append(hand.now)
        hand.kill.touch()  # as if the wait for the lock of state_dir had taken seconds

    monkeypatch.setattr(guarding, "look", look)
    assert not hand.look()["running"] and len(waits) == 1
    hand.look()
    assert len(waits) == 1  # what is killed waits for nobody
    hand.kill.unlink()
    monkeypatch.undo()
    assert hand.look()["running"]
