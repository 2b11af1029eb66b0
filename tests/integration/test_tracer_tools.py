# SPDX-License-Identifier: MIT
"""Exact tracing beside real tools, in every order of starts and stops: the program and the tool say what they say without us, our counts are
true, and where another tool has the thread's profile function (3.11) one sentence says so. Sampling goes on in any case."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli, clean_environment
from integration.beside import IS_DEBUG, neighbours
from integration.dap import Client

from hybridprof import _core

PROGRAMS = Path(__file__).with_name("traced_neighbours.py")
HAS_MONITORING = "monitoring" in _core.HOOKS
TRUE = {"target": 1, "steps": 1, "leaf": 31}  # calls in one call of `target`
# Nested and crossed, and one within the other's time only.
ORDERS = ["TwHwhwt", "HwTwtwh", "TwHwtwh", "HwTwhwt", "HTwth", "THwht"]
TAKEN = "a thread has a profile function of another tool"
# Tools that put a profile function into the thread where there is no sys.monitoring.
PROFILE_FUNCTIONS = {"cprofile", "setprofile", "viztracer"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-W", "ignore::DeprecationWarning", str(PROGRAMS), *arguments]


def environment(folder: str | None, **changes: str | None) -> dict[str, str]:
    tests = str(PROGRAMS.parent.parent)
    return clean_environment(
        PYTHONPATH=tests if folder is None else f"{folder}:{tests}",
        PYTHONDONTWRITEBYTECODE="1",
        PYDEVD_DISABLE_FILE_VALIDATION="1",
        **changes,
    )


def found(cwd: Path, *arguments: str, folder: str | None, **changes: str | None) -> dict[str, Any]:
    """What the program, which succeeded and complained about nothing, printed."""
    cwd.mkdir(exist_ok=True)
    done = subprocess.run(command(*arguments), cwd=cwd, env=environment(folder, **changes), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", f"exit status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(said)
    return said


def turns(tool: str, order: str) -> tuple[int, int]:
    """How many calls of `target` are to be traced, and how many are not, because the tool had the thread's profile function."""
    traced = missed = 0
    running: set[str] = set()
    for letter in order:
        if letter.isupper():
            running.add(letter)
        elif letter != "w":
            running.discard(letter.upper())
        elif "H" in running:
            taken = "T" in running and tool in PROFILE_FUNCTIONS and not HAS_MONITORING
            traced, missed = traced + (not taken), missed + taken
    return traced, missed


