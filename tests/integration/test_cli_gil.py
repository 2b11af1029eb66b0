# SPDX-License-Identifier: MIT
"""A profile is written without the GIL: each format goes into a pipe whose only reader is another Python thread of the same process. Who held the
GIL while the pipe is full would wait for ever; no clock decides."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import RunCli

import hybridprof

PIPE = 1 << 16  # bytes that one holds
FORMATS = {name: suffixes[0] for name, suffixes, _, _, can_write in hybridprof._core.formats() if can_write}

PROGRAM = """
import os, sys, threading
import hybridprof
profile = hybridprof.load(sys.argv[1])
os.mkfifo("pipe")
sizes, turns = [], []
def read():
    with open("pipe", "rb") as stream:
        while piece := stream.read(4096):
            sizes.append(len(piece))
reader = threading.Thread(target=read)
reader.start()
profile.write("pipe", sys.argv[2])
reader.join()
print(sum(sizes))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 100,000 nodes, more than a pipe holds in every format."""
    path = tmp_path_factory.mktemp("large") / "large.collapsed"
    path.write_text("".join(f"main;f{n % 977};g{n};h{n * 7919 % 104729};i{n * 31 % 997} {n * 7919 % 1000 + 1}\n" for n in range(33000)))
    return path


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_another_thread_runs_while_a_profile_is_written(run_python: RunCli, large: Path, tmp_path: Path, form: str) -> None:
    got = int(run_python(PROGRAM, large, form).stdout)
    assert got > 2 * PIPE
    hybridprof.load(large).write(tmp_path / f"file{FORMATS[form]}")
    assert got == (tmp_path / f"file{FORMATS[form]}").stat().st_size


def test_the_profile_has_100_000_nodes(large: Path) -> None:
    assert len(hybridprof.load(large)._core.nodes()) > 98_000
