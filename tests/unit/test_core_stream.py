# SPDX-License-Identifier: MIT
"""A session that is written while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from hybridprof import _core

RunPython = Callable[..., "CompletedProcess[str]"]

PRELUDE = """
import os, sys, threading, time
from hybridprof import _core
def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: pass
"""


def spin_samples(path: Path) -> int:
    return next(row[12] for row in _core.load(str(path)).functions() if row[0] == "spin")


def complaints(path: Path) -> list[str]:
    return [
        warning
        for warning in _core.load(str(path)).meta()["warnings"]
        if "cut short" in warning or "end mark" in warning or "incomplete" in warning
    ]


def test_a_stopped_session_is_whole_in_its_file(run_python: RunPython, tmp_path: Path) -> None:
    run_python(
        PRELUDE + "_core.start(rate=1000)\n_core.stream('a.hyprof', 0.05)\nspin(0.4)\n_core.stop()\n_core.snapshot().write('b.hyprof')"
    )
    streamed, written = _core.load(str(tmp_path / "a.hyprof")), _core.load(str(tmp_path / "b.hyprof"))
    assert sorted(streamed.functions()) == sorted(written.functions())
    assert streamed.meta() == written.meta()
    assert complaints(tmp_path / "a.hyprof") == []


def test_the_end_of_the_program_ends_the_file(run_python: RunPython, tmp_path: Path) -> None:
    run_python(PRELUDE + "_core.stream('a.hyprof', 60)\n_core.start(rate=1000)\nspin(0.2)\nsys.exit(0)")
    assert spin_samples(tmp_path / "a.hyprof") > 20
    assert complaints(tmp_path / "a.hyprof") == []


BLOCKED = "threading.Thread(target=spin, args=(60,)).start()\nthreading.Event().wait()"


@pytest.mark.parametrize("main", ["spin(60)", BLOCKED], ids=["busy", "blocked"])
def test_a_killed_process_leaves_what_it_had(tmp_path: Path, main: str) -> None:
    path = tmp_path / "a.hyprof"
    code = PRELUDE + f"_core.start(rate=1000)\n_core.stream({str(path)!r}, 0.1)\n{main}"
    process = subprocess.Popen([sys.executable, "-P", "-c", code])
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not path.exists():
            time.sleep(0.05)
        time.sleep(0.6)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert spin_samples(path) > 50
    assert [name for name in os.listdir(tmp_path) if name != "a.hyprof"] == []


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder on no disk, if there is one: appends wait for no sync, but on a busy disk a file's making and renaming may take its time too."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_a_process_that_is_killed_while_its_file_is_made_compact(in_memory: Path) -> None:
    """Again and again another file takes the place of the one that grew: whenever the process is killed, one of them is there, whole."""
    code = PRELUDE + (
        "threads = [threading.Thread(target=spin, args=(60,), name=f'worker {n}', daemon=True) for n in range(2)]\n"
        "_core.start(rate=2000)\n_core.stream(sys.argv[1], 0.01, 0)\nbegan = time.monotonic()\nfor thread in threads: thread.start()\n"
        "while True:\n    print(time.monotonic() - began, flush=True)\n    spin(0.02)"
    )
    folders = [in_memory / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    processes = [
        subprocess.Popen([sys.executable, "-P", "-c", code, str(folder / "a.hyprof")], stdout=subprocess.PIPE, text=True)
        for folder in folders
    ]
    try:
        for number, (folder, process) in enumerate(zip(folders, processes, strict=True)):
            inodes, deadline = set(), time.monotonic() + 120
            while len(inodes) < 3 + number and time.monotonic() < deadline:
                if (folder / "a.hyprof").exists():
                    inodes.add((folder / "a.hyprof").stat().st_ino)
                time.sleep(0.001)
            assert len(inodes) >= 3 + number
            process.send_signal(signal.SIGKILL)
            assert process.stdout is not None
            lasted = float(process.stdout.read().split("\n")[-2])
            profile = _core.load(str(folder / "a.hyprof"))
            assert profile.meta()["duration_ns"] / 1e9 > lasted - 1
            assert len(os.listdir(folder)) <= 2
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_the_file_grows_while_the_program_runs(run_python: RunPython) -> None:
    done = run_python(
        PRELUDE
        + """
_core.start(rate=1000)
_core.stream("a.hyprof", 0.05)
def count(): return sum(row[12] for row in _core.load("a.hyprof").functions()) if os.path.exists("a.hyprof") else 0
last = 0
for _ in range(3):
    while count() == last: spin(0.05)
    assert count() > last
    last = count()
print(last > 0)
"""
    )
    assert done.stdout == "True\n"


def test_the_thread_that_writes_is_not_in_the_profile(run_python: RunPython, tmp_path: Path) -> None:
    done = run_python(
        PRELUDE
        + """
_core.start(rate=1000)
_core.stream("a.hyprof", 0.02)
spin(0.3)
names = [thread.name for thread in threading.enumerate()]
_core.stop()
print(names, len(sys._current_frames()), _core.status()["samples"]["kept"] - _core.snapshot().meta()["samples"]["kept"])
"""
    )
    assert done.stdout == "['MainThread'] 1 0\n"
    profile = _core.load(str(tmp_path / "a.hyprof"))
    assert [thread["name"] for thread in profile.threads()] == ["MainThread"]
    assert profile.meta()["samples"]["kept"] == sum(thread["samples"] for thread in profile.threads())


def test_none_ends_the_file_and_not_the_session(run_python: RunPython, tmp_path: Path) -> None:
    done = run_python(
        PRELUDE
        + "_core.start(rate=1000)\n_core.stream('a.hyprof', 60)\nspin(0.1)\n_core.stream(None)\nprint(_core.running(), os.path.exists('a.hyprof'))\nspin(0.1)"
    )
    assert done.stdout == "True True\n"
    assert complaints(tmp_path / "a.hyprof") == []


def test_a_file_that_cannot_be_written_does_not_stop_the_program(run_python: RunPython) -> None:
    done = run_python(
        PRELUDE
        + """
_core.start(rate=1000)
_core.stream("missing/a.hyprof", 0.05)
spin(0.3)
print(_core.status()["stream_error"])
_core.stop()
print(_core.snapshot().meta()["warnings"])
"""
    )
    assert done.returncode == 0 and done.stderr == ""
    error, warnings = done.stdout.splitlines()
    assert "missing/a.hyprof" in error and error in warnings


def test_the_file_survives_forks_and_holds_nothing_of_the_child(run_python: RunPython, tmp_path: Path) -> None:
    done = run_python(
        PRELUDE
        + """
import warnings
warnings.simplefilter("error")
_core.start(rate=1000)
_core.stream("a.hyprof", 0.02)
for _ in range(10):
    spin(0.03)
    pid = os.fork()
    if pid == 0:
        def child(): spin(0.05)
        _core.start(rate=1000)
        child()
        _core.stop()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
spin(0.1)
_core.stop()
"""
    )
    assert done.stderr == ""
    assert "child" not in {row[0] for row in _core.load(str(tmp_path / "a.hyprof")).functions()}
    assert spin_samples(tmp_path / "a.hyprof") > 100
    assert complaints(tmp_path / "a.hyprof") == []


def test_bad_intervals_are_explained() -> None:
    for interval in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(ValueError, match=r"interval must be from 0\.01 to 86400 seconds, not"):
            _core.stream("a.hyprof", interval)
