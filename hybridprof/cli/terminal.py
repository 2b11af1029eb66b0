# SPDX-License-Identifier: MIT
"""Where the text goes: how wide it is, whether it shows colours, and characters that do no harm there.

Pipes and files get whole names and no colour: nobody looks at their width, and programs read them.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import unicodedata
from dataclasses import dataclass

STYLES = {"head": "1", "faint": "2", "mixed": "33"}  # bold, faint, yellow
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Terminal:
    """width: columns, None where nothing is ever cut. colour: whether it is wanted."""

    width: int | None = None
    colour: bool = False

    def say(self, text: str, style: str = "") -> None:
        """Prints a line, in characters that standard output can show."""
        line = encodable(visible(text))
        if self.colour and style and line:
            line = f"\x1b[{STYLES[style]}m{line}\x1b[0m"
        print(line)

    def cut(self, text: str) -> str:
        """What fits on one line."""
        return text if self.width is None else ended(visible(text), self.width)

    def wrapped(self, text: str) -> list[str]:
        """Several lines where one is not wide enough; none of nothing."""
        return ([text] if text else []) if self.width is None else textwrap.wrap(visible(text), self.width)


def of_stdout() -> Terminal:
    """As standard output is now."""
    try:
        if not sys.stdout.isatty():
            return Terminal()
    except (AttributeError, ValueError):  # what a program has put there, or closed
        return Terminal()
    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return Terminal(max(20, shutil.get_terminal_size().columns), colour)


def visible(text: str) -> str:
    """A function may be named anything: control characters, and those that change the direction of a line, are written out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode("ascii") for each in text)


def encodable(line: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        line.encode(encoding)
    except UnicodeError:
        line = line.replace("±", "+/-").replace("µ", "u").replace(ELLIPSIS, "~").replace("×", "x")
        line = line.encode(encoding, "backslashreplace").decode(encoding)
    return line


def width(text: str) -> int:
    """Columns: East Asian characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, columns: int, left: bool) -> str:
    space = " " * max(0, columns - width(text))
    return text + space if left else space + text


def ended(text: str, columns: int) -> str:
    """Without its end, where it is too long."""
    return text if width(text) <= columns else _head(text, columns - 1) + ELLIPSIS


def shortened(name: str, columns: int) -> str:
    """Without its middle, where it is too long: `package.….Class.method` as long as whole words fit, else letters. The end says most."""
    if width(name) <= columns:
        return name
    parts = name.split(".")
    for start in range(2, len(parts) + 1):
        ends = [f"{parts[0]}.{ELLIPSIS}.{'.'.join(parts[start:])}"] if start < len(parts) else []
        for short in (*ends, f"{ELLIPSIS}.{'.'.join(parts[start - 1 :])}"):
            if width(short) <= columns:
                return short
    tail = (columns - 1) * 2 // 3
    return _head(name, columns - 1 - tail) + ELLIPSIS + _head(name[::-1], tail)[::-1]


def _head(text: str, columns: int) -> str:
    taken = 0
    for at, each in enumerate(text):
        taken += _columns(each)
        if taken > columns:
            return text[:at]
    return text
