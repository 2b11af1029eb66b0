# SPDX-License-Identifier: MIT
"""The configuration from outside: `hybridprof config`, and programs that a file rules while they run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import RunCli

import hybridprof
from hybridprof.rollout import verdict
from hybridprof.rollout.config import key_of, read
from hybridprof.rollout.crash_loop import Guard
from hybridprof.rollout.markers import this_process

# A service whose code knows nothing of files; what it prints is decided by the one that HYBRIDPROF_CONFIG names.
SERVICE = """
import os, sys, time, warnings
warnings.simplefilter("error")
import hybridprof
folder = sys.argv[1]
os.umask(0o022)
config, kill = folder + "/config.toml", folder + "/kill"

def work():
    return sum(range(100))

def write(text):
    with open(config + ".new", "w") as file:
        file.write(f"kill_file = '{kill}'\\n" + text)
    os.replace(config + ".new", config)

def until(condition):
    # Within 5 s on a machine that has time; a busy one may take longer.
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, hybridprof.status()
        work()

def running(): return hybridprof.status()["running"]
"""


def service(run_python: RunCli, folder: Path, code: str) -> list[str]:
    config = folder / "config.toml"
    config.write_text(f"kill_file = '{folder / 'kill'}'\nstage = 'fleet'\n")
    config.chmod(0o644)
    done = run_python(SERVICE + code, folder, env={"HYBRIDPROF_CONFIG": str(config)})
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_service_that_only_starts_hybridprof_follows_the_file(run_python: RunCli, tmp_path: Path) -> None:
    printed = service(
        run_python,
        tmp_path,
        """
assert not running()
hybridprof.start()
print(running(), hybridprof.status()["stage"])
write("stage = 'deep'\\nsampler.rate = 77\\nsampler.budget = '5%'\\n[deep]\\ntargets = ['__main__:work']\\nrate = 1.0\\n[caps]\\ndeep_rate = 1.0\\n")
until(lambda: hybridprof.status()["targets"])
work(); work()
print(hybridprof.status()["rate_hz"])
open(kill, "w").close()
until(lambda: not running())
print(hybridprof.status()["why"] == f"kill file {kill} exists", sys.getprofile(), hasattr(sys, "monitoring") and [tool for tool in range(6) if sys.monitoring.get_tool(tool)] or [])
print(next(row.calls for row in hybridprof.snapshot().functions if row.name == "work") >= 2)
os.unlink(kill)
until(running)
profile = hybridprof.snapshot()
print("hybridprof-config" in [thread.name for thread in profile.threads], [row.name for row in profile.functions if "rollout" in row.file])
""",
    )
    assert printed == ["True fleet", "77.0", "True None []", "True", "True []"]


def test_forks_go_on_without_a_warning(run_python: RunCli, tmp_path: Path) -> None:
    printed = service(
        run_python,
        tmp_path,
        """
hybridprof.start()
def child(condition):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        until(condition)
        assert condition()
        os._exit(7)
    return pid
for _ in range(3):
    assert os.waitstatus_to_exitcode(os.waitpid(child(lambda: True), 0)[1]) == 7
