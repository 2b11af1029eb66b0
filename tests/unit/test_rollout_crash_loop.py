# SPDX-License-Identifier: MIT
"""Crashes of real processes, told from clean ends, forks, reboots and others' pids; and state folders that say nothing."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import RunCli, clean_environment

from hybridprof.rollout import crash_loop, locks, memory_kills
from hybridprof.rollout import markers as markers_of_lives
from hybridprof.rollout.crash_loop import Clock, Decision, Guard
from hybridprof.rollout.crash_rules import Standing
from hybridprof.rollout.markers import this_process

BEGIN = """
import os, signal, sys
from hybridprof.rollout.crash_loop import Guard
guard = Guard(sys.argv[1], version="1", config="c", slot="0")
decision = guard.begin("deep")
print(decision.stage, flush=True)
"""


class Times:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.now, self.wall = 1000.0, 1.7e9

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.wall)

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def times() -> Times:
    return Times()


Made = Callable[..., Guard]


@pytest.fixture
def made(tmp_path: Path, times: Times) -> Iterator[Made]:
    guards: list[Guard] = []

    def make(version: str = "1", config: str = "c", slot: str = "0", folder: Path | None = None) -> Guard:
        guards.append(Guard(folder or tmp_path / "state", version=version, config=config, slot=slot, clock=times.clock()))
        return guards[-1]

    yield make
    for guard in guards:
        guard.end()


def markers(folder: Path) -> list[Path]:
    return sorted(folder.glob("worker.*"))


def died(folder: Path, *, version: str = "1", config: str = "c", slot: str = "9", **owner: object) -> Path:
    """The marker of a life that is over: its pid is above what Linux gives."""
    me = this_process()
    of = {"boot": me.boot, "pids": me.pids, "pid": 1 << 23, "start": 1, **owner}
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"worker.{slot}.{of['pid']}.json"
    path.write_text(json.dumps({"owner": of, "slot": slot, "version": version, "config": config, "stage": "deep"}))
    return path


@pytest.mark.parametrize(
    ("ending", "crash"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", True),
        ("os.kill(os.getpid(), signal.SIGSEGV)", True),
        ("os._exit(0)", True),
        ("import ctypes; ctypes.CDLL(None).exit(1)", False),  # a server that runs no exit handlers of Python's
        ("import ctypes; pid = os.fork(); pid or ctypes.CDLL(None).exit(1); os.waitpid(pid, 0); os._exit(0)", True),
        ("os.kill(os.getpid(), signal.SIGTERM)", True),
        ("pass", False),
        ("sys.exit(3)", False),
        ("1 / 0", False),
        ("signal.signal(signal.SIGTERM, lambda *a: sys.exit(0)); os.kill(os.getpid(), signal.SIGTERM)", False),
        ("guard.end(); os._exit(0)", False),
        ("pid = os.fork(); pid or sys.exit(0); os.waitpid(pid, 0)", False),
        ("pid = os.fork(); pid or os._exit(1); os.waitpid(pid, 0)", False),
        ("pid = os.fork(); pid or (guard.begin('deep'), sys.exit(0)); os.waitpid(pid, 0)", False),
        ("pid = os.fork(); pid or (guard.begin('deep'), os._exit(0)); os.waitpid(pid, 0)", True),
        ("guard._marker and os.execv(sys.executable, [sys.executable, '-c', sys.argv[2], sys.argv[1], 'x'])", False),
    ],
)
def test_ends_of_a_process(tmp_path: Path, made: Made, run_python: RunCli, ending: str, crash: bool) -> None:
    state = tmp_path / "state"
    again = BEGIN if "execv" in ending else ""  # the same process, begun anew by exec
    done = run_python(BEGIN + ending, state, again, status=None)
    assert done.stdout.startswith("deep\n"), done.stderr
    found = made().begin("deep")
    assert (found.stage, found.standing) == (("fleet", Standing.DOWN) if crash else ("deep", Standing.CLEAR)), found
    assert len(markers(state)) == 1  # our own


def test_one_two_three_crashes_of_a_real_service(tmp_path: Path, run_python: RunCli) -> None:
    said = [run_python(BEGIN + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path / "state", status=-9).stdout for _ in range(4)]
    assert said == ["deep\n", "fleet\n", "fleet\n", "off\n"]
    assert markers(tmp_path / "state") == []  # where nothing runs nothing is to blame
    other = BEGIN.replace('config="c"', 'config="d"')
    assert run_python(other, tmp_path / "state").stdout == "deep\n"
    assert run_python(BEGIN, tmp_path / "state").stdout == "off\n"


def test_a_living_owner_and_a_dead_one_that_nobody_waited_for(tmp_path: Path, made: Made) -> None:
    command = [sys.executable, "-c", BEGIN + "sys.stdin.read()", str(tmp_path / "state")]
    process = subprocess.Popen(command, env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdin is not None
    try:
        assert process.stdout.readline() == b"deep\n"
        assert made(slot="1").begin("deep").standing is Standing.CLEAR
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
        assert made(slot="2").begin("deep").standing is Standing.DOWN
    finally:
        process.kill()
        process.communicate()


PREFORK = """
import os, signal, sys
from hybridprof.rollout.crash_loop import Guard

