# SPDX-License-Identifier: MIT
"""`hybridprof selfcheck` for real: what is deterministic must hold on any machine, and a lie must not pass."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import CLI_TIMEOUT, RunCli, clean_environment

import hybridprof

NAMES = [
    "impossible_stacks",
    "count_differences",
    "sampling_bias",
    "traced_share_error",
    "traced_call",
    "gated_call",
    "sample_cost",
    "slowdown_100_hz",
]


@pytest.mark.timing
def test_a_quick_run(run_cli: RunCli) -> None:
    """Timing may be anything on a busy machine, but is then said and exits with 1; counts and stacks are right everywhere."""
    done = run_cli("selfcheck", "--quick", "--json", status=None)
    answer = json.loads(done.stdout)
    assert list(answer) == ["hybridprof", "python", "platform", "cpus", "load_average_1_min", "quick", "duration_s", "checks"]
    assert (answer["hybridprof"], answer["python"], answer["quick"]) == (hybridprof.__version__, sys.version.split()[0], True)
    checks = {check["name"]: check for check in answer["checks"]}
    assert list(checks) == NAMES
    verdicts = {name: check["verdict"] for name, check in checks.items()}
    assert "failed" not in verdicts.values(), answer
    assert verdicts["count_differences"] == "ok", answer
    assert verdicts["impossible_stacks"] in ("ok", "not shown"), answer  # a busy machine may give too few samples to show it
    assert checks["impossible_stacks"]["details"]["impossible"] == 0, answer
    assert done.returncode == (1 if "out of promise" in verdicts.values() else 0)
    assert checks["count_differences"]["details"]["compared"] > 150
    assert checks["impossible_stacks"]["details"]["samples"] >= 100
    assert all(check["low_us"] is None or check["low_us"] > 0 for check in answer["checks"] if "low_us" in check)
    assert done.stderr == ""


def lying(tmp_path: Path, *changes: tuple[str, str, str]) -> list[str]:
    """The command line of a copy of the package, in which some text was put in another's place."""
    package = tmp_path / "hybridprof"
    shutil.copytree(Path(hybridprof.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in changes:
        text = (package / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, (file, old)
        (package / file).write_text(text.replace(old, new), encoding="utf-8")
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from hybridprof.cli import main; sys.exit(main())"]


def run(command: list[str], *options: str) -> Any:
    environment = clean_environment()
    return subprocess.run([*command, "selfcheck", *options], env=environment, capture_output=True, text=True, timeout=CLI_TIMEOUT)


ORACLE = ("selfcheck/oracle.py", "counts.calls[name] += 1", "counts.calls[name] += 1 + (name[0] == 'factorial')")
LEGAL = ("selfcheck/programs/chains.py", '"descend": {"run", "descend"}', '"descend": {"run"}')
CRASH = ("selfcheck/stacks.py", '    program = load("chains")', "    import os; os.abort()")


def test_lies_do_not_pass(tmp_path: Path) -> None:
    """An oracle that counts one function twice, and a program whose deepest stacks are declared impossible."""
    done = run(lying(tmp_path, ORACLE, LEGAL), "--quick", "--only", "counts", "--only", "stacks")
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and done.stderr == ""
    assert [line.split("  ")[0] for line in lines[3:-1] if line and line[0] != " "] == ["out of promise", "out of promise"]
    assert "> descend > descend" in done.stdout
    assert "for instance: calls of factorial (line " in done.stdout
    assert lines[-1] == "2 promises: 2 OUT OF PROMISE (impossible_stacks, count_differences)"


BIAS = ("selfcheck/shares.py", "100 * (statistics.median(shares) - truth.share)", "100 * (statistics.median(shares) - truth.share) + 300")
COST = ("selfcheck/promises.py", "TRACED_CALL = 0.85 if OLD_HOOK else 0.5", "TRACED_CALL = 0.001")


@pytest.mark.timing
def test_what_is_far_out_is_said_on_a_busy_machine_too(tmp_path: Path) -> None:
    """A promise that nobody could keep, and a profiler that is off by 300 points: where it gets next to no processor too, that is at least never shown."""
    done = run(lying(tmp_path, BIAS, COST), "--quick", "--json", "--only", "bias", "--only", "calls")
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert found["traced_call"]["verdict"] == "out of promise" and found["traced_call"]["low_of_cprofile"] > 0.001, found
    bias = found["sampling_bias"]
    assert bias["verdict"] == "out of promise" or (bias["verdict"] == "not shown" and not 2 < (bias["low_points"] or 0)), found


def test_a_crash_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    done = run(lying(tmp_path, CRASH), "--quick", "--json", "--only", "counts", "--only", "stacks")
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert (found["impossible_stacks"]["verdict"], found["impossible_stacks"]["why"]) == ("failed", "its program was ended by SIGABRT")
    assert found["impossible_stacks"]["measured_percent"] is None
    assert found["count_differences"]["verdict"] == "ok"


def test_what_lies_in_the_folder_is_not_ours(run_cli: RunCli, tmp_path: Path) -> None:
    for name in ("json", "statistics", "cProfile"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    done = run_cli("selfcheck", "--only", "counts", env={"PYTHONSAFEPATH": None})
    assert done.stdout.splitlines()[-1] == "1 promises: 1 hold"


def test_interrupted(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hybridprof", "selfcheck", "--only", "slowdown"],
        env=clean_environment(PYTHONUNBUFFERED="1"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline().startswith("hybridprof ")
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (130, "")


@pytest.mark.parametrize(
    ("options", "disable", "sentence"),
    [
        (["--only", "speed"], None, "argument --only: invalid choice: 'speed' (choose from "),
        (["extra"], None, "unrecognized arguments: extra (see: hybridprof selfcheck --help)"),
        ([], "1", "HYBRIDPROF_DISABLE is set, so there is no profiler to check; unset it"),
    ],
)
def test_bad_input(run_cli: RunCli, options: list[str], disable: str | None, sentence: str) -> None:
    done = run_cli("selfcheck", *options, status=2, env={"HYBRIDPROF_DISABLE": disable})
    assert done.stdout == "" and done.stderr.startswith(f"hybridprof: {sentence}") and done.stderr.count("\n") == 1
