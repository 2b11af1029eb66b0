# SPDX-License-Identifier: MIT
"""Workers that are killed at each step of a rollout, clocks that are set, a configuration that changes as fast as it can be written, sockets of several workers: under a real server."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from conftest import RunCli, wheel
from rollout.service import Service

import hybridprof
from hybridprof.rollout.audit_chain import verified

wheel("gunicorn")

# In gunicorn's main process, whose workers inherit it. The first worker that comes to a step for which there is a trap takes it away and dies there, without a word.
TRAPS = """
import os, resource, signal
from hybridprof import _core, api
from hybridprof.rollout import audit, command, crash_loop, published, rotation, ruler, shipping

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # a write beyond the limit kills, in its middle

def is_trapped(step):
    try:
        os.rename("trap." + step, f"sprung.{step}.{os.getpid()}")
        return True
    except OSError:
        return False

def trap(step):
    if is_trapped(step):
        os.kill(os.getpid(), signal.SIGKILL)

def trapped(owner, name, before="", after=""):
    function = getattr(owner, name)
    def call(*arguments, **more):
        trap(before)
        result = function(*arguments, **more)
        trap(after)
        return result
    setattr(owner, name, call)

class Renaming:  # in place of os: what is written has no name yet
    def __init__(self, step):
        self.step = step
    def __getattr__(self, name):
        return getattr(os, name)
    def rename(self, old, new):
        trap(self.step)
        os.rename(old, new)

