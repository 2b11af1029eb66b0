# SPDX-License-Identifier: MIT
"""What a ruler leaves in its state_dir, and what it takes from there: audit log, crash guard, verdict, report."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ruled import Hand

import hybridprof
from hybridprof.cli import judge as cli
from hybridprof.cli.audit import line
from hybridprof.rollout import journal, published, verdict
from hybridprof.rollout.audit import Actor
from hybridprof.rollout.audit_chain import lines_of, record_of, verified
from hybridprof.rollout.config import read
from hybridprof.rollout.control.commands import Commands
from hybridprof.rollout.control.exchange import Request
from hybridprof.rollout.control.peers import Peer
from hybridprof.rollout.crash_loop import Guard
from hybridprof.rollout.crash_rules import HEALTHY
from hybridprof.rollout.markers import this_process
from hybridprof.rollout.schema import SCHEMA

HERE = __name__


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


def text(state: Path, stage: str = "fleet", more: str = "") -> str:
    return f"stage = '{stage}'\nstate_dir = '{state}'\nrollout.hosts = 1\n{more}"


def records(state: Path) -> list[dict[str, Any]]:
    path = state / "audit.jsonl"
    assert verified(path).broken is None
    return [record_of(line) for line in lines_of(path)]


def told(state: Path) -> list[tuple[str, Any, Any, str]]:
    return [(each["what"], each["old"], each["new"], each["via"]) for each in records(state)]


# --- audit ----------------------------------------------------------------------------------------------------------------------------------------


def test_every_change_is_written_down(hand: Hand, state: Path) -> None:
    hand.configured(text(state))
    hand.look()
    begun = {"kill_file": str(hand.kill), "state_dir": str(state), "rollout.hosts": 1.0}
    assert told(state) == [
        ("stage", None, "fleet", "file"),
        ("settings", None, begun, "file"),
        ("runs", None, ["sampler"], "file"),
    ]
    hand.says(text(state, "deep", f"[sampler]\nrate = 50\n[deep]\ntargets = ['{HERE}:text']\n"))
    assert told(state)[3:] == [
        ("stage", "fleet", "deep", "file"),
        ("sampler.rate", 100.0, 50.0, "file"),
        ("deep.targets", [], [f"{HERE}:text"], "file"),
        ("runs", ["sampler"], ["sampler", "tracer"], "file"),
    ]
    hand.kill.touch()
    hand.look()
    hand.kill.unlink()
    hand.look()
    sentence = f"kill file {hand.kill} exists"
    assert told(state)[7:10] == [
        ("stopped", None, sentence, "stop"),
        ("stage", "deep", "off", "stop"),
        ("runs", ["sampler", "tracer"], [], "stop"),
    ]
    assert told(state)[10:] == [
        ("stopped", sentence, None, "stop"),
        ("stage", "off", "deep", "file"),
        ("runs", [], ["sampler", "tracer"], "file"),
    ]


def test_overrides_with_who_and_until(hand: Hand, state: Path) -> None:
    hand.configured(text(state))
    hand.look()
    until = hand.until()
    hand.ruler.override("sampler.rate", 20, until, by="socket", actor=Actor(7, 8, "control"))
    found = records(state)[3:]
    assert [found[0][name] for name in ("what", "old", "new", "uid", "pid")] == ["override sampler.rate", None, 20, 7, 8]
    assert found[0]["until"] == "1970-01-01T01:41:01.000000Z" and until == 6061.0
    assert (found[1]["what"], found[1]["new"], found[1]["via"]) == ("sampler.rate", 20.0, "override")
    assert [found[1][name] for name in ("uid", "pid", "until")] == [7, 8, found[0]["until"]]  # what is in force is theirs too
    hand.look(60.0)
    assert told(state)[5:] == [("override sampler.rate", 20.0, None, "clock"), ("sampler.rate", 20.0, 100.0, "override")]
    assert (records(state)[-1]["pid"], records(state)[-1]["until"]) == (os.getpid(), None)  # nobody ended it
    hand.ruler.override("stage", "dark", hand.until())
    hand.ruler.withdraw("stage", Actor(7, 9, "control"))
    assert ("override stage", "dark", None, "control") in told(state)
    hand.ruler.note("denied", None, "bad token", Actor(5, 6, "control"))
    hand.look()
    assert (records(state)[-1]["what"], records(state)[-1]["uid"]) == ("denied", 5)


EVERY_KEY = """
service = 'shop'
output_dir = '{folder}/out'
sampler.rate = 50
sampler.clock = 'cpu'
sampler.budget = '2%'
deep.targets = ['a:b']
deep.rate = 0.005
deep.budget = '3%'
deep.event_limit = 9
memory.budget = 99
rollout.processes = 0.5
rollout.requests = 0.005
control.socket = '{folder}/%p.sock'
output.interval = 30
output.budget = '4%'
output.files = 7
output.megabytes = 8
output.days = 3
output.paths = 'short'
output.command = ['put', '--to', 'x']
output.timeout = 5
caps.rate = 500
caps.sampler_budget = '6%'
caps.deep_budget = '7%'
caps.deep_rate = 0.02
caps.requests = 0.5
caps.memory_budget = 512
"""


def test_every_key_is_written_down_with_who_changed_the_file(hand: Hand, state: Path, tmp_path: Path) -> None:
    hand.configured(text(state, "dark"))
    hand.look()
    before = len(records(state))
    hand.write(text(state, "dark", EVERY_KEY.format(folder=tmp_path)))
    os.utime(hand.path, (1.5e9, 1.5e9))
    hand.look()
    found = {each["what"]: each for each in records(state)[before:]}
    assert {*found} >= {*SCHEMA} - {"stage", "kill_file", "state_dir", "rollout.hosts", "output.upload"}
    assert (found["output.command"]["old"], found["output.command"]["new"]) == (None, ["put", "--to", "x"])
    assert (found["output.budget"]["old"], found["output.budget"]["new"]) == (1.0, 4.0)
    for key in found:
        assert [found[key][name] for name in ("uid", "via", "modified")] == [os.geteuid(), "file", "2017-07-14T02:40:00.000000Z"], key
    before = len(records(state))
    hand.says(text(state, "dark"))
    found = {each["what"]: each for each in records(state)[before:]}
    assert (found["output.command"]["old"], found["output.command"]["new"], found["caps.rate"]["new"]) == (["put", "--to", "x"], None, None)
    assert found["output.paths"]["old"] == "short" and found["output.paths"]["new"] == "full" and "modified" in found["output.paths"]


def test_a_socket_that_the_program_asks_for_is_written_down(hand: Hand, state: Path) -> None:
    hand.configured(text(state))
    for _ in range(2):
        hand.ruler.control.ask(f"{state}/%p.sock")
    hand.look()
    assert [each for each in told(state) if each[0] == "control.socket"] == [("control.socket", None, f"{state}/%p.sock", "code")]


def test_a_record_in_words(hand: Hand, state: Path) -> None:
    hand.write(text(state))
    os.utime(hand.path, (1.5e9, 1.5e9))
    hybridprof.configure(hand.path)
    hand.look()
    who = f"uid {os.geteuid()} pid {os.getpid()} via file (changed 2017-07-14T02:40:00.000000Z)"
    assert line(records(state)[0]).endswith(f'  {who}  stage: null -> "fleet"')


def test_what_is_in_force_again_is_nobodys_doing(hand: Hand, state: Path) -> None:
    hand.configured(text(state))
    hand.kill.touch()
    hand.look()
    hand.kill.unlink()
    hand.look()
    back = records(state)[-2:]
    assert [(each["what"], each["via"], "modified" in each) for each in back] == [("stage", "file", False), ("runs", "file", False)]
    assert "modified" in records(state)[0]


def test_a_share_that_goes_with_the_stage_is_no_change(hand: Hand, state: Path) -> None:
    hand.configured(f"stage = 'fleet'\nstate_dir = '{state}'\n")
    hand.says(f"stage = 'canary'\nstate_dir = '{state}'\n")
    assert "rollout.hosts" not in {each["what"] for each in records(state)}


def test_who_set_a_share_of_calls_at_the_socket(hand: Hand, state: Path) -> None:
    hand.configured(text(state, "deep", f"[deep]\ntargets = ['{HERE}:text']\n[caps]\ndeep_rate = 1.0\n"))
    commands = Commands(hand.ruler.control, "token")
    commands.answer(Request("POST", "/targets", {}, {"add": [f"{HERE}:told"], "rate": 0.5, "for": 60}), Peer(7, 8))
    hand.look()
    found = {each["what"]: each for each in records(state)}
    until = found["control targets"]["until"]
    for key, new in (("deep.rate", 0.5), ("deep.targets", [f"{HERE}:text", f"{HERE}:told"])):
        assert [found[key][name] for name in ("new", "uid", "pid", "via", "until")] == [new, 7, 8, "override", until], key


def test_steps_of_the_ladder(hand: Hand, state: Path) -> None:
    hand.configured(text(state, more="sampler.rate = 80\n"))
    hand.costs()
    hand.costs(sampler=0.02)
    steps = ["the sampling interval is 4 times as long"]
    assert told(state)[-2:] == [("budget step", None, steps, "budget"), ("sampler.rate", 80.0, 20.0, "budget")]


def test_a_log_that_cannot_be_written_harms_nobody(hand: Hand, state: Path) -> None:
    (state / "audit.jsonl").mkdir()
    hand.configured(text(state))
    status = hand.look()
    assert status["running"] and status["stage"] == "fleet"
    assert status["audit"]["lost"] >= 1 and "the audit log cannot be written" in status["audit"]["problem"]
    (state / "audit.jsonl").rmdir()
    hand.kill.touch()
    status = hand.look()
    assert (status["audit"]["problem"], status["audit"]["lost"]) == (None, 0)
    assert records(state)[0]["lost"] >= 1  # those that are missing are known


def test_without_a_state_dir_nothing_is_kept(hand: Hand, tmp_path: Path) -> None:
    hand.configured("stage = 'fleet'")
    status = hand.look()
    assert (status["audit"]["path"], status["crashes"]["guarded"], status["verdict"]) == (None, False, None)
    assert not hand.ruler._journal._waiting
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.toml"]


def test_what_waits_is_bounded_and_what_is_lost_is_counted(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_WAITING", 10)
    kept = journal.Journal()
    for number in range(15):
        kept.note("n", None, number, Actor(1, 2, "code"))
    kept.keep_in(str(state))
    kept.flush()
    assert [each["new"] for each in records(state)] == list(range(5, 15))
    assert kept.report() == {"path": str(state / "audit.jsonl"), "problem": None, "lost": 5}
    kept.note("n", None, 15, Actor(1, 2, "code"))
    kept.forget()  # in a forked child: the parent writes it
    kept.flush()
    assert len(records(state)) == 10


# --- crash guard -------------------------------------------------------------------------------------------------------------------------------------


def markers(state: Path) -> list[Path]:
    return sorted((state / "crashes").glob("worker.*.json"))


def crashed(state: Path, config: str, number: int) -> None:
    """A life of the same version and configuration that did not end as it should: its pid is above what Linux gives."""
    marker = {"owner": {"boot": this_process().boot, "pids": this_process().pids, "pid": (1 << 23) + number, "start": 1}, "slot": "9"}
    path = state / "crashes" / f"worker.9.{(1 << 23) + number}.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(json.dumps({**marker, "version": hybridprof.__version__, "config": config, "stage": "deep"}))


def test_a_marker_comes_with_what_runs_and_goes_with_it(hand: Hand, state: Path) -> None:
    hand.configured(text(state, "dark"))
    assert [path.name for path in markers(state)] == [f"worker.0.{os.getpid()}.json"]
    assert json.loads(markers(state)[0].read_text())["stage"] == "dark"
    hand.says(text(state, "deep"))
    assert json.loads(markers(state)[0].read_text())["stage"] == "deep"
    hand.ruler.set_slot("3")
    assert [path.name for path in markers(state)] == [f"worker.3.{os.getpid()}.json"]
    hand.says(text(state, "off"))
    assert markers(state) == []
    hand.says(text(state, "deep"))
    assert len(markers(state)) == 1
    hand.ruler.leave()
    assert markers(state) == []
    hand.look(10.0)
    assert markers(state) == []  # a look that comes late leaves none


def test_the_verdict_of_the_guard_limits_the_stage(hand: Hand, state: Path) -> None:
    more = f"[deep]\ntargets = ['{HERE}:text']\n"
    hand.write(text(state, "wide", more))
    hand.ruler._settings = read(str(hand.path))
    config = hand.ruler._config_key()
    seen = []
    for crashes in (1, 2, 3):
        crashed(state, config, crashes)
        hand.ruler.set_slot(str(crashes))  # each begins a life
        hybridprof.configure(hand.path)
        status = hybridprof.status()
        seen.append((status["stage"], status["running"], status["crashes"]["standing"]))
        hand.now += 1.0
    assert seen == [("deep", True, "down"), ("fleet", True, "sampler_only"), ("off", False, "disabled")]
    assert status["why"].startswith("stage 'off' (crash guard: it crashed three times in an hour: disabled for 24 hours")
    hand.look()
    assert ("stage", "deep", "fleet", "crash guard") in told(state) and ("stage", "fleet", "off", "crash guard") in told(state)
    assert hand.says(text(state, "deep", more))["stage"] == "deep"  # another configuration begins with a clean record


def test_health_clears_the_blame(hand: Hand, state: Path) -> None:
    hand.write(text(state, "deep"))
    hand.ruler._settings = read(str(hand.path))
    crashed(state, hand.ruler._config_key(), 1)
    hand.ruler._settings = None
    assert hand.configured(text(state, "deep"))["stage"] == "fleet"
    assert hand.look(HEALTHY - 2)["stage"] == "fleet"
    hand.look(3.0)
    assert hand.look(6.0)["stage"] == "deep"


def test_what_other_workers_met_is_known_within_seconds(hand: Hand, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is read while nobody has written."""
    hand.configured(text(state, "deep"))
    ticks = []
    guard = hand.ruler._guarding._guard
    assert guard is not None
    tick = guard.tick
    monkeypatch.setattr(guard, "tick", lambda: ticks.append(hand.now) or tick())
    for _ in range(30):
        hand.look()
    assert len(ticks) <= 2
    other = Guard(state / "crashes", version=hybridprof.__version__, config=hand.ruler._config_key(), slot="8")
    crashed(state, hand.ruler._config_key(), 1)
    other.begin("deep")
    try:
        for _ in range(6):
            status = hand.look()
        assert (status["stage"], status["crashes"]["standing"]) == ("fleet", "down")
    finally:
        other.end()


