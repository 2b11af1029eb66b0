# SPDX-License-Identifier: MIT
"""HYBRIDPROF_DISABLE: nothing happens, and nothing is even loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import RunCli

CODE = """
import sys, time
began = time.perf_counter()
import hybridprof
def f(): return 1
class C: pass
assert hybridprof.deep(f) is f and hybridprof.deep(rate=0.5)(f) is f and hybridprof.deep(C) is C
assert hybridprof.deep(len, rate=0.1) is len
profiler = hybridprof.start(rate=1000, deep=["*"])
with hybridprof.Profiler(rate=5) as p, hybridprof.deep.block("b"):
    f()
import asyncio
async def main():
    async with hybridprof.deep.block("b"): pass
asyncio.run(main())
assert not hybridprof.running() and profiler.start() is profiler and profiler.stop() is profiler
profile = hybridprof.snapshot()
assert (profile.functions, profile.edges, profile.threads, profile.tree.children, profile.residual_ns) == ([], [], [], [], 0)
assert p.profile.meta["samples"]["kept"] == 0
profile.write("x.pstats")
profile.stats().sort_stats("tottime").print_stats()
status = hybridprof.status()
assert (status["running"], status["stage"], status["why"]) == (False, "off", "HYBRIDPROF_DISABLE is set")
hybridprof.stop()
assert not [name for name in sys.modules if name.startswith("hybridprof._core")]
import threading
assert threading.active_count() == 1
# What works on files needs the core, as load() does; without a profile it does nothing.
assert profile.diff(profile).changed == [] and profile.merge(profile).functions == [] and hybridprof.merge([profile]) is profile
"""


@pytest.mark.parametrize("value", ["1", "yes", "true"])
def test_every_call_does_nothing(run_python: RunCli, tmp_path: Path, value: str) -> None:
    run_python(CODE, env={"HYBRIDPROF_DISABLE": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["", "0"])
def test_values_that_do_not_disable(run_python: RunCli, value: str) -> None:
    run_python("import hybridprof; hybridprof.start(); assert hybridprof.running()", env={"HYBRIDPROF_DISABLE": value})


def test_run_runs_the_program_bare(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys\nprint(sys.argv, __name__)\nsys.exit(4)\n")
    for command in (["run", "-o", "x.hyprof", "--deep", "*", "-s", "self"], []):
        done = run_cli(*command, "program.py", "a", status=4, env={"HYBRIDPROF_DISABLE": "1"})
        assert (done.stdout, done.stderr) == ("['program.py', 'a'] __main__\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


def test_importing_is_light(run_python: RunCli) -> None:
    heavy = "argparse asyncio collections dataclasses difflib inspect json logging pstats re threading typing"
    run_python(
        "import sys; before = set(sys.modules); import hybridprof; new = set(sys.modules) - before\n"
        f"assert not new & set({heavy!r}.split()), new & set({heavy!r}.split())\n"
        "assert hybridprof.Profile and hybridprof.load and hybridprof.Function"
    )
