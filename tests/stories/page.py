# SPDX-License-Identifier: MIT
"""A page of docs/stories as its reader follows it: the programs saved under the names in their first lines, the commands typed in order."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conftest import clean_environment

PAGES = Path(__file__).resolve().parents[2] / "docs" / "stories"
FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"# (?P<name>\w+\.py)\n")
SECONDS = 150


@dataclass(frozen=True)
class Page:
    """programs: file name -> text. commands: all of them, one script."""

    programs: dict[str, str]
    commands: str


def read(name: str) -> Page:
    """Raises AssertionError for a page that a reader could not follow."""
    programs: dict[str, str] = {}
    commands = []
    for fence in FENCE.finditer((PAGES / f"{name}.md").read_text(encoding="utf-8")):
        if fence["kind"] == "sh":
            commands.append(fence["text"])
        elif fence["kind"] == "python":
            first = PROGRAM.match(fence["text"])
            assert first, f"{name}: a program without its file's name in the first line: {fence['text'][:60]!r}"
            programs[first["name"]] = fence["text"]
        else:
            assert fence["kind"] == "text", f"{name}: a block of kind {fence['kind']!r}"
    assert programs, f"{name}: no program"
    assert commands, f"{name}: no commands"
    return Page(programs, "".join(commands))


def follow(name: str, folder: Path, tools: dict[str, Path]) -> str:
    """Does all that the page says, in `folder`; returns what its commands wrote to the terminal. tools: what it takes to be installed, command -> file."""
    page = read(name)
    for file, text in page.programs.items():
        (folder / file).write_text(text, encoding="utf-8")
    path = _path_with(tools, folder / ".tools")
    shell = subprocess.Popen(
        [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", page.commands],
        cwd=folder,
        env=clean_environment(PATH=path, PYTHONSAFEPATH=None),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = shell.communicate(timeout=SECONDS)
    finally:
        _end(shell)
    assert shell.returncode == 0, f"{page.commands}\nended with status {shell.returncode}:\n{output}"
    return "".join(told(output))


def told(output: str) -> list[str]:
    """Its lines. What a busy machine adds is no part of the story."""
    return [line for line in output.splitlines(keepends=True) if not line.startswith("hybridprof: sampled at ")]


def _end(shell: subprocess.Popen[str]) -> None:
    """What the page left in the background, where a command before its own `kill` failed."""
    try:
        os.killpg(shell.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    shell.wait()


def _path_with(tools: dict[str, Path], folder: Path) -> str:
    """`python` and `hybridprof` are those under test; the tools each by itself, for their folder has another `python`."""
    folder.mkdir()
    for command, place in tools.items():
        (folder / command).symlink_to(place)
    ours = folder / "python"
    ours.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    ours.chmod(0o755)
    return os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
