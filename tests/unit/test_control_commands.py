# SPDX-License-Identifier: MIT
"""What each command does to the ruler, without a socket between. The clock stands still until a test moves it, and looks are taken by hand."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hybridprof
from hybridprof import _core, marking
from hybridprof.rollout import Ruler
from hybridprof.rollout.control.commands import Commands
from hybridprof.rollout.control.exchange import Exchange, Refusal, Request
from hybridprof.rollout.control.peers import Peer
from hybridprof.rollout.ledger import Reading
from hybridprof.rollout.pace import Pace
from hybridprof.rollout.process import appointed, retire
from hybridprof.rollout.rotation import shortened

HERE = __name__
PEER = Peer(1000, 42)
TRACED = f"[deep]\ntargets = ['{HERE}:first']\nrate = 1.0\n[caps]\ndeep_rate = 1.0\nrate = 500\n"


def first() -> int:
    return 1


def second() -> int:
    return 2


class Desk:
    """A ruler, its file, and commands to it. said: what was audited."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.path = folder / "config.toml"
        self.kill = folder / "kill"
        self.ruler = appointed(
            lambda: Ruler(clock=lambda: self.now, wall=lambda: 5000.0 + self.now, period=3600.0, costs=lambda: Reading(self.now))
        )
        self.commands = Commands(self.ruler.control, "token")
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.process = 0.0  # CPU seconds
        self.ruler.control.pace = Pace(lambda: self.now, lambda: self.process)
        self.ruler.control.audit = lambda event, **fields: self.said.append((event, fields))

    def configure(self, text: str) -> None:
        self.path.write_text(f"kill_file = '{self.kill}'\n" + text)
        self.path.chmod(0o600)
        hybridprof.configure(self.path)

    def look(self, seconds: float) -> dict[str, Any]:
        self.now += seconds
        self.ruler.look()
        return hybridprof.status()

    def do(self, what: str, **fields: object) -> dict[str, Any]:
        fields = {"for" if name == "lasting" else name: each for name, each in fields.items()}
        return self.answer(Request("POST", "/" + what, {}, fields))

    def get(self, what: str, **query: str) -> Any:
        return self.answer(Request("GET", "/" + what, query, {}))

    def answer(self, request: Request) -> Any:
        answer = self.commands.answer(request, PEER)
        return json.loads(answer.body) if answer.kind == "application/json" else answer.body

    def refuses(self, what: str, **fields: object) -> tuple[int, str]:
        """And changes nothing."""
        before, said = self.state(), len(self.said)
        with pytest.raises(Refusal) as caught:
            self.do(what, **fields)
        assert self.state() == before and len(self.said) == said
        return caught.value.status, str(caught.value)

    def state(self) -> object:
        status = hybridprof.status()
        return [status[name] for name in ("running", "stage", "why", "rate_hz", "patterns", "overrides", "in_force")], armed()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name in [name for name in os.environ if name.startswith("HYBRIDPROF_")]:
        monkeypatch.delenv(name)
    hybridprof.stop()
    made = Desk(tmp_path)
    yield made
    retire()
    hybridprof.stop()
    assert not _core.running() and marking._most == 1.0 and armed() == {}


def armed() -> dict[str, float]:
    return {code.co_qualname: rate for code, rate in _core.targets() if code.co_filename == __file__}


