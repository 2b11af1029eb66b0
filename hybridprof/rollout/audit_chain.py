# SPDX-License-Identifier: MIT
"""The audit log's records, and whether they are all there as they were written.

A line is one record in the one way there is to write it (sorted keys, no spaces, ASCII), with its number, the hash of the record before it and its own. So a
changed byte, a line too many, too few or elsewhere breaks the chain where it was done. Beside the log, FILE.head has the last record's hash, and the first one's
where old files were dropped: with it, lines that are missing at either end are found too. Whoever can rewrite the log, its head and its program can forge all of them:
against that, keep a hash elsewhere (`--head`).

A write that was cut short leaves a piece of a line. The record that follows it says so, with the piece's hash; such pieces are no break.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GENESIS = "0" * 64  # in place of the hash before the first record
LONGEST_LINE = 64 << 10  # bytes
TORN = "audit.torn"
_KEYS = {"number", "time", "uid", "pid", "via", "what", "old", "new", "until", "previous", "hash"}
_SOMETIMES = {"lost", "modified"}
_ROTATED = re.compile(r"\.(\d{6})$")

Record = dict[str, Any]


def line_of(record: Record) -> bytes:
    """A record with its hash, as its line."""
    body = {**record, "hash": _hash(record)}
    return _canonical(body) + b"\n"


def _canonical(record: Record) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _hash(record: Record) -> str:
    return hashlib.sha256(_canonical({key: value for key, value in record.items() if key != "hash"})).hexdigest()


def record_of(line: bytes) -> Record:
    """Of a whole line. Raises ValueError with what is wrong with it."""
    if not line.endswith(b"\n"):
        raise ValueError("it is cut short" if len(line) <= LONGEST_LINE else f"it is longer than {LONGEST_LINE} bytes")
    try:
        record = json.loads(line)
        if isinstance(record, dict) and record.keys() >= _KEYS and record.keys() <= {*_KEYS, *_SOMETIMES} and line_of(record) == line:
            return record
    except (ValueError, RecursionError, TypeError):
        pass
    raise ValueError("it is no record as it was written")


@dataclass(frozen=True, slots=True)
class Head:
    """What FILE.head knows: the last record, the first one that must still be there, and the hash before that."""

    number: int
    hash: str
    first: int = 1
    before: str = GENESIS


def head_of(raw: bytes) -> Head | None:
    """None where nothing was written yet. Raises ValueError."""
    if not raw.strip():
        return None
    try:
        found = json.loads(raw)
        head = Head(found["number"], found["hash"], found["first"], found["before"])
        if type(head.number) is type(head.first) is int and 1 <= head.first and isinstance(head.hash, str) and isinstance(head.before, str):
            return head
    except (ValueError, RecursionError, TypeError, KeyError):
        pass
    raise ValueError("it is damaged")


def files_of(path: Path) -> list[Path]:
    """The log's files, oldest first: FILE.000001, FILE.000002 ..., FILE."""
    old = sorted(each for each in path.parent.iterdir() if each.name[: -len(".000000")] == path.name and _ROTATED.search(each.name))
    return [*old, *([path] if path.exists() else [])]


def parts_of(path: Path) -> list[Path]:
    """What a reader means by a path: the whole log, or the one old file that is named."""
    return [path] if _ROTATED.search(path.name) else files_of(path)


def lines_of(path: Path) -> Iterator[bytes]:
    """Lines with their ends; of one that is too long, its beginning, and nothing after it."""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE + 1):
            yield line
            if len(line) > LONGEST_LINE:
                return


@dataclass(slots=True)
class Report:
    """broken: one sentence about the first line that is not as it was written, None where all are. notes: what is no break and worth knowing."""

    records: int = 0
    files: int = 0
    first: int = 0
    last: int = 0
    hash: str = GENESIS
    broken: str | None = None
    notes: list[str] = field(default_factory=list)


class Broken(Exception):
    pass


