# SPDX-License-Identifier: MIT
"""Beside other people's tools: the program says what it says without us, the tool finds what it finds without us, and our numbers are true.

Real packages, pinned in scripts/requirements/neighbours.txt; each case is a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import clean_environment
from integration.beside import neighbours

pytestmark = pytest.mark.timing
PROGRAMS = Path(__file__).with_name("neighbour_programs.py")
# Who starts and who stops first: nested and crossed, in both orders.
ORDERS = ["TwHwhwt", "HwTwtwh", "TwHwtwh", "HwTwhwt"]


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-W", "ignore::DeprecationWarning", str(PROGRAMS), name, *arguments]


def environment(folder: str | None, **changes: str | None) -> dict[str, str]:
    return clean_environment(PYTHONPATH=folder, PYTHONDONTWRITEBYTECODE="1", **changes)


def found(tmp_path: Path, name: str, *arguments: str, folder: str | None = None, **env: str | None) -> dict[str, Any]:
    """What the program, which succeeded and complained about nothing, printed."""
    done = subprocess.run(
        command(name, *arguments), cwd=tmp_path, env=environment(folder, **env), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stderr == "", f"exit status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(said)
    return said


THREADS = {"ddtrace": frozenset({"Scheduler"})}  # Python threads that a tool starts


def is_true(ours: dict[str, Any], others: frozenset[str] = frozenset()) -> None:
    """Three quarters of the time in `hot`, as the program itself sees to, within what our error bars say, and a tick that was missed goes to
    the wrong one at worst. `others`: threads of the tool."""
    both, samples = ours["hot_ns"] + ours["cold_ns"], ours["samples"]
    missed = samples["missed"] / (samples["missed"] + samples["kept"])
    assert both > 0.05e9
    assert abs(ours["hot_ns"] / both - 0.75) < 0.1 + 1.5 * ours["hot_error_ns"] / both + missed, ours
    assert samples["unresolved"] <= max(2, samples["kept"] // 100), samples
    assert set(ours["threads"]) <= {"MainThread", "Thread", "unnamed"} | others


def shows_us(text: str) -> bool:
    """A file or a thread of ours, whatever the folders on the way there are called."""
    return any(
        mark in text for mark in ("hybridprof/_", "hybridprof/api", "hybridprof/watch", '"hybridprof', "[hybridprof", "hybridprof-file")
    )


def beside(tmp_path: Path, tool: str, order: str, *arguments: str, **options: Any) -> dict[str, Any]:
    """Runs the tool alone and with us."""
    alone = _alone(tmp_path.parent, tool, order, arguments, tuple(sorted(options.items())))
    together = found(tmp_path, tool, order, *arguments, **options)
    assert together["said"] == alone["said"]
    assert together["tool"] == alone["tool"]
    is_true(together["ours"], THREADS.get(tool, frozenset()))
    return together


@cache
def _alone(folder: Path, tool: str, order: str, arguments: tuple[str, ...], options: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    place = folder / f"alone-{tool}-{order}-{'-'.join(arguments)}"
    place.mkdir(exist_ok=True)
    return found(place, tool, order.replace("H", "").replace("h", ""), *arguments, **dict(options))


CORES = ["ctrace", "pytrace", *(["sysmon"] if sys.version_info >= (3, 12) else [])]


@pytest.mark.parametrize(("core", "order"), [(core, order) for core in CORES for order in (ORDERS if core == "ctrace" else ORDERS[:2])])
def test_coverage(tmp_path: Path, core: str, order: str) -> None:
    """The same lines; and calls are counted exactly at the same time."""
    folder = neighbours("coverage")
    together = beside(tmp_path, "coverage", order, folder=folder, COVERAGE_CORE=core, NEIGHBOUR_TARGET="1")
    assert together["tool"]["core"] == {"ctrace": "CTracer", "pytrace": "PyTracer", "sysmon": "SysMonitor"}[core]
    assert len(together["tool"]["lines"]) > 20
    turns = order[order.index("H") : order.index("h")].count("w")
    assert together["ours"]["counted"] == 2 * 40 * turns


@pytest.mark.parametrize(
    ("tool", "order"), [*(("cprofile", order) for order in ORDERS), ("profile", ORDERS[0]), *(("settrace", order) for order in ORDERS[:2])]
)
def test_profilers_and_debuggers_of_the_standard_library(tmp_path: Path, tool: str, order: str) -> None:
    together = beside(tmp_path, tool, order)
    turns = order[order.index("T") : order.index("t")].count("w")
    assert together["tool"].get("counted", together["tool"].get("call")) == 2 * 40 * turns


@pytest.mark.parametrize("order", ORDERS[:2])
def test_tracemalloc(tmp_path: Path, order: str) -> None:
    """Nothing that it sees is ours."""
    assert beside(tmp_path, "tracemalloc", order)["tool"] == {"found": 50, "of_ours": 0}


def test_faulthandler(tmp_path: Path) -> None:
    """Its dumps show the program's threads, and no other."""
    together, alone = (found(tmp_path, "dumped", with_us) for with_us in ("H", ""))
    for dumps in (together["tool"], alone["tool"]):
        assert len(dumps) >= 3
        assert all(dump.count("(most recent call first)") == 2 and "in dumped" in dump for dump in dumps)
    assert not shows_us("".join(together["tool"]))
    is_true(together["ours"])