def test_rate(desk: Desk) -> None:
    desk.configure("stage = 'fleet'\n[caps]\nrate = 500\n")
    answer = desk.do("rate", hz=50, lasting="10m")
    assert (answer["pid"], answer["running"], answer["rate_hz"], answer["for"]) == (os.getpid(), True, 50, "10 min")
    assert answer["overrides"] == [{"key": "sampler.rate", "value": 50.0, "by": "control (uid 1000, pid 42)", "seconds_left": 600.0}]
    assert desk.look(599)["rate_hz"] == 50 and desk.look(1)["rate_hz"] == 100
    assert desk.said == [("control rate", {"peer": PEER, "old": 100.0, "new": 50.0, "until": 6600.0})]
    for hz, sentence in [
        (501, "sampler.rate is 501, and [caps] rate allows at most 500"),
        (-1, "sampler.rate must be a number of Hz from 0 (no sampling) to 10000, not -1"),
        ("fast", "sampler.rate must be a number of Hz from 0 (no sampling) to 10000, not 'fast'"),
        (True, "sampler.rate must be a number of Hz from 0 (no sampling) to 10000, not True"),
        (None, "sampler.rate must be a number of Hz from 0 (no sampling) to 10000, not None"),
    ]:
        assert desk.refuses("rate", hz=hz) == (400, sentence)
    assert desk.refuses("rate") == (400, 'rate takes "hz", samples in a second')
    assert desk.refuses("rate", hz=50, lasting="8d")[1].startswith("for must be a time such as 90s")


def test_stop_and_start(desk: Desk) -> None:
    desk.configure("stage = 'fleet'")
    answer = desk.do("stop", lasting="1m")
    assert (answer["running"], answer["stage"], answer["why"]) == (
        False,
        "off",
        "stage 'off' (override by control (uid 1000, pid 42), for 60 s more)",
    )
    assert desk.look(61)["running"]
    desk.do("stop")
    answer = desk.do("start")
    assert (answer["running"], answer["overrides"], answer["why"]) == (True, [], f"stage 'fleet' ({desk.path}:2)")
    assert [(event, fields["old"], fields["new"], fields["until"]) for event, fields in desk.said] == [
        ("control stop", "fleet", "off", 6060.0),
        ("control stop", "fleet", "off", 9661.0),
        ("control start", "off", "fleet", None),
    ]


def test_start_where_the_configuration_runs_nothing(desk: Desk) -> None:
    desk.configure("stage = 'dark'\n" + TRACED)
    answer = desk.do("start", lasting="5m")
    assert (answer["running"], answer["stage"], armed(), answer["for"]) == (True, "fleet", {}, "5 min")
    assert desk.do("start", stage="deep", lasting=60)["stage"] == "deep" and armed() == {"first": 1.0}
    assert not desk.look(60)["running"]
    assert desk.refuses("start", stage="dark") == (400, "stage 'dark' runs nothing; start takes canary, fleet, deep or wide")
    assert desk.refuses("start", stage="fast") == (400, "stage must be one of off, dark, canary, fleet, deep, wide, not 'fast'")
    assert desk.refuses("start", stage=3)[0] == 400


def test_start_where_nothing_would_run(desk: Desk) -> None:
    desk.configure("stage = 'fleet'")
    desk.do("stop")
    desk.kill.touch()
    desk.look(1)
    assert desk.refuses("start") == (409, f"nothing would run: kill file {desk.kill} exists")
    assert desk.refuses("start", stage="deep")[0] == 409
    desk.kill.unlink()
    assert not desk.look(1)["running"]  # the stop still stands
    hybridprof.stop()
    assert desk.refuses("start") == (409, "nothing would run: hybridprof.stop() was called in this process")


def test_targets_come_and_go(desk: Desk) -> None:
    desk.configure("stage = 'deep'\n" + TRACED)
    answer = desk.do("targets", add=[f"{HERE}:second"], lasting="10m")
    assert answer["patterns"] == [f"{HERE}:first", f"{HERE}:second"] and armed() == {"first": 1.0, "second": 1.0}
    desk.now += 300
    assert desk.do("targets", remove=f"{HERE}:first", lasting="1h")["patterns"] == [f"{HERE}:second"]
    assert desk.look(301)["patterns"] == []  # each ends by itself
    assert armed() == {} and hybridprof.running()
    assert desk.look(3300)["patterns"] == [f"{HERE}:first"] and desk.look(0)["overrides"] == []
    assert [(event, fields["old"], fields["new"], fields["until"]) for event, fields in desk.said] == [
        ("control targets", (f"{HERE}:first",), (f"{HERE}:first", f"{HERE}:second"), 6600.0),
        ("control targets", (f"{HERE}:first", f"{HERE}:second"), (f"{HERE}:second",), 9900.0),
    ]