def check(tool: str, order: str, ours: dict[str, Any]) -> None:
    traced, missed = turns(tool, order)
    assert ours["calls"] == {name: count * traced for name, count in TRUE.items() if traced}, ours
    assert bool(missed) == any(TAKEN in warning for warning in ours["warnings"]), ours["warnings"]
    if HAS_MONITORING:
        assert ours["hook"] == "monitoring"
    samples = ours["samples"]
    assert samples["kept"] > 10 and ours["burn_ns"] > 0, samples
    assert samples["unresolved"] <= max(3, samples["kept"] // 20), samples


def beside(tmp_path: Path, tool: str, order: str, *arguments: str, folder: str | None = None, **changes: str | None) -> dict[str, Any]:
    alone = found(tmp_path / "alone", tool, order.replace("H", "").replace("h", ""), *arguments, folder=folder, **changes)
    together = found(tmp_path / "together", tool, order, *arguments, folder=folder, **changes)
    assert together["said"] == alone["said"]
    assert together["tool"] == alone["tool"] and alone["tool"]
    check(tool, order, together["ours"])
    return together


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("tool", ["cprofile", "setprofile"])
def test_profilers_of_the_standard_library(tmp_path: Path, tool: str, order: str) -> None:
    said = beside(tmp_path, tool, order)
    assert said["tool"]["leaf"] == 31 * order[order.index("T") : order.index("t")].count("w")


BACKENDS = [["bdb", "settrace"], ["bdb", "monitoring"], ["pdb"]] if sys.version_info >= (3, 14) else [["bdb"], ["pdb"]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("debugger", BACKENDS, ids="-".join)
def test_debuggers_of_the_standard_library(tmp_path: Path, order: str, debugger: list[str]) -> None:
    said = beside(tmp_path, debugger[0], order, *debugger[1:])
    assert said["tool"]["hits"] == 31 * order[order.index("T") : order.index("t")].count("w")


CORES = ["ctrace", "pytrace", *(["sysmon"] if HAS_MONITORING else [])]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("core", CORES)
def test_coverage(tmp_path: Path, core: str, order: str) -> None:
    said = beside(tmp_path, "coverage", order, folder=neighbours("coverage"), COVERAGE_CORE=core)
    assert said["tool"]["core"] == {"ctrace": "CTracer", "pytrace": "PyTracer", "sysmon": "SysMonitor"}[core]


@pytest.mark.parametrize("order", ORDERS)
def test_viztracer(tmp_path: Path, order: str) -> None:
    said = beside(tmp_path, "viztracer", order, folder=neighbours("viztracer"))
    assert said["tool"]["leaf"] == 31 * order[order.index("T") : order.index("t")].count("w")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("names", [["leaf"], ["leaf", "target"]], ids=["what a target calls", "the target"])
def test_line_profiler(tmp_path: Path, order: str, names: list[str]) -> None:
    """It gives what it profiles other code, for good: the target's as well."""
    said = beside(tmp_path, "line_profiler", order, *names, folder=neighbours("line_profiler"))
    assert said["tool"]["leaf"] == [31 * order[order.index("T") : order.index("t")].count("w")]


def debugged(cwd: Path, order: str, folder: str) -> tuple[dict[str, Any], int]:
    """What the program says, and how often it stood at the breakpoint."""
    cwd.mkdir()
    with subprocess.Popen(
        command("debugpy", order), cwd=cwd, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        timer = threading.Timer(90, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            port, line = process.stdout.readline().split()
            client = Client(int(port))
            client.attach(str(PROGRAMS), int(line))
            assert process.stdout.readline() == "done\n"
            client.leave()
            output, complaints = process.communicate()
        finally:
            timer.cancel()
            process.kill()
    assert process.returncode == 0 and "Traceback" not in complaints and "rofil" not in complaints, complaints[-4000:]
    assert client.problems == []
    said: dict[str, Any] = json.loads(output.splitlines()[-1])
    print(said, client.hits)
    return said, client.hits


@pytest.mark.parametrize("order", ["TwHwhwt", "HwTwtwh", "TwHwtwh", "HwTwhwt"])
def test_debugpy(tmp_path: Path, order: str) -> None:
    folder = neighbours("debugpy")
    alone, hits_alone = debugged(tmp_path / "alone", order.replace("H", "").replace("h", ""), folder)
    together, hits = debugged(tmp_path / "together", order, folder)
    assert together["said"] == alone["said"]
    assert hits == hits_alone == 31 * order[order.index("T") : order.index("t")].count("w")
    check("debugpy", order, together["ours"])


# --- pytest --------------------------------------------------------------------------------------------------------------------------------

TESTED = """
import pytest

def helper(number):
    return number + 1

def test_right():
    assert [helper(n) for n in range(7)] == [1, 2, 3, 4, 5, 6, 7]

def test_wrong():
    assert helper(1) == 3

@pytest.mark.parametrize("number", range(4))
def test_several(number):
    assert helper(number) > number
"""


def verdicts(output: str) -> list[str]:
    return [line.partition(" in ")[0] for line in output.splitlines() if line.startswith(("FAILED", "1 failed", "E "))]


@pytest.mark.skipif(IS_DEBUG and sys.version_info < (3, 12), reason="a debug build of 3.11 is not among those that are supported")
def test_pytest_beneath_us(tmp_path: Path, run_cli: RunCli) -> None:
    """Its assertion rewriting compiles the module; its verdicts, its exit status and our counts are right."""
    (tmp_path / "test_tested.py").write_text(TESTED, encoding="utf-8")
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", tmp_path, "test_tested.py")
    alone = subprocess.run(
        [sys.executable, "-m", "pytest", *map(str, options)],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    done = run_cli("run", "--deep", "test_tested:helper", "-o", "out.hyprof", "-m", "pytest", *options, status=1)
    assert (alone.returncode, verdicts(alone.stdout)) == (1, verdicts(done.stdout))
    assert len(verdicts(done.stdout)) >= 3
    (calls,) = (row[5] for row in _core.load(str(tmp_path / "out.hyprof")).functions() if row[0] == "helper")
    assert calls == 7 + 1 + 4