class Verifier:
    """Goes through the lines in order."""

    def __init__(self, head: Head | None, part: bool) -> None:
        self.report = Report()
        self._head, self.part = head, part  # part: of a log whose other files are not at hand
        self._pieces = b""
        self._piece_at = ""
        self._known: set[str] = set()

    def line(self, line: bytes, where: str) -> None:
        """Raises Broken."""
        try:
            record = record_of(line)
        except ValueError as error:
            self._piece_at = self._piece_at or f"{where}: {error}"
            self._pieces += line
            if len(self._pieces) > 4 * LONGEST_LINE:
                raise Broken(self._piece_at) from None
            return
        self._piece(record)
        self._link(record, where)

    def _piece(self, record: Record) -> None:
        if not self._pieces:
            return
        if record["what"] != TORN or record["old"] != hashlib.sha256(self._pieces).hexdigest():
            raise Broken(self._piece_at)
        self.report.notes.append(f"{self._piece_at}, and the record after it says so: a write that did not end")
        self._pieces, self._piece_at = b"", ""

    def _link(self, record: Record, where: str) -> None:
        report = self.report
        number, previous = record["number"], record["previous"]
        if not report.records:
            self._begin(number, previous, where)
        elif number != report.last + 1:
            raise Broken(f"{where}: it is record {number}, and {report.last + 1} should be here")
        elif previous != report.hash:
            raise Broken(f"{where}: it does not follow the record before it, whose hash is {report.hash[:12]}...")
        head = self._head
        if head is not None and number == head.number and record["hash"] != head.hash:
            raise Broken(f"{where}: it is not the record {number} that the head file knows")
        report.records, report.last, report.hash = report.records + 1, number, record["hash"]
        self._known.add(record["hash"])

    def _begin(self, number: int, previous: str, where: str) -> None:
        self.report.first = number
        first, before = (self._head.first, self._head.before) if self._head else (1, GENESIS)
        if self.part:
            return
        if number > first:
            raise Broken(f"{where}: it is record {number}; what was before it, from record {first} on, is missing")
        if (number == first and previous != before) or (number == 1 and previous != GENESIS):
            raise Broken(f"{where}: it does not begin the chain")

    def end(self, known: str | None) -> Report:
        """known: a hash that must be in the chain. Raises Broken."""
        report = self.report
        if self._pieces:
            raise Broken(f"{self._piece_at}; nothing whole is after it: the log was truncated, or a write did not end")
        if self._head is not None and self._head.number > report.last:
            raise Broken(f"truncated: it ends with record {report.last}, and the head file knows of {self._head.number}")
        if known is not None and known not in self._known:
            raise Broken(f"no record has the hash {known}: the log was truncated, or written anew")
        return report


def verified(path: Path, known: str | None = None) -> Report:
    """Raises OSError where there is nothing to read. The caller sees to it that nobody writes meanwhile."""
    files = parts_of(path)
    head_path = path.with_name(path.name + ".head")
    if not files and not head_path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    verifier = Verifier(None, _ROTATED.search(path.name) is not None)
    try:
        verifier = _with_head(verifier, head_path)
        for file in files:
            for number, line in enumerate(lines_of(file), 1):
                verifier.line(line, f"{file}: line {number}")
        verifier.end(known)
    except Broken as error:
        verifier.report.broken = str(error)
    verifier.report.files = len(files)
    return verifier.report


def _with_head(verifier: Verifier, head_path: Path) -> Verifier:
    if verifier.part:
        verifier.report.notes.append("one file of a log: what is before and after it was not looked at")
        return verifier
    try:
        head = head_of(head_path.read_bytes())
    except FileNotFoundError:
        head = None
    except ValueError as error:
        raise Broken(f"{head_path}: {error}") from None
    if head is None:
        verifier.report.notes.append(f"{head_path} is missing: records cut off at the end would not be found")
        return verifier
    return Verifier(head, verifier.part)