def test_what_was_added_is_taken_back_without_a_time(desk: Desk) -> None:
    desk.configure("stage = 'deep'\n" + TRACED)
    desk.do("targets", add=[f"{HERE}:second"], rate=0.5, lasting="10m")
    assert armed() == {"first": 0.5, "second": 0.5}
    answer = desk.do("targets", remove=[f"{HERE}:second"])
    assert (
        "for" not in answer and answer["patterns"] == [f"{HERE}:first"] and [each["key"] for each in answer["overrides"]] == ["deep.rate"]
    )


def test_targets_follow_the_file_beneath(desk: Desk) -> None:
    desk.configure("stage = 'deep'\n" + TRACED)
    desk.do("targets", add=[f"{HERE}:second"], lasting="10m")
    desk.path.write_text(desk.path.read_text().replace(":first", ":third"))
    assert desk.look(5)["patterns"] == [f"{HERE}:third", f"{HERE}:second"]


def test_targets_that_are_refused(desk: Desk) -> None:
    desk.configure("stage = 'deep'\n" + TRACED)
    needs = 'targets takes "for", a time such as "10m", after which they are as the configuration says'
    assert desk.refuses("targets", add=["a:b"]) == (400, needs)
    assert desk.refuses("targets", remove=[f"{HERE}:first"]) == (400, needs)
    assert desk.refuses("targets", remove=["a:b"], lasting="1m") == (400, f"'a:b' is no target here; targets are {HERE}:first")
    assert desk.refuses("targets", lasting="1m")[1].startswith('targets takes "add" or "remove"')
    assert desk.refuses("targets", add=["ab"], lasting="1m")[1].startswith("add holds what is no target: pattern 'ab' has no colon")
    assert desk.refuses("targets", add={"a": 1}, lasting="1m")[1].startswith("add must be a list of patterns")
    assert desk.refuses("targets", add=[1], lasting="1m")[0] == 400
    assert (
        desk.refuses("targets", add=["a:b"], lasting="1m", rate=2)[1] == "deep.rate must be a share of calls, above 0 and at most 1, not 2"
    )
    desk.configure("stage = 'fleet'")
    assert desk.refuses("targets", add=["a:b"], lasting="1m") == (
        409,
        f"no targets are traced now (stage 'fleet' ({desk.path}:2)); first start with stage deep",
    )
    desk.configure("stage = 'deep'\n" + TRACED.replace("1.0", "0.1"))
    assert desk.refuses("targets", add=["a:b"], lasting="1m", rate=0.5) == (
        400,
        "deep.rate is 0.5, and [caps] deep_rate allows at most 0.1",
    )


def test_kill_is_final(desk: Desk) -> None:
    desk.configure("stage = 'deep'\n" + TRACED)
    profiler = hybridprof.start()
    desk.do("rate", hz=50)
    assert armed() == {"first": 1.0}
    answer = desk.do("kill")
    assert (answer["running"], answer["stage"], answer["overrides"], armed()) == (False, "off", [], {})
    assert answer["why"] == "stage 'off' (control socket: killed by control (uid 1000, pid 42))"
    profiler.stop()
    hybridprof.start()
    with hybridprof.Profiler(deep=[f"{HERE}:second"]):
        sys.modules[HERE].second()
        assert armed() == {}
    desk.path.write_text(desk.path.read_text().replace("deep'", "wide'"))
    assert not desk.look(5)["running"]
    dead = "this process was killed by control (uid 1000, pid 42), and stays so until it ends"
    for what, fields in [("start", {}), ("rate", {"hz": 1}), ("targets", {"add": ["a:b"], "lasting": 1}), ("start", {"stage": "wide"})]:
        assert desk.refuses(what, **fields) == (409, dead)
    assert hybridprof.status()["control"]["killed"] == "killed by control (uid 1000, pid 42)"
    assert (desk.said[-1][0], desk.said[-1][1]["old"], desk.said[-1][1]["new"]) == ("control kill", "deep", "off")
    tools = [tool for tool in range(6) if hasattr(sys, "monitoring") and sys.monitoring.get_tool(tool) == "hybridprof"]
    assert [sys.monitoring.get_events(tool) for tool in tools] == [0] * len(tools) and sys.getprofile() is None


