# SPDX-License-Identifier: MIT
"""On which line each key and value of a TOML text stands. tomllib gives values only, so this reads the text again.

The text is known to be valid: tomllib has read it. So it is enough to know where strings, comments and brackets begin and end; what a key
means, tomllib is asked. A path is a tuple of keys and, in arrays, indices: ("deep", "targets", 1).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable

Path = tuple["str | int", ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRINGS = (  # the longest delimiters first; three quotes may follow up to two that belong to the string
    re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL),
    re.compile(r"'''(?:[^']|'(?!''))*'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_BARE = re.compile(r"[^,\]}#\n]*")


def lines_of(text: str) -> dict[Path, int]:
    """{path: line from 1} of every table, key and element of an array. A table that is extended in places stands where it is first named."""
    reader = _Reader(text.replace("\r\n", "\n"))
    reader.document()
    return reader.lines


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line, self._counted = 1, 0  # the line of the character at _counted
        self._arrays: dict[Path, int] = {}  # arrays of tables: the index of the last one
        self.lines: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()

    def _header(self) -> Path:
        """`[table]` or `[[element of an array of tables]]`; returns the path to what follows."""
        line = self._now()
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        path = self._resolved(self._key("]"))
        self._at += brackets
        if brackets == 2:
            self._note(path, line)
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, self._arrays[path])
        self._note(path, line)
        return path

    def _resolved(self, keys: tuple[str, ...]) -> Path:
        """A header's keys are looked up in the last element of each array of tables on their way."""
        path: Path = ()
        for place, key in enumerate(keys):
            path = (*path, key)
            if place < len(keys) - 1:
                self._note(path, self._now())
                if path in self._arrays:
                    path = (*path, self._arrays[path])
        return path

    def _pair(self, table: Path) -> None:
        line = self._now()
        keys = self._key("=")
        self._at += 1
        for end in range(1, len(keys) + 1):
            self._note((*table, *keys[:end]), line)
        self._skip()
        self._value((*table, *keys))

    def _key(self, end: str) -> tuple[str, ...]:
        """The keys up to `end`; tomllib says what they are."""
        began = self._at
        while self._peek() != end:
            string = self._string() if self._peek() in "\"'" else None
            self._at = string or self._at + 1
        value: object = tomllib.loads(self._text[began : self._at] + "= 0")
        keys: list[str] = []
        while isinstance(value, dict):
            ((key, value),) = value.items()
            keys.append(key)
        return tuple(keys)

    def _value(self, path: Path) -> None:
        first = self._peek()
        if first in "\"'":
            self._at = self._string()
        elif first == "[":
            self._elements("]", lambda index: self._element((*path, index)))
        elif first == "{":
            self._elements("}", lambda index: self._pair(path))
        else:
            match = _BARE.match(self._text, self._at)
            assert match is not None  # it matches the empty string too
            self._at = match.end()

    def _element(self, path: Path) -> None:
        self._note(path, self._now())
        self._value(path)

    def _elements(self, end: str, read: Callable[[int], None]) -> None:
        self._at += 1
        self._skip()
        index = 0
        while self._peek() != end:
            read(index)
            index += 1
            self._skip()
            if self._peek() == ",":
                self._at += 1
                self._skip()
        self._at += 1

    def _string(self) -> int:
        """Where the string that begins here ends."""
        for pattern in _STRINGS:
            match = pattern.match(self._text, self._at)
            if match is not None:
                return match.end()
        raise ValueError(f"line {self._now()}: a string has no end")

    def _peek(self) -> str:
        if self._at >= len(self._text):
            raise ValueError(f"line {self._now()}: the text ends in the middle of something")
        return self._text[self._at]

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _now(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)
