# SPDX-License-Identifier: MIT
"""Services that a configuration with a state_dir rules: `hybridprof status` shows them, their crashes count, their forks are lives of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli, clean_environment

from hybridprof.rollout.audit_chain import lines_of, record_of, verified

# Prints its pid, and what its status says, for each line that it reads; an empty one ends it.
SERVICE = """
import json, os, signal, sys, time
import hybridprof

def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, hybridprof.status()
        time.sleep(0.01)

def marked(pid=None):
    return os.path.exists(f"{sys.argv[1]}/state/crashes/worker.0.{pid or os.getpid()}.json")

def published(pid=None):
    return os.path.exists(f"{sys.argv[1]}/state/status.{pid or os.getpid()}.json")

hybridprof.configure(sys.argv[1] + "/config.toml")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    configured(tmp_path)
    return tmp_path


def configured(folder: Path, stage: str = "deep", more: str = "") -> None:
    path = folder / "config.toml"
    path.write_text(
        f"stage = '{stage}'\nservice = 'shop'\nstate_dir = '{folder / 'state'}'\nsampler.rate = 1\n[deep]\ntargets = ['__main__:marked']\n{more}"
    )
    path.chmod(0o600)


def stage_of_a_life(run_python: RunCli, folder: Path, ending: str, status: int | None) -> str:
    code = SERVICE + "assert marked()\nprint(hybridprof.status()['stage'], flush=True)\n" + ending
    return run_python(code, folder, status=status).stdout.strip()


def test_status_of_a_running_service(run_cli: RunCli, folder: Path) -> None:
    command = [sys.executable, "-c", SERVICE + "until(published)\nprint(os.getpid(), flush=True)\nsys.stdin.read()", str(folder)]
    env = clean_environment(HYBRIDPROF_CONFIG=str(folder / "config.toml"))
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        found = json.loads(run_cli("status", pid, "--json").stdout)
        assert [(each["pid"], each["service"], each["stage"], each["deep_targets"]) for each in found] == [
            (pid, "shop", "deep", ["__main__:marked"])
        ]
        assert found[0]["crashes"]["standing"] == "clear" and found[0]["audit"]["problem"] is None
        for arguments in ([str(pid)], ["--state-dir", str(folder / "state")], ["--config", str(folder / "config.toml")]):
            lines = run_cli("status", *arguments).stdout.splitlines()
            assert lines[0] == f"process {pid} of shop (slot 0): stage deep, the sampler at 1 Hz, and 1 target on 1 % of their calls"
            assert [line.split()[0] for line in lines[1:3]] == ["why", "members"] and lines[3].split()[0] in ("sampler", "costs")
            assert "  ladder    nothing is taken back" in lines
            assert "  crashes   0 in 24 hours, and none is held against it" in lines
    finally:
        process.communicate("", timeout=60)
    assert process.returncode == 0
    assert list((folder / "state" / "crashes").glob("worker.*")) == [] and list((folder / "state").glob("status.*")) == []
    done = run_cli("status", pid, status=2)
    assert done.stderr == f"hybridprof: there is no process {pid}\n"
    assert run_cli("status", "--state-dir", folder / "state").stdout == f"no process says anything in {folder / 'state'}\n"


def test_a_relative_configuration_is_looked_for_where_the_process_works(
    run_cli: RunCli, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    code = (
        SERVICE.replace('hybridprof.configure(sys.argv[1] + "/config.toml")', "hybridprof.start()")
        + "until(published)\nprint(os.getpid(), flush=True)\nsys.stdin.read()"
    )
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "config.toml").write_text(f"state_dir = '{elsewhere}'\n")  # somebody else's of the same name
    env = clean_environment(HYBRIDPROF_CONFIG="config.toml")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert run_cli("status", pid, cwd=elsewhere).stdout.startswith(f"process {pid} of shop")
        (folder / "config.toml").unlink()
        done = run_cli("status", pid, status=2, cwd=elsewhere)
        assert done.stderr == f"hybridprof: {folder}/config.toml: cannot be read: No such file or directory\n"
    finally:
        process.communicate("", timeout=60)