def test_snapshot(desk: Desk, tmp_path: Path) -> None:
    desk.configure("stage = 'deep'\n" + TRACED)
    for _ in range(3):
        sys.modules[HERE].first()
    (tmp_path / "x").write_bytes(desk.get("snapshot"))
    profile = hybridprof.load(tmp_path / "x")
    assert [row.calls for row in profile.functions if row.name == "first"] == [3]
    for name in (each[0] for each in _core.formats() if each[4]):
        desk.process += 100.0
        assert len(desk.get("snapshot", format=name)) > 0
    with pytest.raises(Refusal, match=r"format must be one of hyprof, .*, not 'txt'"):
        desk.get("snapshot", format="txt")
    assert [(event, fields["peer"]) for event, fields in desk.said] == [("control snapshot", PEER)]


def test_status_names_files_as_snapshots_do(desk: Desk, tmp_path: Path) -> None:
    deep = f"stage = 'deep'\n[deep]\ntargets = ['{HERE}:first']\nrate = 1.0\n[caps]\ndeep_rate = 1.0\n[output]\npaths = '{{}}'\n"
    line = first.__code__.co_firstlineno
    files = []
    for paths in ("full", "short"):
        desk.configure(deep.format(paths))
        sys.modules[HERE].first()
        (tmp_path / "snapshot").write_bytes(desk.get("snapshot"))
        files += [row.file for row in hybridprof.load(tmp_path / "snapshot").functions if row.name == "first"]
        status = desk.get("status")
        assert [each for each in status["targets"] if HERE.rpartition(".")[2] in each] == [
            f"{files[-1]}:{line} first"
        ]  # others' marks stay
        assert status["config"] == str(desk.path)  # what the operator has named is whole: it is to be found
        whole = [each for each in hybridprof.status()["targets"] if HERE.rpartition(".")[2] in each]
        assert whole == [f"{__file__}:{line} first"]  # for the program itself
        desk.process += 1e6  # the snapshot is paid for
    assert files[0] == __file__ and not files[1].startswith("/") and __file__.endswith("/" + files[1])


def test_the_folder_of_an_import_is_taken_off() -> None:
    folders = ["/a", "/a/lib", "/a/li", ""]
    found = {file: shortened(file, folders) for file in ("/a/x.py", "/a/lib/p/x.py", "/a/libs/x.py", "/b/p/x.py", "p/x.py", "<string>")}
    assert found == {
        "/a/x.py": "x.py",
        "/a/lib/p/x.py": "p/x.py",
        "/a/libs/x.py": "libs/x.py",
        "/b/p/x.py": "x.py",
        "p/x.py": "p/x.py",
        "<string>": "<string>",
    }
    assert shortened("/a/x.py", None) == "/a/x.py"


def test_snapshots_wait_until_the_last_one_is_paid_for(desk: Desk) -> None:
    desk.configure("stage = 'deep'\noutput.budget = '2%'\n" + TRACED)
    desk.get("snapshot")
    desk.ruler.control.pace.charge(0.4)  # and what it took really
    desk.now, desk.process = desk.now + 5.0, desk.process + 5.0
    for _ in range(2):
        with pytest.raises(Refusal) as caught:
            desk.get("snapshot", format="pstats")
        assert caught.value.status == 429 and 15 <= caught.value.retry_after <= 25
        assert (
            str(caught.value)
            == f"the last snapshot is not paid for yet, of the 2 % that output.budget allows; try again in {caught.value.retry_after} s"
        )
    with pytest.raises(Refusal, match="format must be one of"):
        desk.get("snapshot", format="txt")
    assert desk.get("status")["running"]  # whatever steers is answered
    for what, fields in [("rate", {"hz": 50}), ("targets", {"add": [f"{HERE}:second"], "lasting": 60}), ("stop", {}), ("start", {})]:
        assert desk.do(what, **fields)["pid"] == os.getpid()
    desk.process += 1000.0
    assert desk.get("snapshot") and desk.do("kill")["running"] is False