pid = child(running)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
from hybridprof.rollout import current
current().override("stage", "dark", time.time() + 600)  # children have it too
pid = child(lambda: hybridprof.status()["why"].startswith("stage 'dark' (override by control, for "))
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
current().withdraw("stage")
assert running()
write("stage = 'dark'")  # the parent follows too, and so does a grandchild
until(lambda: not running())
pid = child(lambda: hybridprof.status()["stage"] == "dark")
write("stage = 'fleet'")
until(running)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
print("done")
""",
    )
    assert printed == ["done"]


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "sys.exit(0)",
        "import atexit; atexit.register(hybridprof.status)",
        "import threading; threading.Thread(target=time.sleep, args=(0.3,)).start()",
        "hybridprof.stop()",
    ],
)
def test_the_thread_is_in_nobodys_way_at_the_end(run_python: RunCli, tmp_path: Path, ending: str) -> None:
    code = (
        "from hybridprof.rollout import process, ruler\nprocess.appointed(lambda: ruler.Ruler(period=0.001))\nhybridprof.start()\ntime.sleep(0.05)\nprint(running())\n"
        + ending
    )
    assert service(run_python, tmp_path, code) == ["True"]


def test_importing_reads_nothing(run_python: RunCli, tmp_path: Path) -> None:
    code = "import sys, hybridprof\nprint([name for name in sys.modules if 'rollout' in name or name == 'tomllib'])"
    assert run_python(code, env={"HYBRIDPROF_CONFIG": str(tmp_path / "none")}).stdout == "[]\n"


def test_disabled(run_python: RunCli, tmp_path: Path) -> None:
    code = "import sys, hybridprof\nassert hybridprof.configure('/none') is None\nhybridprof.start()\nprint(hybridprof.status()['why'], 'hybridprof._core' in sys.modules)"
    done = run_python(code, env={"HYBRIDPROF_CONFIG": str(tmp_path / "none"), "HYBRIDPROF_DISABLE": "1"})
    assert (done.stdout, done.stderr) == ("HYBRIDPROF_DISABLE is set False\n", "")


def test_the_self_check_is_not_ruled(run_cli: RunCli, tmp_path: Path) -> None:
    run_cli("selfcheck", "--quick", "--only", "counts", env={"HYBRIDPROF_STAGE": "off"})


def test_run_is_ruled_too(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def work(): return sum(range(1000))\nfor _ in range(3000): work()\nprint('done')\n")
    config = tmp_path / "config.toml"
    config.write_text("stage = 'dark'\n")
    config.chmod(0o600)
    env: dict[str, str | None] = {"HYBRIDPROF_CONFIG": str(config)}
    done = run_cli("run", "-r", "1000", "-o", "x.hyprof", "program.py", env=env)
    assert (done.stdout, (tmp_path / "x.hyprof").exists()) == ("done\n", False)
    sentence = f"nothing was measured: stage 'dark' ({config}:1): the configuration is followed, and nothing runs yet"
    assert done.stderr == f"hybridprof: {sentence}\n"
    config.write_text("stage = 'fleet'\nsampler.rate = 300\n")
    run_cli("run", "-r", "1000", "-o", "x.hyprof", "program.py", env=env)
    assert json.loads(run_cli("info", "x.hyprof", "--json").stdout)["rate_hz"] in {
        300 / 2**halved for halved in range(6)
    }  # lowered where others load the machine
    config.write_text("stage = 'flet'\n")
    done = run_cli("run", "program.py", env=env)
    assert done.stdout == "done\n" and done.stderr.splitlines()[0].startswith(f"hybridprof: {config}:1: stage must be one of")


def test_check(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("stage = 'fleet'\n[sampler]\nrate = 50\n")
    path.chmod(0o600)
    assert run_cli("config", "check", "c.toml").stdout == "c.toml: right; stage fleet, 2 values\n"
    path.write_text("stagee = 'fleet'\n[sampler]\nrate = '50'\n")
    done = run_cli("config", "check", "c.toml", status=2)
    assert done.stderr.splitlines() == [
        f"hybridprof: {path}:1: stagee is no key; did you mean stage?",
        f"hybridprof: {path}:3: sampler.rate must be a number of Hz from 0 (no sampling) to 10000, not '50'",
    ]
    for arguments in (["check"], ["chekc", "c.toml"], ["show", "none.toml"], []):
        done = run_cli("config", *arguments, status=2)
        assert len(done.stderr.splitlines()) == 1 and done.stdout == ""


def test_show(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"stage = 'fleet'\nkill_file = '{tmp_path / 'kill'}'\n[caps]\nrate = 50\n")
    path.chmod(0o600)
    env: dict[str, str | None] = {"HYBRIDPROF_CONFIG": str(path), "HYBRIDPROF_SAMPLER_RATE": "60"}
    shown = run_cli("config", "show", env=env).stdout.splitlines()
    assert shown[0] == f"the sampler would run: stage 'fleet' ({path}:1)"
    rate = next(line for line in shown if line.startswith("sampler.rate"))
    assert rate.split(None, 3) == [
        "sampler.rate",
        "50",
        "Hz",
        "HYBRIDPROF_SAMPLER_RATE in the environment, bounded by [caps] rate (60 Hz was asked for)",
    ]
    (tmp_path / "kill").touch()
    found = json.loads(run_cli("config", "show", "c.toml", "--json").stdout)
    assert (found["stage"], found["sampler"], found["tracer"], found["why"]) == (
        "off",
        False,
        False,
        f"kill file {tmp_path / 'kill'} exists",
    )
    assert found["in_force"]["sampler.rate"] == {"value": 50.0, "from": "default, bounded by [caps] rate", "asked": 100.0}
    assert found["members"].keys() == {"host", "process"}
    assert "HYBRIDPROF_DISABLE is set" in run_cli("config", "show", env={"HYBRIDPROF_DISABLE": "1"}).stdout
    done = run_cli("config", "show", status=2)
    assert done.stderr == "hybridprof: no configuration: give a FILE, or set HYBRIDPROF_CONFIG\n"


def lines_of_show(run_cli: RunCli) -> tuple[str, str]:
    """The first line, and the stage's."""
    shown = run_cli("config", "show", "c.toml").stdout.splitlines()
    return shown[0], next(" ".join(line.split()) for line in shown if line.startswith("stage "))


