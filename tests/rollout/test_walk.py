# SPDX-License-Identifier: MIT
"""The commands of docs/rollout.md, as they stand there, in one shell."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import clean_environment, wheel

import hybridprof

wheel("gunicorn")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rollout.md"
LIMIT = 300  # seconds; it takes some twenty on a machine that does nothing else


@pytest.mark.timeout(LIMIT + 60)
def test_the_page_s_commands_do_what_it_says(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the page's commands use curl, and this machine has none")
    script = "set -eu\n" + "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    environment = clean_environment(HOME=str(tmp_path), XDG_RUNTIME_DIR=None, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    shell = subprocess.Popen(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = shell.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        out, err = shell.communicate()
    finally:
        end_service(tmp_path / "service")
    log = (tmp_path / "service" / "gunicorn.log").read_text()
    assert shell.returncode == 0, (out[-2000:], err[-2000:], log[-2000:])
    assert "Traceback" not in err + log
    assert "right; stage off" in out and "nothing would run: kill file" in out
    assert "exit status 1: rolled back" in out and re.search(r"^nothing would run: stage 'dark' \(judge: ", out, re.MULTILINE)
    assert re.search(r"^the sampler and the tracer would run: stage 'deep' \(crash guard: it crashed: down a stage", out, re.MULTILINE)
    assert re.search(r"^-rw------- .* shop@\S+\.s[01]\.p\d+\.\d{8}T\d{6}\.\d{3}Z\.hyprof$", out, re.MULTILINE)
    assert re.search(r"shop\.py", out) and "checkout" in out
    stored = [hybridprof.load(path) for path in (tmp_path / "service" / "store").iterdir()]
    assert stored and all(profile.meta["argv"] == ["gunicorn"] for profile in stored)


def end_service(folder: Path) -> None:
    """Where the page's last command has not been reached."""
    try:
        os.kill(int((folder / "gunicorn.pid").read_text()), signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pass
