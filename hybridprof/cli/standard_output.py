# SPDX-License-Identifier: MIT
"""`-o -`: a profile on standard output, and nothing else there.

A program that is profiled has a standard output of its own, and one stream cannot carry both: a byte of the program's in the midst of a
profile destroys it, and text in front of collapsed stacks reads as a stack. So while such a program runs what it writes there goes to
standard error, its children's too, and the profile follows alone when all has ended.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from hybridprof import _core
from hybridprof.profile import Profile

from .main import BadInput

NAME = "-"
OURS = 200  # descriptors from here on, where the limit allows: the program's own files get the numbers that they always get


def check(format: str | None) -> str:
    """The format. Raises BadInput where there is none, or where nobody could want it."""
    if format is None:
        raise BadInput("no format given for standard output; use -f FORMAT, or -o OUT with a name that tells it")
    if sys.__stdout__ is None:  # closed before we began: `>&-`
        raise BadInput("cannot write to standard output: it is closed; use -o OUT with the name of a file")
    if os.isatty(1) and not any(each.is_text for each in _core.formats() if each.name == format):
        raise BadInput(f"{format} is binary and standard output is a terminal; use -o OUT")
    return format


def write(profile: Profile, format: str) -> None:
    """For a command that does nothing else there. Raises BadInput for what the system refuses, BrokenPipeError where nobody reads any more.

    Past sys.stdout: what a failed write leaves in its buffer the interpreter would try again at exit, with a message and a status of its own."""
    try:
        profile.write_to(1, format)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BadInput(f"cannot write to standard output: {error.strerror}") from None


class Diversion:
    """From here on what this process writes to standard output goes to standard error."""

    def __init__(self) -> None:
        import fcntl
        import signal

        # Now: later the program may have changed what these names mean.
        self._ignore_broken_pipes: Callable[[], object] = lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._close = os.close
        try:
            self._kept = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, OURS)
        except OSError:
            self._kept = os.dup(1)
        try:
            os.dup2(2, 1)
        except OSError:  # standard error is closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def write(self, profile: Profile, format: str) -> None:
        """To where standard output led, and no more after it. Raises OSError: the program may have asked to die of a broken pipe, and its exit
        status is to stand."""
        self._ignore_broken_pipes()
        profile.write_to(self._kept, format)
        self._close(self._kept)

    def undo(self) -> None:
        """As if it had never been."""
        os.dup2(self._kept, 1)
        os.close(self._kept)