def test_bad_input(run_cli: RunCli, folder: Path) -> None:
    for arguments, sentence in (
        ([], "no state_dir is known, where processes say what they do: give --state-dir DIR, or --config FILE that names one"),
        (["--state-dir", "none"], "none: No such file or directory"),
        (["x"], "argument PID: invalid int value: 'x' (see: hybridprof status --help)"),
        (
            [str(os.getpid()), "--state-dir", folder / "state"],
            f"process {os.getpid()} says nothing in {folder / 'state'}; is it ruled by a configuration with this state_dir?",
        ),
    ):
        done = run_cli("status", *arguments, status=2)
        assert (done.stdout, done.stderr) == ("", f"hybridprof: {sentence}\n")
    for arguments, words in (
        (["--canary", "x"], "give --canary FILE and --control FILE"),
        (["--withdraw", "none"], "none is no folder"),
        (["--withdraw", folder / "state"], "holds no verdict that could be withdrawn"),
        (["--withdraw", folder / "state", "--canary", "x"], "--withdraw stands alone"),
        (["--canary", "x", "--control", "x", "--promote-to", "fleet"], "--promote-to says what --apply does"),
        (["--canary", "x", "--control", "x", "--apply", "none"], "none is no folder"),
        (["--canary", "x", "--control", "x", "--apply", folder / "state", "--promote-to", "wide"], "invalid choice: 'wide'"),
    ):
        done = run_cli("judge", *arguments, status=2)
        assert done.stdout == "" and len(done.stderr.splitlines()) == 1 and words in done.stderr
    assert list((folder / "state").iterdir()) == []


def test_crashes_of_real_lives_lower_the_stage(run_python: RunCli, folder: Path) -> None:
    """SIGKILL three times: down a stage, the sampler alone, nothing. A clean end in between is no crash; another configuration begins anew."""
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    assert stage_of_a_life(run_python, folder, "", 0) == "deep"
    stages = [stage_of_a_life(run_python, folder, kill, -9) for _ in range(3)]
    assert stages == ["deep", "fleet", "fleet"]
    code = SERVICE + "print(hybridprof.status()['stage'], hybridprof.running(), marked())"
    assert run_python(code, folder).stdout == "off False False\n"
    assert run_python(SERVICE + "print(hybridprof.status()['why'])", folder).stdout.startswith(
        "stage 'off' (crash guard: it crashed three times"
    )
    configured(folder, more="rate = 0.005\n")
    assert stage_of_a_life(run_python, folder, "", 0) == "deep"
    report = verified(folder / "state" / "audit.jsonl")
    assert report.broken is None
    records = [record_of(line) for line in lines_of(folder / "state" / "audit.jsonl")]
    assert ("stage", "off", "crash guard") in [(each["what"], each["new"], each["via"]) for each in records]


FORK = """
def child(work):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            hybridprof.start()
            until(lambda: marked() and published())
            assert hybridprof.running()
            work()
        finally:
            os._exit(9)
    return pid

def clean():
    from hybridprof.rollout import current
    current().leave()
    assert not marked() and not published()
    os._exit(7)

def exits():
    import atexit
    atexit._run_exitfuncs()  # as the interpreter does at the end of a main program
    os._exit(7)

for work in (clean, exits):
    pid = child(work)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert not marked(pid) and marked(), pid
pid = child(lambda: os.kill(os.getpid(), signal.SIGKILL))
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
assert marked(pid) and marked()
print("done")
"""


REQUESTS = """
for _ in range(4):
    pid = os.fork()
    if pid == 0:  # as socketserver's ForkingMixIn answers a request
        time.sleep(1.2)
        os._exit(0)
    os.waitpid(pid, 0)
until(published)
print(hybridprof.status()["stage"], hybridprof.status()["crashes"]["crashes"])
"""


def test_forked_children_in_which_nothing_is_started_are_no_lives(run_python: RunCli, folder: Path) -> None:
    """They end by os._exit as a matter of course."""
    assert run_python(SERVICE + REQUESTS, folder).stdout == "deep 0\n"


FORKS = """
import threading
from hybridprof.rollout import current
def forks(often, pause):
    for _ in range(often):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        time.sleep(pause)
"""


def test_a_program_that_forks_all_the_time_is_looked_after(run_python: RunCli, folder: Path) -> None:
    """More often than there are looks."""
    (folder / "config.toml").write_text(f"stage = 'fleet'\nkill_file = '{folder / 'kill'}'\n", encoding="utf-8")
    code = (
        FORKS
        + """
until(hybridprof.running)
assert current().follower.runs
open(sys.argv[1] + "/kill", "w").close()
forks(40, 0.1)
print(hybridprof.running())
"""
    )
    assert run_python(SERVICE + code, folder).stdout == "False\n"


