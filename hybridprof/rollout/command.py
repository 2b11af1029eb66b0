# SPDX-License-Identifier: MIT
"""An upload command: run with a file's path as its last word, in a bounded time, and how it ended.

The program may ignore SIGCHLD, or reap every child that it meets: then the system keeps no exit status for us, and Python's subprocess says 0. A file is removed once its command has ended
with 0, so that must be known: a shell, which waits for the command itself, says it through a pipe. Shells set SIGCHLD to its default for themselves and for what they start.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .locks import why

if TYPE_CHECKING:
    from subprocess import Popen

SHELL = "/bin/sh"
# The shell outlives a SIGTERM to all of them: then the system adds up what they took. `times` has two lines; the status is last, and with it the report is whole.
SCRIPT = 'trap : TERM; "$@" >/dev/null; ended=$?; times; echo $ended'
WHOLE = 3  # lines
LARGEST = 4096  # bytes
GRACE = 0.5  # seconds between SIGTERM and SIGKILL
_TIME = re.compile(rb"(\d+)m(\d+)[.,](\d+)s")


class Failed(Exception):
    """A try that failed; the text says why."""


def run(command: Sequence[str], path: str, seconds: float, charge: Callable[[float], None] = lambda seconds: None) -> None:
    """In a process group of its own, without input and output. Raises Failed unless it ends with 0 in time. charge: is told the CPU seconds that it took."""
    process = _begun(command, path)
    report = _Report(process)
    in_time = report.comes_within(seconds)
    if not in_time:
        _signal_group(process.pid, signal.SIGTERM)
        report.comes_within(GRACE)
        _signal_group(process.pid, signal.SIGKILL)
    charge(_cpu_of(process, report.text))
    if not in_time:
        raise Failed(f"{command[0]} took longer than {seconds:g} s and was killed")
    if report.status != 0:
        raise Failed(f"{command[0]} ended with {_ending(report.status)}")


def _begun(command: Sequence[str], path: str) -> Popen[bytes]:
    import subprocess

    program = shutil.which(command[0])  # a word that the shell knows is not meant
    try:
        if program is None:
            there = os.path.dirname(command[0]) and os.path.exists(command[0])
            raise OSError(errno.EACCES if there else errno.ENOENT, os.strerror(errno.EACCES if there else errno.ENOENT))
        return subprocess.Popen(
            [SHELL, "-c", SCRIPT, "sh", program, *command[1:], path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        name = SHELL if error.filename == SHELL else command[0]
        raise Failed(f"{name} cannot be run: {why(error)}") from None


class _Report:
    """What the shell says. Its end of the pipe is no sign: a child that the program forked at the wrong moment may hold it for as long as it lives."""

    def __init__(self, process: Popen[bytes]) -> None:
        assert process.stdout is not None
        self._pipe = process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self.text = b""

    def comes_within(self, seconds: float) -> bool:
        """Whether it is there, or will never be. Asks again and again: what waits for a pipe is not there in every program (eventlet takes it away)."""
        deadline, delay = time.monotonic() + seconds, 0.0005
        while not self._ends() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(delay, left))
            delay = min(2 * delay, 0.05)
        return self._ends()

    def _ends(self) -> bool:
        if self.text.count(b"\n") >= WHOLE or self._pipe.closed:
            return True
        try:
            more = os.read(self._pipe.fileno(), LARGEST)
        except BlockingIOError:
            return False
        self.text += more
        if not more:
            self._pipe.close()
        return not more or self.text.count(b"\n") >= WHOLE

    @property
    def status(self) -> int | None:
        """None where the shell was killed before it could tell."""
        lines = self.text.split(b"\n")
        return int(lines[WHOLE - 1]) if len(lines) > WHOLE and lines[WHOLE - 1].isdigit() else None


def _cpu_of(process: Popen[bytes], report: bytes) -> float:
    """Seconds of the shell and all that it has waited for. It has ended, or was killed, and waits for nothing that could hang."""
    assert process.stdout is not None
    process.stdout.close()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except ChildProcessError:  # somebody else has reaped it: the shell's own word, in hundredths
        process.returncode = 0
        return sum(60 * int(minutes) + float(f"{int(whole)}.{part.decode()}") for minutes, whole, part in _TIME.findall(report))
    process.returncode = os.waitstatus_to_exitcode(status)  # it is to wait for nobody any more
    return usage.ru_utime + usage.ru_stime


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        pass


def _ending(status: int | None) -> str:
    if status is None:
        return "all that it was started with"
    number = status - 128  # as shells tell it
    return f"signal {number}" if 0 < number < signal.NSIG else f"exit status {status}"
