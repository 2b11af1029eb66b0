# SPDX-License-Identifier: MIT
"""Shared fixtures: the command line as users start it, a profile that it really measured, and modules of others."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

CLI_TIMEOUT = 120  # seconds
# What the tests of clients share makes assertions too.
pytest.register_assert_rewrite("clients.running", "clients.readers", "clients.browsers", "clients.pages", "clients.desktop")


RUNS = 3


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Neighbours of the machine only disturb, and a number that is wrong is so in each of three runs. Counts and stacks have one.

    By hand, because pytest-rerunfailures brings a thread into the process, and our tests look at all threads."""
    if not item.get_closest_marker("timing"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports: list[pytest.TestReport] = []
    runs = 0
    while runs < RUNS and (not runs or any(report.failed for report in reports)):
        if runs:
            item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        runs += 1
    for report in reports:
        report.user_properties.append(("runs", runs))
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for report in terminalreporter.stats.get("passed", []):
        runs = dict(report.user_properties).get("runs", 1)
        if runs > 1:
            terminalreporter.write_line(f"DISTURBED {report.nodeid}: passed in run {runs} of {RUNS}")


def wheel(name: str) -> Any:
    """A module of scripts/requirements/test-wheels.txt. Debug builds have no wheels: there the test is skipped. For releases there are
    wheels: where everything must hold (CI) a missing one fails the test."""
    if hasattr(sys, "gettotalrefcount"):
        return pytest.importorskip(name)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if os.environ.get("CI"):
            pytest.fail(f"{name} cannot be imported, and every release has a wheel of it: {error}")
        pytest.skip(f"{name} is not installed: {error}")


RunCli = Callable[..., "subprocess.CompletedProcess[str]"]

SAMPLE_PROGRAM = '''
import time


def busy(seconds):
    """Burns CPU time in Python code."""
    end = time.process_time() + seconds
    rounds = 0
    while time.process_time() < end:
        rounds += sum(range(200))
    return rounds


def counted(n):
    return n * 2


def recursive(n):
    return counted(n) if n == 0 else recursive(n - 1)


def main():
    for n in range(7):
        recursive(n)
    busy(0.3)
    print("done")


main()
'''


def clean_environment(**changes: str | None) -> dict[str, str]:
    """This process' environment without our own settings. The source folder must not hide the installed package: PYTHONSAFEPATH."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HYBRIDPROF_", "PYTEST_", "COVERAGE_"))}
    environment["PYTHONSAFEPATH"] = "1"
    for name, value in changes.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    return environment


@pytest.fixture
def run_cli(tmp_path: Path) -> RunCli:
    """run_cli("report", path, status=0, env={...}, cwd=...) starts `python -m hybridprof` in a temporary folder and checks its exit status (None: any)."""

    def run(
        *arguments: object, status: int | None = 0, cwd: Path | None = None, env: dict[str, str | None] | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "hybridprof", *map(str, arguments)],
            cwd=cwd or tmp_path,
            env=clean_environment(**(env or {})),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=CLI_TIMEOUT,
        )
        if status is not None:
            assert done.returncode == status, (
                f"exit status {done.returncode} instead of {status}\nstdout: {done.stdout[-2000:]}\nstderr: {done.stderr[-4000:]}"
            )
        return done

    return run


@pytest.fixture
def run_python(tmp_path: Path) -> RunCli:
    """run_python(code, *argv) runs a program of its own with this interpreter in a temporary folder; run_python(..., status=None) takes any exit status."""

    def run(
        code: str, *arguments: object, status: int | None = 0, cwd: Path | None = None, env: dict[str, str | None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=cwd or tmp_path,
            env=clean_environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=CLI_TIMEOUT,
        )
        if status is not None:
            assert done.returncode == status, (
                f"exit status {done.returncode} instead of {status}\nstdout: {done.stdout[-2000:]}\nstderr: {done.stderr[-4000:]}"
            )
        return done

    return run


@pytest.fixture(scope="session")
def sample_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of about 0.3 s: `recursive` called 28 times (7 primitive), `counted` 7 times, `busy` once for most of the time."""
    path = tmp_path_factory.mktemp("program") / "program.py"
    path.write_text(SAMPLE_PROGRAM, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def sample_profile(sample_program: Path) -> Path:
    """What `run --deep __main__:recursive` measured of sample_program, as a .hyprof file."""
    out = sample_program.with_name("sample.hyprof")
    subprocess.run(
        [sys.executable, "-m", "hybridprof", "run", "-r", "1000", "--deep", "__main__:recursive", "-o", out, sample_program],
        cwd=sample_program.parent,
        env=clean_environment(),
        check=True,
        capture_output=True,
        timeout=CLI_TIMEOUT,
    )
    return out


@pytest.fixture(autouse=True)
def _marks_end_with_their_test() -> Iterator[None]:
    """What a function is marked as is remembered for the life of the process, by the core and by hybridprof.marking; and with 3.11 one marked generator
    keeps the profile function on everywhere, in each later session."""
    from hybridprof import _core, marking

    marked, targets = dict(marking._marked), dict(_core.targets())
    yield
    for key in set(marking._marked) - set(marked):
        del marking._marked[key]
    for code, _ in _core.targets():
        if code not in targets:
            _core.remove_target(code)


@pytest.fixture
def hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A ruled.Hand: a ruler of this process, whose time and costs the test makes up. Nothing of it is left afterwards."""
    from ruled import Hand

    import hybridprof
    from hybridprof import _core, marking
    from hybridprof.rollout import current
    from hybridprof.rollout.process import retire

    for name in [name for name in os.environ if name.startswith("HYBRIDPROF_")]:
        monkeypatch.delenv(name)
    hybridprof.stop()
    yield Hand(tmp_path)
    retire()
    hybridprof.stop()
    assert current() is None and not _core.running() and marking._most == 1.0