def test_a_corrupt_state_folder_ends_deep_tracing_and_says_so(hand: Hand, state: Path) -> None:
    (state / "crashes").mkdir(mode=0o700)
    (state / "crashes" / "crashes.json").write_text("{")
    status = hand.configured(text(state, "deep", f"[deep]\ntargets = ['{HERE}:text']\n"))
    assert (status["stage"], status["running"], status["targets"]) == ("fleet", True, [])
    assert "crashes cannot be known, so nothing deep is traced" in status["crashes"]["problem"]
    assert "crashes.json is damaged" in status["why"]
    (state / "crashes" / "crashes.json").unlink()
    hand.look(6.0)
    assert hand.look()["stage"] == "deep"


# --- verdict -----------------------------------------------------------------------------------------------------------------------------------------


def test_a_recorded_rollback_counts_at_the_next_look(hand: Hand, state: Path) -> None:
    hand.configured(text(state, "deep"))
    verdict.write(state, "dark", "fail", "p95: worse")
    status = hand.look()
    assert (status["stage"], status["running"]) == ("dark", False)
    assert status["why"].startswith("stage 'dark' (judge: p95: worse)")
    assert status["verdict"] == {"stage": "dark", "verdict": "fail", "reason": "p95: worse"}
    verdict.write(state, "fleet", "pass", "all is well")
    assert hand.look()["stage"] == "fleet"
    verdict.withdraw(state)
    assert hand.look()["stage"] == "deep"
    assert ("verdict", None, ["dark", "p95: worse"], "judge") in told(state)
    assert ("stage", "deep", "dark", "judge") in told(state) and ("verdict", ["fleet", "all is well"], None, "judge") in told(state)
    assert (os.stat(state).st_mode & 0o777, (state / "audit.jsonl").stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize("spoilt", ["{", "[]", '{"stage": "x", "verdict": "fail", "reason": ""}', '{"stage": "deep"}', "\udc80"])
def test_a_verdict_that_nobody_can_read_stops(hand: Hand, state: Path, spoilt: str) -> None:
    path = state / "verdict.json"
    path.write_bytes(spoilt.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    status = hand.configured(text(state, "deep"))
    assert (status["stage"], status["verdict"]["verdict"]) == ("dark", "unreadable")
    assert f"{path} cannot be used: it " in status["why"]
    path.unlink()
    assert hand.look()["stage"] == "deep"


def test_a_verdict_that_anybody_could_have_written_stops(hand: Hand, state: Path) -> None:
    verdict.write(state, "wide", "pass", "trust me")
    (state / "verdict.json").chmod(0o666)
    status = hand.configured(text(state, "deep"))
    assert status["stage"] == "dark" and "is writable by everybody" in status["why"]


FAIL = {"hosts": [{"p95": 2.0, "p50": 2.0} for _ in range(12)]}
PASS = {"hosts": [{"p95": 1.0 + number * 1e-6, "p50": 1.0} for number in range(12)]}


def judged(tmp_path: Path, state: Path, canary: dict[str, Any], *more: str) -> int:
    for name, figures in (("canary.json", canary), ("control.json", PASS)):
        (tmp_path / name).write_text(json.dumps(figures))
    return cli.main(["--canary", str(tmp_path / "canary.json"), "--control", str(tmp_path / "control.json"), "--apply", str(state), *more])


def test_the_judge_rolls_back_and_promotes(hand: Hand, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hand.configured(text(state, "deep"))
    assert judged(tmp_path, state, FAIL, "--roll-back-to", "dark") == 1
    assert f"no stage above dark runs from now on where {state} is the state_dir" in capsys.readouterr().out
    assert hand.look()["stage"] == "dark"
    assert judged(tmp_path, state, PASS) == 0  # a pass alone promotes nothing
    assert hand.look()["stage"] == "dark"
    few = {"hosts": PASS["hosts"][:3]}
    assert judged(tmp_path, state, few, "--promote-to", "deep") == 3
    assert hand.look()["stage"] == "dark"
    assert judged(tmp_path, state, PASS, "--promote-to", "fleet") == 0
    assert hand.look()["stage"] == "fleet"
    assert cli.main(["--withdraw", str(state)]) == 0
    assert hand.look()["stage"] == "deep"
    by_judge = [each for each in records(state) if each["what"] == "verdict file"]
    assert [(each["old"] and each["old"]["stage"], each["new"] and each["new"]["stage"], each["via"]) for each in by_judge] == [
        (None, "dark", "judge"),
        ("dark", "fleet", "judge"),
        ("fleet", None, "judge"),
    ]


# --- report -------------------------------------------------------------------------------------------------------------------------------------------


def test_a_report_is_published_when_something_changes(hand: Hand, state: Path) -> None:
    (state / ".status.8388609.json.0123456789ab").touch()  # half written, of a life that was killed
    hand.configured(text(state))
    hand.look()
    assert list(state.glob(".status.*")) == []
    path = state / f"status.{os.getpid()}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    (report,) = published.reports(state)
    assert (report["pid"], report["stage"], report["ladder"]["steps"], report["costs"]["seconds"]) == (os.getpid(), "fleet", [], 1.0)
    assert report["members"] == {"host": True, "process": True, "requests": 0.0}
    before = path.stat().st_ino
    hand.look()
    assert path.stat().st_ino == before
    hand.look(published.EVERY)
    assert path.stat().st_ino != before
    hand.says(text(state, "dark"))
    (report,) = published.reports(state)
    assert report["stage"] == "dark"
    (state / "status.8388609.json").write_text(json.dumps({"pid": 1 << 23, "started": 5}))  # of a life that is over
    (state / "status.x.json").write_text("")
    assert len(list(published.reports(state))) == 1
    hand.ruler.close()
    assert list(published.reports(state)) == [] and not path.exists()


def test_where_it_cannot_be_published_that_is_said(hand: Hand, state: Path) -> None:
    hand.configured(text(state / "none" / "none"))
    status = hand.look()
    assert "cannot be written: No such file or directory" in status["status_problem"]
    assert status["running"]