def half_written(file, text):
    if is_trapped("audit"):
        os.write(file, text[: len(text) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    write_whole(file, text)

def limited(self, profile, path, name):
    if is_trapped("write"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    write(self, profile, path, name)

trapped(ruler, "read", "read", "config")
trapped(api.Profiler, "begin", "session", "begun")
crash_loop.os, published.os = Renaming("marker"), Renaming("report")
write_whole, audit._write_whole = audit._write_whole, half_written
trapped(_core, "window", after="taken")
write, rotation.Rotation._write_making_room = rotation.Rotation._write_making_room, limited
trapped(rotation.Rotation, "_write", after="written")
trapped(shipping, "run", "upload", "uploaded")
trapped(command, "_begun", after="uploading")
"""

# Another file each time: crashes are blamed on one.
CONFIG = """stage = 'fleet'
state_dir = '{folder}/state'
[rollout]
hosts = 1.0
[sampler]
rate = {rate}
clock = '{clock}'
[output]
budget = '100%'
{more}"""


class Faulty(Service):
    def __init__(self, folder: Path, more: str = "", interval: int = 1) -> None:
        super().__init__(folder, settings=TRAPS)
        self.state, self.more, self.changes = folder / "state", f"interval = {interval}\n{more}", 0
        self.state.mkdir(mode=0o700)
        self.change()

    def change(self) -> None:
        self.changes += 1
        clock = ("wall", "cpu")[self.changes % 2]
        self.configure(CONFIG.format(folder=self.folder, rate=10 + self.changes, clock=clock, more=self.more))

    def kills_at(self, step: str) -> int:
        """Sets a trap, and waits until a worker has died in it and another has taken its place. Who died."""
        (self.folder / f"trap.{step}").touch()
        self.change()
        sprung: list[Path] = []
        self.until(lambda: bool(sprung.extend(self.folder.glob(f"sprung.{step}.*")) or sprung), f"a worker comes to {step}")
        victim = int(sprung[0].suffix[1:])
        self.until(
            lambda: victim not in self.states() and self.everywhere(lambda state: state["status"]["running"]), f"all run after {step}"
        )
        return victim

    def is_well(self) -> None:
        assert self.get() == 380
        states = self.states().values()
        assert sorted(state["status"]["slot"] for state in states) == ["0", "1"]
        assert [(state["status"]["problem"], state["status"]["crashes"]["problem"]) for state in states] == [("", None)] * 2


def assert_whole(paths: list[Path]) -> None:
    for path in paths:
        assert not [each for each in hybridprof.load(path).meta["warnings"] if "cut short" in each], path


def test_a_worker_is_killed_while_a_change_is_made_true(tmp_path: Path) -> None:
    service = Faulty(tmp_path)
    with service:
        for step in ("read", "config", "marker", "session", "begun", "report", "audit"):
            service.kills_at(step)
            service.is_well()
        (half,) = service.state.glob("crashes/.*")  # that of `marker`; a report's is gone by now
        os.utime(half, (time.time() - 3600,) * 2)
        service.kills_at("config")
        service.until(lambda: not half.exists() and not list(service.state.glob(".status.*")), "what was half written goes")
        pids = set(service.states())
        service.until(lambda: {path.name for path in service.state.glob("status.*")} == {f"status.{pid}.json" for pid in pids}, "reports")
        assert len(list(service.state.glob("crashes/worker.*"))) == 2
    found = verified(service.state / "audit.jsonl")
    assert found.broken is None, found
    assert_whole(service.files())
    assert "Traceback" not in service.log.read_text()


def test_a_worker_is_killed_while_a_file_is_written(tmp_path: Path) -> None:
    service = Faulty(tmp_path)
    with service:
        for step in ("taken", "write", "written"):
            victim = service.kills_at(step)
            service.is_well()
            halves = list(service.output.glob(f".hybridprof-{victim}-*.tmp"))
            assert len(halves) == (step == "write"), (step, halves)
            for path in halves:
                os.utime(path, (time.time() - 7200,) * 2)
            service.until(lambda: not any(path.exists() for path in halves), "another worker removes what was half written")  # noqa: B023
            assert_whole(service.files())
            assert bool(service.files(victim)) or step != "written"
    assert_whole(service.files())


def test_a_worker_is_killed_while_a_file_is_handed_over(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    service = Faulty(tmp_path, f"command = ['cp', '-t', '{taken}']\n", interval=2)
    with service:
        for step in ("upload", "uploading", "uploaded"):
            before = set(taken.iterdir())
            service.kills_at(step)
            service.is_well()
            service.until(lambda: bool(set(taken.iterdir()) - before), "others hand over")  # noqa: B023
        left = service.files()
        service.until(lambda: not any(path.exists() for path in left), "all that killed ones left is handed over")
        names = {path.name for path in left}
    assert names <= {path.name for path in taken.iterdir()}
    assert_whole(sorted(taken.iterdir()))


def test_a_configuration_that_flaps_as_fast_as_it_can(tmp_path: Path) -> None:
    service = Service(tmp_path)
    texts = [
        "stage = 'fleet'\n",
        "stage = 'off'\n",
        "stage = 'deep'\ndeep.targets = ['shop:checkout']\n",
        "stage = \n",
        "stage = 'fleet'\nsampler.clock = 'cpu'\n",
    ]
    last = "stage = 'fleet'\nsampler.rate = 7\n"

    def asks(state: dict[str, Any]) -> object:
        rate = state["status"]["in_force"]["sampler.rate"]
        return rate["asked"] or rate["value"]  # who flaps is not forgiven for ever: the budget may have lowered it

    service.configure(last)
    with service:
        workers = set(service.states())
        end, changes = time.monotonic() + 3.0, 0
        while time.monotonic() < end or changes < 500:
            service.configure(texts[changes % len(texts)])
            changes += 1
            if changes % 200 == 0:
                assert service.get() == 380
        service.configure(last)
        service.until(
            lambda: service.everywhere(
                lambda state: (
                    state["status"]["running"]
                    and asks(state) == 7
                    and state["status"]["stage"] == "fleet"
                    and not state["status"]["config_errors"]
                    and not state["targets"]
                )
            ),
            "the last one counts",
        )
        assert set(service.states()) == workers and all(state["status"]["problem"] == "" for state in service.states().values())
    assert "Traceback" not in service.log.read_text()


CLOCK = """
import time
real = time.time
def set_by_the_test():
    try:
        with open("ahead") as file:
            return real() + float(file.read())
    except (OSError, ValueError):
        return real()
time.time = set_by_the_test  # before any module of ours takes it
"""


def test_clocks_that_are_set_stop_nothing_and_remove_nothing(tmp_path: Path) -> None:
    """Back by an hour, and forward by a day, where files are kept for half of one."""
    # Budgets are of the CPU time of a service that hardly has any: that no step is taken is to be the clocks' merit, not a quiet machine's.
    config = f"stage = 'fleet'\nstate_dir = '{tmp_path}/state'\n[caps]\nsampler_budget = '50%'\n[sampler]\nrate = 10\nbudget = '50%'\n"
    config += "[output]\ninterval = 1\nbudget = '100%'\ndays = 0.5\n"
    (tmp_path / "state").mkdir(mode=0o700)
    service = Service(tmp_path, settings=CLOCK)
    service.configure(config)
    with service:
        workers = sorted(service.states())
        for number, ahead in enumerate((0, -3600, 86400)):
            (tmp_path / "ahead.new").write_text(str(ahead))
            (tmp_path / "ahead.new").rename(tmp_path / "ahead")
            assert abs(service.states()[workers[0]]["status"]["at"] - time.time() - ahead) < 600  # it is in force
            service.configure(f"{config}megabytes = {100 + number}\n")
            in_force = lambda state: state["status"]["in_force"]["output.megabytes"]["value"] == 100 + number  # noqa: B023, E731
            service.until(lambda: service.everywhere(in_force), f"a change is seen at {ahead}")  # noqa: B023
            goal = {pid: len(service.files(pid)) + 3 for pid in workers}
            service.until(lambda: all(len(service.files(pid)) >= goal[pid] for pid in workers), f"files come at {ahead}")  # noqa: B023
            for state in service.states().values():
                status = state["status"]
                assert (status["running"], status["problem"], status["output"]["problem"]) == (True, "", "")
                assert (status["output"]["removed"], status["output"]["lost"], status["ladder"]["steps"]) == (0, 0, []), status["ladder"]
        assert sorted(service.states()) == workers
    assert_whole(service.files())


def test_each_worker_has_a_socket_that_ctl_reaches(tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    service = Service(tmp_path, workers=3)
    service.configure(f"stage = 'fleet'\nstate_dir = '{tmp_path}/state'\n[control]\nsocket = '{tmp_path}/c/%p.sock'\n")

    def sockets() -> set[str]:
        return {path.name for path in (tmp_path / "c").iterdir()} if (tmp_path / "c").exists() else set()

    def expected() -> set[str]:
        return {f"{pid}.sock{suffix}" for pid in service.states() for suffix in ("", ".token")}

    with service:
        service.until(lambda: sockets() == expected(), "each has its own")
        victim, *others = sorted(service.states())
        for number, pid in enumerate((victim, *others)):
            assert json.loads(run_cli("ctl", pid, "rate", 20 + number, "--json").stdout)["pid"] == pid
        for number, pid in enumerate((victim, *others)):
            status = json.loads(run_cli("ctl", pid, "status", "--json").stdout)
            assert (status["pid"], [each["value"] for each in status["overrides"]]) == (pid, [20 + number])
        said = run_cli("status", "--state-dir", tmp_path / "state", "--json").stdout
        assert {report["pid"] for report in json.loads(said)} == {victim, *others}
        os.kill(victim, signal.SIGKILL)
        service.until(lambda: victim not in service.states() and sockets() == expected(), "its successor removes what it left")
        assert run_cli("ctl", victim, "status", status=None).returncode != 0
        assert service.get() == 380
    assert sockets() == set()