def test_pdb(tmp_path: Path) -> None:
    together, alone = (found(tmp_path, "debugged", with_us) for with_us in ("H", ""))
    assert together["said"] == alone["said"]
    assert together["tool"] == alone["tool"] and "number = 0" in together["tool"] and "--Return--" in together["tool"]
    is_true(together["ours"])


@pytest.mark.parametrize("order", ORDERS[:2] if sys.version_info < (3, 13) else ORDERS[2:])
def test_ddtrace(tmp_path: Path, order: str) -> None:
    """Its stack sampler reads what ours reads, in a native thread of its own."""
    together = beside(tmp_path, "ddtrace", order, folder=neighbours("ddtrace"))
    assert together["tool"] == {"enough": True, "few_errors": True}


# --- arenas --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("neighbour") / "neighbour.so"
    source = Path(__file__).with_name("neighbour.c")
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", out, source], check=True)
    return str(out)


@pytest.mark.parametrize(("own_memory", "order"), [("0", ORDERS[2]), ("1", ORDERS[3]), ("1", ORDERS[0]), ("0", ORDERS[1])])
def test_allocators_of_arenas(tmp_path: Path, library: str, own_memory: str, order: str) -> None:
    """In front of us, behind us, left in the wrong order. stop() leaves everybody where they are."""
    together = beside(tmp_path, "arena", order, own_memory, NEIGHBOUR_LIBRARY=library)
    assert together["tool"] == {"used": True, "in_force": 0}


def test_stop_leaves_the_allocators_of_others(tmp_path: Path, library: str) -> None:
    for order in ("THwh", "HTwh"):
        together = found(tmp_path, "arena", order, NEIGHBOUR_LIBRARY=library)
        assert together["tool"]["used"]
        assert together["tool"]["in_force"] == (order[0] == "H")


def test_allocators_that_leave_in_the_wrong_order(tmp_path: Path, library: str) -> None:
    """Our own is out of force for a while, and what it knows is wrong when it is back."""
    together = found(tmp_path, "arenas_in_disorder", NEIGHBOUR_LIBRARY=library)
    assert min(together["tool"]["calls"]) > 0
    assert together["said"][0] == together["said"][1] == together["said"][2] == together["said"][3]
    is_true(together["ours"])


# --- from outside --------------------------------------------------------------------------------------------------------------------------


def watched(tmp_path: Path, with_us: str, look: Callable[[int], str], folder: str | None = None) -> tuple[str, dict[str, Any]]:
    """What an observer says of the program while it works, and what the program says."""
    with subprocess.Popen(
        command("watched_from_outside", with_us),
        cwd=tmp_path,
        env=environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "working\n"
        time.sleep(0.2)
        try:
            seen = look(process.pid)
        finally:
            said, complained = process.communicate("end\n", timeout=30)
    assert process.returncode == 0 and complained == "", complained
    return seen, json.loads(said)


def test_py_spy(tmp_path: Path) -> None:
    program = Path(neighbours("bin")) / "bin" / "py-spy"

    def look(pid: int) -> str:
        done = subprocess.run([program, "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=30)
        return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"

    alone, _ = watched(tmp_path, "", look)
    if alone.startswith("failed:"):
        pytest.skip(f"py-spy cannot read this interpreter, with or without us: {alone[:100]}")
    seen, said = watched(tmp_path, "H", look)
    assert "watched_from_outside" in seen and not shows_us(seen)
    assert seen.count("Thread ") == alone.count("Thread ")
    is_true(said["ours"])


@pytest.mark.skipif(sys.version_info < (3, 15), reason="profiling.sampling came with 3.15")
@pytest.mark.parametrize("how", [["attach", "--collapsed", "-a", "-d", "1", "-o", "out.txt"], ["dump"]], ids=["attach", "dump"])
def test_tachyon(tmp_path: Path, how: list[str]) -> None:
    def look(pid: int) -> str:
        line = [sys.executable, "-m", "profiling.sampling", *how, str(pid)]
        done = subprocess.run(line, cwd=tmp_path, env=environment(None), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "out.txt").read_text() if "-o" in how else done.stdout

    seen, said = watched(tmp_path, "H", look)
    assert "watched_from_outside" in seen and not shows_us(seen)
    if how[0] == "attach":
        counts = dict.fromkeys(("hot", "cold"), 0)
        for line in seen.splitlines():
            stack, _, count = line.rpartition(" ")
            for name in counts:
                counts[name] += int(count) * (f":{name}:" in stack)
        assert abs(counts["hot"] / sum(counts.values()) - 0.75) < 0.12, counts
    is_true(said["ours"])
