# SPDX-License-Identifier: MIT
"""Which command it is. Without one: the drop-in for `python -m cProfile`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import NoReturn

COMMANDS = {
    "run": "run a program under the profiler",
    "report": "print a profile as a table",
    "export": "convert a profile for other programs",
    "diff": "compare two profiles: what changed, and whether it is more than noise",
    "merge": "add profiles up",
    "config": "check a configuration of the rollout, or show what it means here",
    "status": "say what runs in processes that a configuration rules, what it costs, and why",
    "info": "say what a profile holds and how it was measured",
    "ctl": "ask or steer a running process by its control socket",
    "top": "the hottest functions of a running process, live",
    "judge": "compare a canary's figures with those of hosts without the change",
    "audit": "who changed what in a staged rollout, and whether the record of it is whole",
    "selfcheck": "measure on this machine what the profiler promises",
}

USAGE = f"""\
usage: hybridprof COMMAND ...            ({", ".join(COMMANDS)}; each has --help)
       hybridprof [-o FILE] [-s KEY] [-m] script.py|module [args]
                                         as `python -m cProfile`: every call is traced

"""


PIPE_BROKEN = 141  # 128 + SIGPIPE: what a shell shows of `cat` where `head` has read enough


class BadInput(Exception):
    """The user's mistake, as one sentence: what was wrong, and what would be right. Exit status 2."""


class Parser(argparse.ArgumentParser):
    """Says one line about a mistake instead of the whole usage."""

    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (see: {self.prog} --help)")


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0, 1 where a check fails, 2 for bad input. Under `run` the program's own exceptions pass through."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        return _dispatch(arguments)
    except BadInput as mistake:
        complain(str(mistake))
        return 2


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command in ("", "-h", "--help", "--version"):
        return _about(command)
    if command in ("run",) or command not in COMMANDS:
        module = importlib.import_module("hybridprof.cli." + (command if command in COMMANDS else "dropin"))
        status: int = module.main(arguments[1:] if command in COMMANDS else arguments)
        return status
    return _read_only(command, arguments[1:])


def _about(option: str) -> int:
    import hybridprof

    if option == "--version":
        print(f"hybridprof {hybridprof.__version__} on Python {sys.version.split()[0]}")
        return 0
    text = USAGE + "\n".join(f"  {name:<9} {purpose}" for name, purpose in COMMANDS.items())
    if option:
        print(text)
        return 0
    raise BadInput("no program and no command given; for instance: hybridprof run script.py (see: hybridprof --help)")


def _read_only(command: str, arguments: list[str]) -> int:
    """A command that reads profiles: what the file or the system refuses is bad input; where our own reader went away we end as other tools do."""
    module = importlib.import_module(f"hybridprof.cli.{command}")
    if sys.stdout is None:  # closed before we began: `>&-`
        # Like the interpreter's own: nobody closes it, and nobody is told.
        sys.stdout = open(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)  # noqa: SIM115
    try:
        status: int = module.main(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        silence_stdout()
        return PIPE_BROKEN
    except OSError as error:
        raise BadInput(_about_stdout(error) + os_sentence(error)) from None
    except ValueError as error:  # FormatError is one
        raise BadInput(str(error)) from None


def os_sentence(error: OSError) -> str:
    """The core's sentences name the file already."""
    if error.strerror is None or error.filename is None or str(error.filename) in error.strerror:
        return error.strerror or str(error)
    return f"{error.filename}: {error.strerror}"


def _about_stdout(error: OSError) -> str:
    """What the bare words of the system are about, where no file is named. Then the interpreter's own flush at exit must not try again: it has a
    message and an exit status of its own."""
    if error.filename is not None or error.errno is None or error.strerror != os.strerror(error.errno):
        return ""
    silence_stdout()
    return "cannot write to standard output: "


def silence_stdout() -> None:
    """After a broken pipe: the interpreter's own flush at exit must find somewhere to write to."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        sys.stdout = None


def complain(sentence: str) -> None:
    """One line on stderr, if there is still one; what a name holds for terminals to obey is written out."""
    line = "hybridprof: " + " ".join(sentence.split("\n"))
    if not line.isprintable():
        from .terminal import visible

        line = visible(line)
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass
