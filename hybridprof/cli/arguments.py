# SPDX-License-Identifier: MIT
"""Our options end where the program begins: what follows its name is the program's, whatever it looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .main import BadInput


@dataclass(frozen=True, slots=True)
class Target:
    """The program to run. name: a script's path, a module or the code itself; arguments: its own."""

    kind: Literal["script", "module", "code"]
    name: str
    arguments: list[str]


def split(arguments: list[str], valued: set[str], usage: str) -> tuple[list[str], Target]:
    """Our options, and the program. valued: our options that take a value, by all their names."""
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        if argument == "--":
            return arguments[:at], _script(arguments[at + 1 :], usage)
        if argument == "-" or not argument.startswith("-"):
            return arguments[:at], _script(arguments[at:], usage)
        if argument in ("-h", "--help"):
            return ["--help"], Target("script", "", [])
        if argument.startswith("--"):
            at += 2 if argument in valued else 1
            continue
        letters = argument[1:]
        for place, letter in enumerate(letters):
            rest = letters[place + 1 :]
            if letter in "mc":
                ours = arguments[:at] + (["-" + letters[:place]] if place else [])
                return ours, _named("module" if letter == "m" else "code", ([rest] if rest else []) + arguments[at + 1 :], usage)
            if "-" + letter in valued:
                at += 0 if rest else 1
                break
        at += 1
    return arguments, _script([], usage)


def _script(rest: list[str], usage: str) -> Target:
    if not rest:
        raise BadInput(f"no program given; {usage}")
    return Target("script", rest[0], rest[1:])


def _named(kind: Literal["module", "code"], rest: list[str], usage: str) -> Target:
    if not rest:
        raise BadInput(f"-{kind[0]} needs {'the name of a module' if kind == 'module' else 'code to run'}; {usage}")
    return Target(kind, rest[0], rest[1:])
