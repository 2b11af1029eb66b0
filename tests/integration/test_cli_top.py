# SPDX-License-Identifier: MIT
"""`hybridprof top`: a table of what has just been, in a pipe, in a terminal, and until the process or the user has had enough."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RunCli, clean_environment
from controlled import PATIENCE, Service, serving, until

ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path, serving(tmp_path)) as made:
        until(lambda: made.ask("'work' in {row.name for row in hybridprof.snapshot().functions}"))
        yield made


def started(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hybridprof", "top", *map(str, arguments)]
    return subprocess.Popen(command, env=clean_environment(TERM="xterm"), text=True, **options)  # type: ignore[call-overload,no-any-return]


def test_once(run_cli: RunCli, service: Service) -> None:
    lines = run_cli("top", service.pid, "--once", "--interval", "0.5").stdout.splitlines()
    assert re.match(
        rf"process {service.pid}: [\d,]+ samples in [\d.]+ (ms|s), (200|100|50|25|12\.5) Hz wall, profiling took [\d.]+ % of a core$",
        lines[0],
    )
    assert lines[1].split() == ["calls", "self", "±", "total", "±", "measured", "function"]
    assert len(lines) > 3 and "\x1b" not in "".join(lines)
    total = run_cli("top", service.socket, "--once", "--total", "--sort", "name", "--limit", "1", "--filter", "work").stdout
    assert "work (<string>" in total and "do not match 'work'" in total


def test_it_waits_until_a_snapshot_is_paid_for(run_cli: RunCli, tmp_path: Path) -> None:
    with Service(tmp_path, serving(tmp_path), env={"HYBRIDPROF_OUTPUT_BUDGET": "0.1%"}) as service:
        service.ask("!hybridprof.rollout.current().control.pace.charge(0.01)")  # ten seconds: nobody takes so long to ask
        done = run_cli("top", service.pid, "--once", "--interval", "0.1")
        assert done.stdout.startswith(f"process {service.pid}: ")
        assert done.stderr.count("\n") == 1 and "the last snapshot is not paid for yet" in done.stderr
        assert service.get("/status")[1]["control"]["postponed"] >= 1
        service.ask("!hybridprof.rollout.current().control.pace.charge(0.01)")
        done = run_cli("ctl", service.pid, "snapshot", "-o", "-", "-f", "collapsed")
        assert "<thread " in done.stdout and "the last snapshot is not paid for yet" in done.stderr


def test_it_ends_with_the_process(service: Service) -> None:
    with started(service.pid, "-i", "0.1", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as top:
        assert top.stdout is not None and any("work (<string>" in line for line in top.stdout)
        service.kill()
        _, errors = top.communicate(timeout=PATIENCE)
    assert top.returncode == 0 and errors.count("\n") == 1
    assert errors.startswith(f"hybridprof: {service.pid} is watched no longer: ")


def test_it_ends_with_ctrl_c(service: Service) -> None:
    with started(service.pid, "-i", "0.1", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as top:
        assert top.stdout is not None and top.stdout.readline().startswith("process ")
        top.send_signal(signal.SIGINT)
        _, errors = top.communicate(timeout=PATIENCE)
    assert (top.returncode, errors) == (0, "")
    assert service.ask("hybridprof.running()")


def test_its_reader_goes_away(service: Service) -> None:
    with started(service.pid, "-i", "0.1", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as top:
        assert top.stdout is not None and top.stderr is not None
        top.stdout.readline()
        top.stdout.close()
        assert (top.stderr.read(), top.wait(PATIENCE)) == ("", 141)  # as all our commands


@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal_is_written_over(service: Service, colour: bool) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
    environment = clean_environment(TERM="xterm", NO_COLOR=None if colour else "1", COLUMNS=None, LINES=None, PYTHONIOENCODING="utf-8")
    top = subprocess.Popen(
        [sys.executable, "-m", "hybridprof", "top", str(service.pid), "-i", "0.2"],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env=environment,
    )
    os.close(theirs)
    try:
        text = ""
        # A loaded machine may give an interval no sample.
        while text.count("\x1b[H") < 3 or "work (<string>" not in text.rsplit("\x1b[H", 2)[1]:
            text += os.read(ours, 1 << 16).decode("utf-8", "replace")
        top.send_signal(signal.SIGINT)
        assert top.wait(PATIENCE) == 0
    finally:
        top.kill()
        top.wait()
        os.close(ours)
    screens = text.split("\x1b[H")[1:-1]
    assert text.startswith("\x1b[2J") and text.count("\x1b[2J") == 1
    for screen in screens:
        lines = [ESCAPES.sub("", line) for line in screen.replace("\r", "").split("\n")]
        assert len(lines) <= 12 and max(map(len, lines)) <= 60
    assert len(lines) > 5
    assert ("\x1b[1m" in text) == colour


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--interval", "0"], "--interval must be from 0.1 to 3600 seconds, not 0"),
        (["--interval", "nan"], "--interval must be from 0.1 to 3600 seconds, not nan"),
        (["--limit", "-1"], "--limit must be 0 (all) or more, not -1"),
        (["--sort", "size"], "cannot sort by 'size'; use one of self, total, calls, "),
        (["--filter", ""], "--filter is empty"),
        ([], "process {} has no control socket; "),
    ],
)
def test_bad_input(run_cli: RunCli, arguments: list[str], sentence: str) -> None:
    done = run_cli("top", os.getpid(), *arguments, status=2)
    assert done.stderr.startswith("hybridprof: " + sentence.format(os.getpid())) and done.stderr.count("\n") == 1