def test_who_is_to_come_again_knocks_not_in_the_log(desk: Desk) -> None:
    desk.configure("stage = 'fleet'")
    desk.commands.refused(PEER, 429, "later", b"GET /snapshot HTTP/1.1")
    desk.commands.refused(PEER, 401, "no token", b"GET /snapshot HTTP/1.1")
    control = hybridprof.status()["control"]
    assert [fields["new"]["status"] for _, fields in desk.said] == [401] and (control["refused"], control["postponed"]) == (1, 1)


def test_names_that_a_command_does_not_take(desk: Desk) -> None:
    assert desk.refuses("rate", hz=5, speed=3) == (400, "/rate takes for, hz, not 'speed'")
    assert desk.refuses("kill", now=True) == (400, "/kill takes nothing, not 'now'")
    for request in (Request("GET", "/status", {"x": ""}), Request("GET", "/status", {}, {"x": 1}), Request("POST", "/stop", {"for": "1m"})):
        with pytest.raises(
            Refusal, match=r"takes nothing, not 'x'|what /status takes stands in the address|what /stop takes stands in the body, as JSON"
        ):
            desk.answer(request)


@pytest.mark.parametrize(
    ("line", "header", "status"),
    [
        ("GET /status HTTP/1.1", "Authorization: Bearer token", 0),
        ("GET /status HTTP/1.1", "Authorization: Bearer wrong", 401),
        ("GET /status HTTP/1.1", "Host: x", 401),
        ("GET /nothing HTTP/1.1", "Host: x", 401),  # who has no token learns nothing
        ("GET /nothing HTTP/1.1", "Authorization: Bearer token", 404),
        ("GET /../status HTTP/1.1", "Authorization: Bearer token", 404),
        ("GET /kill HTTP/1.1", "Authorization: Bearer token", 405),
        ("POST /status HTTP/1.1", "Authorization: Bearer token", 405),
        ("HEAD /status HTTP/1.1", "Authorization: Bearer token", 405),
        ("__init__ /status HTTP/1.1", "Authorization: Bearer token", 405),
    ],
)
def test_who_and_what_is_admitted(desk: Desk, line: str, header: str, status: int) -> None:
    exchange = Exchange(f"{line}\r\n{header}\r\n\r\n".encode())
    if not status:
        desk.commands.admit(exchange, PEER)
        return
    with pytest.raises(Refusal) as caught:
        desk.commands.admit(exchange, PEER)
    assert caught.value.status == status


def test_configure_without_a_file(tmp_path: Path) -> None:
    hybridprof.stop()
    with pytest.raises(TypeError, match=r"needs the path of a TOML file, or socket="):
        hybridprof.configure()
    with pytest.raises(ValueError, match=r"control\.socket must be an absolute path, not 'x\.sock'"):
        hybridprof.configure(socket="x.sock")
    try:
        hybridprof.configure(socket=str(tmp_path / "%p.sock"))
        status = hybridprof.status()
        assert (status["running"], status["control"]["socket"], status["control"]["problem"]) == (
            False,
            str(tmp_path / f"{os.getpid()}.sock"),
            "",
        )
        hybridprof.start(rate=50)
        assert hybridprof.status()["rate_hz"] == 50
    finally:
        retire()
    assert list(tmp_path.iterdir()) == []
    hybridprof.stop()
