# SPDX-License-Identifier: MIT
"""Without a subcommand: what the same words mean after `python -m cProfile`."""

from __future__ import annotations

import pstats
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import RunCli, clean_environment

PROGRAM = """
import functools
class Point:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return self.x == other.x
    @property
    def double(self): return self.x * 2
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
def key(point): return -point.x
def safe(n):
    try: raise KeyError(n)
    except KeyError: return n
@functools.lru_cache
def cached(n): return fib(3)
def main():
    points = sorted((Point(n) for n in [3, 1, 2]), key=key)
    assert points[0] == Point(3)
    total = sum(point.double for point in points)
    list(map(safe, range(4)))
    cached(1), cached(1)
    return fib(10) + total + len("abc")
if __name__ == "__main__":
    print(main())
"""

# What the profilers themselves call, and where both cannot agree: cProfile counts each resume of a generator as a call.
NOT_COMPARED = re.compile(r"<genexpr>|lsprof|exec|hybridprof|builtins\.print")


def counts(path: Path) -> dict[tuple[str, int, str], tuple[int, int]]:
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    return {
        (Path(file).name, line, name): (primitive, calls)
        for (file, line, name), (primitive, calls, *_) in stats.items()
        if calls and not NOT_COMPARED.search(name) and not name.startswith("<thread")
    }


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path / "program.py"


def test_same_functions_and_counts(run_cli: RunCli, program: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "cProfile", "-o", "c.out", program], cwd=tmp_path, env=clean_environment(), check=True, capture_output=True
    )
    done = run_cli("-o", "ours.out", program)
    assert (done.stdout, done.stderr) == ("70\n", "")
    theirs, ours = counts(tmp_path / "c.out"), counts(tmp_path / "ours.out")
    python = {key: count for key, count in theirs.items() if key[0] != "~"}
    assert {key: ours.get(key) for key in python} == python
    assert {key for key in ours if key[0] == "program.py"} == {key for key in theirs if key[0] == "program.py"}
    c_functions = {key: count for key, count in theirs.items() if key[0] == "~"}
    assert {key: ours.get(key) for key in c_functions} == c_functions


@pytest.mark.parametrize("options", [[], ["-s", "tottime"], ["-s", "ncalls"], ["-s", "nfl"], ["--sort=cumulative"]])
def test_the_table_is_pstats(run_cli: RunCli, program: Path, tmp_path: Path, options: list[str]) -> None:
    theirs = subprocess.run(
        [sys.executable, "-m", "cProfile", *options, program],
        cwd=tmp_path,
        env=clean_environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    done = run_cli(*options, program)
    ours = done.stdout.splitlines()
    assert done.stderr == ""
    assert ours[0] == theirs[0]
    (order,) = (line for line in theirs if "Ordered by" in line)
    assert order in ours
    header = "   ncalls  tottime  percall  cumtime  percall filename:lineno(function)"
    assert header in theirs
    assert header in ours
    for lines in (theirs, ours):
        (row,) = (line.split() for line in lines if line.endswith("program.py:8(fib)"))
        assert row[0] == "182/2"
    assert list(tmp_path.iterdir()) == [program]


def test_module_and_arguments(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "mod.py").write_text("import sys\nprint(__name__, sys.argv[1:])\n")
    done = run_cli("-o", "m.prof", "-m", "mod", "-o", "x", "-m", env={"PYTHONSAFEPATH": None})
    assert done.stdout == "__main__ ['-o', 'x', '-m']\n"
    pstats.Stats(str(tmp_path / "m.prof"))


def test_known_suffixes_pick_their_format(run_cli: RunCli, program: Path, tmp_path: Path) -> None:
    for name in ("x.hyprof", "callgrind.out.x", "x.collapsed"):
        run_cli("-o", name, program)
    assert (tmp_path / "callgrind.out.x").read_text().startswith("# callgrind format")
    assert run_cli("report", "x.hyprof").stdout


def test_exit_status_and_traceback(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text("def f(): raise KeyError('x')\nf()\n")
    plain = subprocess.run([sys.executable, "fails.py"], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True)
    done = run_cli("-o", "x.prof", "fails.py", status=1)
    assert done.stderr == plain.stderr
    assert [key[2] for key in pstats.Stats(str(tmp_path / "x.prof")).stats if key[2] == "f"] == ["f"]  # type: ignore[attr-defined]
