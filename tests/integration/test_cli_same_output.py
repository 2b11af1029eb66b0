# SPDX-License-Identifier: MIT
"""Two programs that are to write one file: each profile is somewhere, whole, and the user is told where."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CLI_TIMEOUT, clean_environment

import hybridprof

WAITS = """
import os, sys
def works(): return sum(range(2000))
while not os.path.exists(sys.argv[1]): works()
sys.exit(7)
"""
REMOVED = """
import os, sys
from hybridprof import _core
while not os.path.exists("x.hyprof"): sum(range(2000))
os.remove("x.hyprof")
while _core.status()["stream_error"] is None: sum(range(2000))
"""


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + CLI_TIMEOUT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def running(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """A program that ends once there is a file NAME."""
    command = [sys.executable, "-m", "hybridprof", "run", "-o", "same.hyprof", "waits.py", name]
    with subprocess.Popen(command, cwd=folder, env=clean_environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def end(folder: Path, name: str, process: subprocess.Popen[str]) -> str:
    (folder / name).touch()
    errors = process.communicate(timeout=CLI_TIMEOUT)[1]
    assert process.returncode == 7, errors
    return errors


def pids(folder: Path) -> dict[str, int]:
    return {path.name: int(hybridprof.load(path).meta["pid"]) for path in folder.glob("*.hyprof")}


def about_files(path: Path) -> list[str]:
    """A busy machine may make the sampler late, and then it says so."""
    return [warning for warning in hybridprof.load(path).meta["warnings"] if ".hyprof" in warning or "cut short" in warning]


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_two_programs_one_name(tmp_path: Path, first_to_end: int) -> None:
    (tmp_path / "waits.py").write_text(WAITS)
    same = tmp_path / "same.hyprof"
    with running(tmp_path, "a") as one:
        wait_until(same.exists)
        with running(tmp_path, "b") as other:
            wait_until(lambda: pids(tmp_path) == {"same.hyprof": other.pid})  # it began with a name that was there: that is its own now
            programs = {"a": one, "b": other}
            errors = {name: end(tmp_path, name, programs[name]) for name in ("ab", "ba")[first_to_end]}
    beside = f"same.{one.pid}.hyprof"
    assert pids(tmp_path) == {"same.hyprof": other.pid, beside: one.pid}
    assert about_files(same) == about_files(tmp_path / beside) == []
    assert f"same.hyprof is another program's by now: this profile is in {beside}\n" in errors["a"]
    assert f"report {beside}" in errors["a"]
    assert "another" not in errors["b"]
    assert "report same.hyprof" in errors["b"]


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("same.hyprof", "same.*.hyprof"),
        ("same.pstats", "same.*.pstats"),
        ("callgrind.out.same", "callgrind.out.same.*"),
        ("same.collapsed", "same.*.collapsed"),
        ("same.pb.gz", "same.*.pb.gz"),
        ("same.speedscope.json", "same.*.speedscope.json"),
        ("same.gecko.json", "same.*.gecko.json"),
    ],
)
def test_a_name_that_came_up_meanwhile(tmp_path: Path, name: str, beside: str) -> None:
    """It is another's from the first write on, and no part of ours goes into it."""
    (tmp_path / "other.py").write_text(f"import shutil, sys; shutil.copy('kept', {name!r}); sys.exit(7)\n")
    (tmp_path / "kept").write_text("somebody's\n")
    command = [sys.executable, "-m", "hybridprof", "run", "--deep", "*", "-o", name, "other.py"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=CLI_TIMEOUT)
    assert done.returncode == 7
    assert (tmp_path / name).read_text() == "somebody's\n"
    (ours,) = tmp_path.glob(beside)
    assert ours.stat().st_size > 0
    assert f"{name} is another program's by now: this profile is in {ours.name}\n" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, ours.name, "kept", "other.py"])


def test_a_file_that_was_removed_on_the_way(tmp_path: Path) -> None:
    """It is written anew at the end, and holds no sentence about what it lacks: it lacks nothing."""
    (tmp_path / "removes.py").write_text(REMOVED)
    command = [sys.executable, "-m", "hybridprof", "run", "-o", "x.hyprof", "removes.py"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=CLI_TIMEOUT)
    assert done.returncode == 0
    assert "removed" not in done.stderr
    assert about_files(tmp_path / "x.hyprof") == []
    assert [path.name for path in tmp_path.glob("*.hyprof")] == ["x.hyprof"]
