# SPDX-License-Identifier: MIT
"""How a check runs a hazard: a process of its own, that must end by itself, in time, and without a word of the interpreter about a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conftest import clean_environment

HERE = Path(__file__).resolve().parent
SECONDS = float(os.environ.get("HYBRIDPROF_STRESS_SECONDS", "2"))  # of each hazard
PATIENCE = 60.0  # seconds that a hazard may take beyond its duration, on a machine with many neighbours

sys_path = str(HERE.parent)


def command(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-P", "-X", "faulthandler", str(HERE / program), *map(str, arguments)]


def environment(**changes: str | None) -> dict[str, str]:
    return clean_environment(PYTHONPATH=sys_path, **changes)


def run(
    program: str, *arguments: object, cwd: Path | None = None, env: dict[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Any exit status but that of a crash or a hang."""
    line: Sequence[str] = command(program, *arguments)
    done = subprocess.run(
        line, cwd=cwd, env=environment(**(env or {})), capture_output=True, text=True, timeout=SECONDS * 2 + PATIENCE, errors="replace"
    )
    said = f"{' '.join(line)}\nexit status {done.returncode}\nstdout: {done.stdout[-2000:]}\nstderr: {done.stderr[-6000:]}"
    assert done.returncode >= 0, said
    assert "Fatal Python error" not in done.stderr and "SystemError" not in done.stderr, said
    return done


def result(program: str, *arguments: object, cwd: Path | None = None, env: dict[str, str | None] | None = None) -> dict[str, Any]:
    """What the program, which succeeded and complained about nothing, printed last: a line of JSON."""
    done = run(program, *arguments, cwd=cwd, env=env)
    assert done.returncode == 0 and done.stderr == "", (
        f"exit status {done.returncode}\nstdout: {done.stdout[-2000:]}\nstderr: {done.stderr[-6000:]}"
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