def test_show_says_what_lowers_the_stage(run_cli: RunCli, tmp_path: Path) -> None:
    """The judge's verdict and crashes of earlier lives, as a service that starts now would find them; and nothing is written."""
    state, path = tmp_path / "state", tmp_path / "c.toml"
    path.write_text(f"stage = 'fleet'\nstate_dir = '{state}'\n")
    path.chmod(0o600)
    runs = f"the sampler would run: stage 'fleet' ({path}:1)"
    assert lines_of_show(run_cli)[0] == runs and not state.exists()
    state.mkdir(mode=0o700)
    verdict.write(state, "dark", "fail", "p95: worse")
    first, stage = lines_of_show(run_cli)
    assert first.startswith("nothing would run: stage 'dark' (judge: p95: worse)")
    assert stage == "stage dark judge: p95: worse (fleet was asked for)"
    verdict.write(state, "fleet", "pass", "all is well")
    assert lines_of_show(run_cli)[0] == runs
    (state / "verdict.json").write_text("{")
    assert "verdict.json cannot be used: it is damaged" in lines_of_show(run_cli)[0]
    verdict.withdraw(state)
    crashes = state / "crashes"
    crashes.mkdir(mode=0o700)
    values = read(str(path)).values
    for number, (allowed, why) in enumerate(
        (("canary", "it crashed: down a stage"), ("fleet", "it crashed twice"), ("off", "it crashed three times"))
    ):
        guard = Guard(crashes, version=hybridprof.__version__, config=key_of(values), slot=str(number))
        mark(crashes, key_of(values), number)  # a life that nobody has looked through yet
        before = sorted(each.name for each in crashes.iterdir())
        first, stage = lines_of_show(run_cli)
        assert f"stage '{allowed}'" in first and (allowed == "fleet" or why in first), first
        assert sorted(each.name for each in crashes.iterdir()) == before
        guard.begin("fleet")  # writes the crash down
        assert lines_of_show(run_cli)[0] == first
        guard.end()
    path.write_text(f"stage = 'fleet'\nstate_dir = '{state}'\nsampler.rate = 50\n")
    assert lines_of_show(run_cli)[0] == runs  # another configuration begins with a clean record
    (crashes / "crashes.json").write_text("{")
    path.write_text(f"stage = 'deep'\nstate_dir = '{state}'\n")
    assert "crashes.json is damaged" in lines_of_show(run_cli)[0]


def mark(crashes: Path, config: str, number: int) -> None:
    """Of a process that did not end as it should: its pid is above what Linux gives."""
    me, pid = this_process(), (1 << 23) + number
    marker = {"owner": {"boot": me.boot, "pids": me.pids, "pid": pid, "start": 1}, "slot": "9"}
    (crashes / f"worker.9.{pid}.json").write_text(
        json.dumps({**marker, "version": hybridprof.__version__, "config": config, "stage": "fleet"})
    )