def test_threads_that_fork_at_once_leave_it_followed(run_python: RunCli, folder: Path) -> None:
    code = (
        FORKS
        + """
until(hybridprof.running)
threads = [threading.Thread(target=forks, args=(15, 0)) for _ in range(3)]
for each in threads: each.start()
for each in threads: each.join()
until(lambda: current().follower.runs)
print("followed")
"""
    )
    assert run_python(SERVICE + code, folder).stdout == "followed\n"


def test_a_state_dir_that_everybody_writes_to_is_not_believed(run_python: RunCli, folder: Path) -> None:
    """Whoever may write there could take a verdict or a crash away."""
    (folder / "state").chmod(0o777)
    code = (
        "until(lambda: hybridprof.status()['crashes']['problem'])\nprint(hybridprof.status()['stage'], hybridprof.status()['deep_targets'])"
    )
    done = run_python(SERVICE + code, folder)
    assert done.stdout == "dark []\n"


def test_a_forked_child_has_no_targets_of_its_parents_session(run_python: RunCli, folder: Path) -> None:
    code = """
from hybridprof import _core, watch
until(_core.targets)
pid = os.fork()
if pid == 0:
    os._exit(len(_core.targets()) + 10 * len(watch.watches))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert run_python(SERVICE + code, folder).stdout == "0\n"


def test_forked_children_are_lives_of_their_own(run_python: RunCli, folder: Path) -> None:
    done = run_python(SERVICE + FORK, folder)
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert stage_of_a_life(run_python, folder, "", 0) == "fleet"  # the child that was killed


HELPERS = """
import multiprocessing
context = multiprocessing.get_context("fork")

def helper(_):
    until(hybridprof.running)
    time.sleep(0.05)
    return marked()

if __name__ == "__main__":
    with context.Pool(2) as pool:
        print(any(pool.map(helper, range(4))))  # and then they are ended by SIGTERM
"""


def test_children_of_multiprocessing_are_no_workers(run_python: RunCli, folder: Path) -> None:
    assert run_python(SERVICE + HELPERS, folder).stdout == "False\n"
    assert stage_of_a_life(run_python, folder, "", 0) == "deep"


def test_a_state_dir_that_goes_away_harms_nobody(run_python: RunCli, folder: Path) -> None:
    """While the service runs: it is full, gone, or a file."""
    code = """
import shutil
until(published)
shutil.rmtree(sys.argv[1] + "/state")
open(sys.argv[1] + "/state", "w").close()
def problems():
    status = hybridprof.status()
    return status["status_problem"] and status["crashes"]["problem"]
until(problems)
print(hybridprof.running(), hybridprof.status()["stage"])
"""
    done = run_python(SERVICE + code, folder)
    assert (done.stdout, done.stderr) == ("True fleet\n", "")


def test_a_full_disk(run_python: RunCli, folder: Path) -> None:
    code = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
hybridprof.stop()
hybridprof.start()
until(lambda: hybridprof.status()["audit"]["problem"])
print(hybridprof.running())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
hybridprof.stop()
until(lambda: not hybridprof.status()["audit"]["problem"])
print(hybridprof.status()["audit"]["lost"])
"""
    done = run_python(SERVICE + code, folder)
    assert (done.stdout, done.stderr) == ("True\n0\n", "")
    records = [record_of(line) for line in lines_of(folder / "state" / "audit.jsonl")]
    assert verified(folder / "state" / "audit.jsonl").broken is None and any(each.get("lost") for each in records)


def test_a_rollback_reaches_a_running_service(run_python: RunCli, run_cli: RunCli, folder: Path) -> None:
    """`hybridprof judge --apply` beside it; the figures say fail."""
    figures: dict[str, Any] = {"hosts": [{"p95": 1.0} for _ in range(10)]}
    (folder / "control.json").write_text(json.dumps(figures))
    (folder / "canary.json").write_text(json.dumps({"hosts": [{"p95": 2.0} for _ in range(10)]}))
    command = [
        sys.executable,
        "-c",
        SERVICE
        + "print(hybridprof.status()['stage'], flush=True)\nuntil(lambda: not hybridprof.running())\nprint(hybridprof.status()['why'], flush=True)",
        str(folder),
    ]
    process = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "deep\n"
        run_cli("judge", "--canary", folder / "canary.json", "--control", folder / "control.json", "--apply", folder / "state", status=1)
        assert process.stdout.readline().startswith("stage 'dark' (judge: p95: 95th percentile of latency is 2 against 1: +100.00 %")
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