def worker(slot):
    ours, theirs = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        guard = Guard(sys.argv[1], version="1", config="c", slot=str(slot))
        os.write(theirs[1], (guard.begin("deep").stage + " ").encode())
        while True:
            order = os.read(ours[0], 1)
            if order == b"k": os.kill(os.getpid(), signal.SIGKILL)
            if order == b"t": os.write(theirs[1], (guard.tick().stage + " ").encode())
            if order in (b"q", b""): sys.exit(0)
    return pid, ours[1], theirs[0]

def ask(worker, order):
    os.write(worker[1], order)
    return os.read(worker[2], 100).decode().strip() if order == b"t" else os.waitpid(worker[0], 0)[1]

workers = [worker(slot) for slot in range(4)]
print([os.read(each[2], 100).decode().strip() for each in workers])
ask(workers[1], b"k")
workers[1] = worker(1)
print(os.read(workers[1][2], 100).decode().strip(), [ask(each, b"t") for each in workers])
ask(workers[1], b"k"), ask(workers[2], b"k")
workers[1:3] = [worker(1), worker(2)]
print(sorted(os.read(each[2], 100).decode().strip() for each in workers[1:3]), [ask(each, b"t") for each in workers])
print([ask(each, b"q") for each in workers])
"""


def test_prefork_workers_share_what_they_know(tmp_path: Path, run_python: RunCli, made: Made) -> None:
    lines = run_python(PREFORK, tmp_path / "state").stdout.splitlines()
    assert lines[0] == "['deep', 'deep', 'deep', 'deep']"
    assert lines[1] == "fleet ['fleet', 'fleet', 'fleet', 'fleet']"
    # Two died before anybody looked: one crash more, the second.
    assert lines[2] == "['fleet', 'fleet'] ['fleet', 'fleet', 'fleet', 'fleet']"
    assert lines[3] == "[0, 0, 0, 0]" and markers(tmp_path / "state") == []
    guard = made()
    assert guard.begin("wide").standing is Standing.SAMPLER_ONLY and guard.status()["crashes"] == 2


def test_workers_that_begin_at_once_count_a_crash_once(tmp_path: Path, made: Made) -> None:
    died(tmp_path / "state")
    command = [sys.executable, "-c", BEGIN + "sys.stdin.read()", str(tmp_path / "state")]
    many = [subprocess.Popen(command, env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate("", 60)[0] for process in many] == ["fleet\n"] * 4
    guard = made()
    guard.begin("deep")
    assert guard.status()["crashes"] == 1


def test_whose_marker_it_is(tmp_path: Path, made: Made) -> None:
    state, me = tmp_path / "state", this_process()
    died(state, pid=os.getppid(), start=1)  # a pid that was given again
    assert made().begin("deep").standing is Standing.DOWN
    died(state, boot="another", slot="8")
    died(state, pid=me.pid, start=me.start, slot="7")  # this process, before an exec
    guard = made(slot="2")
    assert guard.begin("deep").standing is Standing.DOWN and guard.status()["crashes"] == 1
    assert [path.name.split(".")[1] for path in markers(state)] == ["0", "2"]


def test_markers_of_another_pid_namespace_go_by_their_lock(tmp_path: Path, made: Made) -> None:
    path = died(tmp_path / "state", pids="pid:[1]", pid=1)
    hold = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    assert made().begin("deep").standing is Standing.CLEAR and path.exists()
    process.communicate("")
    assert made(slot="1").begin("deep").standing is Standing.DOWN and not path.exists()


def test_a_marker_is_locked_while_its_owner_lives(tmp_path: Path, made: Made, run_python: RunCli) -> None:
    guard = made()
    guard.begin("deep")
    guard.begin("deep")
    (path,) = markers(tmp_path / "state")
    probe = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    assert "BlockingIOError" in run_python(probe, path, status=1).stderr


def test_a_service_that_is_killed_with_all_its_workers_is_one_crash(tmp_path: Path, made: Made) -> None:
    for slot in range(5):
        died(tmp_path / "state", slot=str(slot))
    assert made().begin("deep").standing is Standing.DOWN


def test_health_lifts_the_step_and_is_seen_by_others(tmp_path: Path, made: Made, times: Times) -> None:
    died(tmp_path / "state")
    first, second = made(slot="0"), made(slot="1")
    assert (first.begin("deep").stage, second.begin("deep").stage) == ("fleet", "fleet")
    times.pass_(59.9)
    assert first.tick().stage == "fleet"
    times.pass_(0.2)
    assert first.tick() == Decision("deep", Standing.CLEAR, "") and second.tick().stage == "deep"
    died(tmp_path / "state")
    third = made(slot="2").begin("deep")
    assert third.standing is Standing.SAMPLER_ONLY and "twice in 10 minutes" in third.reason


def test_what_lives_left_that_were_killed_while_they_wrote(tmp_path: Path, made: Made, times: Times, run_python: RunCli) -> None:
    folder = tmp_path / "state"
    run_python("import os, signal\nos.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n" + BEGIN, folder, status=-9)
    (left,) = folder.glob(".worker.0.*")
    young, alive = (
        left.with_name(left.name[:-1] + ("1" if left.name[-1] == "0" else "0")),
        folder / f".worker.0.{os.getpid()}.json.000000000000",
    )
    crashes, other = folder / ".crashes.json.0123456789ab", folder / ".worker.txt"
    for path in (left, young, alive, crashes, other):
        path.touch()
        os.utime(path, (times.wall - 61,) * 2)
    os.utime(young, (times.wall - 59,) * 2)
    guard = made()
    assert guard.begin("deep").standing is Standing.CLEAR and guard.problem is None  # it did not come as far as a life
    assert {path for path in (left, young, alive, crashes, other) if path.exists()} == {young, alive, other}


def test_another_configuration_begins_anew_and_flapping_does_not_help(tmp_path: Path, made: Made, times: Times) -> None:
    guard = made()
    for _ in range(3):
        died(tmp_path / "state")
        found = guard.begin("deep")
    assert found.stage == "off" and guard.status()["disabled_for_s"] == 86400
    for _ in range(30):
        assert guard.changed("d", "deep").stage == "deep"
        times.pass_(1)
        assert guard.changed("c", "deep").stage == "off"
        times.pass_(1)
    times.pass_(86400)
    assert guard.tick().stage == "deep"


def test_a_crash_of_the_version_before_is_that_versions(tmp_path: Path, made: Made) -> None:
    died(tmp_path / "state", version="0")
    assert made().begin("deep").standing is Standing.CLEAR
    assert made(version="0", slot="1").begin("deep").standing is Standing.DOWN


def test_clock_jumps_and_reboots(tmp_path: Path, made: Made, times: Times, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = made()
    for _ in range(3):
        died(tmp_path / "state")
        guard.begin("deep")
    for jump in (1e9, -2e9, 1e9):
        times.wall += jump
        assert guard.tick().stage == "off"
    guard.end()
    for module in (crash_loop, markers_of_lives):
        monkeypatch.setattr(module, "this_boot", lambda: "another")
    times.now = 5.0
    times.wall += 3600
    after = made()
    assert after.begin("deep").stage == "off" and after.status()["disabled_for_s"] == 82800
    times.wall -= 1e9  # set back over the reboot: no time has passed, as far as anybody knows
    assert made(slot="1").begin("deep").stage == "off"
    times.wall += 1e9
    times.pass_(82800)
    assert after.tick().stage == "deep"


def spoilt(state: Path, kind: str) -> None:
    if kind == "a file":
        state.write_text("")
        return
    if kind == "no parent":
        return
    state.mkdir(mode=0o700)
    crashes = state / "crashes.json"
    texts = {
        "empty": "",
        "json": "[1, 2]",
        "deep": "[" * 30_000,
        "rows": '{"crashes": [[1]], "boot": "b", "monotonic": 1, "wall": 1}',
        "long": "9" * 100_000,
    }
    if kind in texts:
        crashes.write_text(texts[kind])
    elif kind == "open to all":
        state.chmod(0o777)
    elif kind == "a marker":
        (state / "worker.3.4.json").write_text('{"owner": 5}')
    elif kind == "a link":
        (state.parent / "precious").write_text("precious")
        crashes.symlink_to(state.parent / "precious")
    elif kind == "a pipe":
        os.mkfifo(crashes)
    elif kind == "a folder":
        crashes.mkdir()


KINDS = ("a file", "no parent", "empty", "json", "deep", "rows", "long", "open to all", "a marker", "a link", "a pipe", "a folder")


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_folder_stops_deep_tracing_and_says_so(tmp_path: Path, made: Made, kind: str) -> None:
    state = tmp_path / "none" / "state" if kind == "no parent" else tmp_path / "state"
    spoilt(state, kind)
    guard = made(folder=state)
    for found in (guard.begin("wide"), guard.changed("d", "deep"), made(slot="1", folder=state).begin("deep")):
        assert found.stage == "fleet" and found.reason.startswith(f"{state}: crashes cannot be known, so nothing deep is traced: "), found
    guard.end()
    assert kind != "a link" or (tmp_path / "precious").read_text() == "precious"


def test_a_folder_that_is_well_again(tmp_path: Path, made: Made) -> None:
    spoilt(tmp_path / "state", "json")
    guard = made()
    assert guard.begin("deep").reason.endswith("crashes.json is damaged; delete it to forget past crashes")
    (tmp_path / "state" / "crashes.json").unlink()
    assert guard.tick() == Decision("deep", Standing.CLEAR, "") and guard.problem is None


def test_a_full_disk_stops_deep_tracing(made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(crash_loop.os, "write", lambda file, text: 0)
    found = made().begin("deep")
    assert found.stage == "fleet" and "No space left on device" in found.reason
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["lock"]


def test_a_lock_that_somebody_keeps(tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    (tmp_path / "state").mkdir()
    with open(tmp_path / "state" / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "lock was held" in made().begin("deep").reason


def test_files_are_ours_alone_and_odd_slots_stay_in_the_folder(tmp_path: Path, made: Made) -> None:
    died(tmp_path / "state")
    made(slot="../../x\0").begin("deep")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()} == {0o600}
    assert len(markers(tmp_path / "state")) == 1


def test_a_stage_that_is_off_leaves_no_marker(tmp_path: Path, made: Made) -> None:
    guard = made()
    assert guard.begin("off").stage == "off" and markers(tmp_path / "state") == []
    guard.changed("c", "deep")
    assert len(markers(tmp_path / "state")) == 1
    guard.changed("c", "off")
    assert markers(tmp_path / "state") == []


class Memory:
    """A memory cgroup of its own with a limit of 64 MB, as a container has one."""

    def __init__(self) -> None:
        self.folder = Path(memory_kills.counter()).parent / f"hybridprof-{os.getpid()}"
        self.folder.mkdir()
        is_v1 = (self.folder / "memory.limit_in_bytes").exists()
        (self.folder / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(64 << 20))

    def run(self, code: str, *arguments: object) -> int:
        enter = f"import os; open('{self.folder}/cgroup.procs', 'w').write(str(os.getpid()))\n"
        command = [sys.executable, "-c", enter + code, *map(str, arguments)]
        return subprocess.run(command, env=clean_environment(), check=False, timeout=60).returncode


@pytest.fixture
def memory() -> Iterator[Memory]:
    try:
        made = Memory()
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield made
    made.folder.rmdir()


def test_what_the_kernel_kills_for_want_of_memory_is_told_apart(tmp_path: Path, made: Made, memory: Memory) -> None:
    state, ends = tmp_path / "state", "os.kill(os.getpid(), signal.SIGKILL)"
    assert memory.run(BEGIN + ends, state) == -signal.SIGKILL
    killed = made()
    assert killed.begin("deep").reason == "it crashed: down a stage until it has been well for 60 s"
    assert memory.run(BEGIN.replace('"c"', '"d"') + "bytearray(300 << 20)", state) == -signal.SIGKILL
    short = made(config="d", slot="1")
    assert short.begin("deep").reason == (
        "it crashed: down a stage until it has been well for 60 s (the kernel had killed in its cgroup for want of memory)"
    )
    assert (killed.status()["out_of_memory"], killed.status()["crashes"]) == (0, 1)
    assert (short.status()["out_of_memory"], short.status()["crashes"]) == (1, 1)


def test_who_counts_what_is_killed_for_want_of_memory(tmp_path: Path) -> None:
    root, processes = tmp_path / "root", tmp_path / "cgroup"
    (root / "memory" / "a").mkdir(parents=True)
    (root / "b").mkdir()
    first, second = root / "memory" / "a" / "memory.oom_control", root / "b" / "memory.events"
    first.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    second.write_text("low 0\noom 9\noom_kill 2\noom_group_kill 1\n")
    for lines, expected in (("4:memory:/a\n0::/b\n", first), ("0::/b\n", second), ("5:cpu:/a\n0::/gone\n", ""), ("nonsense\n", "")):
        processes.write_text(lines)
        assert memory_kills.counter(processes, root) == str(expected)
    assert memory_kills.counter(tmp_path / "none", root) == ""
    assert [memory_kills.killed(str(path), root) for path in (first, second, root / "none", "", root / ".." / "cgroup")] == [3, 2, 0, 0, 0]
    second.write_text("oom_kill many\n")
    assert memory_kills.killed(str(second), root) == 0
