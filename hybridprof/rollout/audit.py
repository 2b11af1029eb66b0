# SPDX-License-Identifier: MIT
"""The audit log: who changed what, from what to what, until when, by what way. audit_chain.py says why a change of it is found.

Any number of processes and threads write one log: each record is one write() to a file opened with O_APPEND, under a lock (flock) on FILE.head, which is never renamed.
Nothing is kept open between records, so forks change nothing. Files are 0600. With `sync`, which is the default, a record is on the disk (fdatasync) before the head knows of
it and before append() returns: records are rare, and a log that forgets the last change before a power failure is of little use.

A log never harms the program: what cannot be written (full disk, no permission, a lock that is held for more than a second) is counted, `problem` says why in one sentence,
and the next record that can be written says how many are missing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from .audit_chain import GENESIS, LONGEST_LINE, TORN, Head, Record, files_of, head_of, line_of, lines_of, record_of
from .locks import locked, opened, why

LARGEST_FILE = 1 << 20  # bytes; then a new one is begun
KEPT = 20  # files before the current one
LONGEST_VALUE = 16 << 10  # bytes of JSON of an old or new value; of longer ones the beginning is kept, and a hash
_TAIL = 4 * LONGEST_LINE


@dataclass(frozen=True, slots=True)
class Actor:
    """Who: by the credentials of a socket's peer, the owner of a file that this process has read, or this process itself. via: control, file, environment, code, judge, guard ...
    modified: when that file was changed last, seconds since 1970."""

    uid: int
    pid: int
    via: str
    modified: float | None = None

    @staticmethod
    def here(via: str) -> Actor:
        return Actor(os.getuid(), os.getpid(), via)


class Log:
    """One log. `problem`: a sentence for the status while the last record could not be written, else None; `lost`: records that could not since."""

    def __init__(self, path: str | os.PathLike[str], *, largest: int = LARGEST_FILE, kept: int = KEPT, sync: bool = True) -> None:
        self.path = Path(path)
        self.problem: str | None = None
        self.lost = 0
        self._largest, self._kept, self._sync = largest, max(1, kept), sync

    def append(self, what: str, old: object, new: object, actor: Actor, until: float | None = None) -> bool:
        """until: seconds since 1970. Whether it was written. Never raises."""
        try:
            fields = {
                "time": _time(time.time()),
                "uid": int(actor.uid),
                "pid": int(actor.pid),
                "via": str(actor.via)[:100],
                "what": str(what)[:200],
                "old": _value(old),
                "new": _value(new),
                "until": None if until is None else _time(until),
                **({} if actor.modified is None else {"modified": _time(actor.modified)}),
            }
            with locked(_head_path(self.path)) as head:
                self._write(head, fields)
        except Exception as error:
            self.lost += 1
            self.problem = f"{self.path}: the audit log cannot be written: {why(error)}"
            return False
        self.lost, self.problem = 0, None
        return True

    def _write(self, head_file: int, fields: Record) -> None:
        head = head_of(os.pread(head_file, 4096, 0))
        head = self._rotated(head_file, head)
        with opened(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as file:
            number, previous, before = _continued(self.path, file, head)
            lines = []
            if before is not None:
                torn = {**fields, "what": TORN, "old": hashlib.sha256(before).hexdigest(), "new": None, "until": None}
                lines.append(line_of({**torn, "number": number + 1, "previous": previous}))
                number, previous = number + 1, _hash_in(lines[0])
            record = {**fields, "number": number + 1, "previous": previous, **({"lost": self.lost} if self.lost else {})}
            lines.append(line_of(record))
            _write_whole(file, (b"\n" if _ends_open(file) else b"") + b"".join(lines))
            if self._sync:
                os.fdatasync(file)
        first, start = (head.first, head.before) if head else (1, GENESIS)
        _put_head(head_file, Head(number + 1, _hash_in(lines[-1]), first, start))

    def _rotated(self, head_file: int, head: Head | None) -> Head | None:
        """The chain goes on in the next file. Where the oldest files go, the head first notes which record is then the first."""
        try:
            if os.lstat(self.path).st_size < self._largest:
                return head
        except FileNotFoundError:
            return head
        old = [each for each in files_of(self.path) if each != self.path]
        number = int(old[-1].name[-6:]) + 1 if old else 1
        os.rename(self.path, f"{self.path}.{number:06d}")
        old.append(Path(f"{self.path}.{number:06d}"))
        gone, rest = old[: -self._kept], old[-self._kept :]
        if gone and head is not None:
            first = record_of(next(lines_of(rest[0])))
            # The last record stays as it is known: _write puts its own.
            head = Head(head.number, head.hash, first["number"], first["previous"])
            _put_head(head_file, head)
        for each in gone:
            each.unlink(missing_ok=True)
        return head


def _head_path(path: Path) -> Path:
    return path.with_name(path.name + ".head")


def _continued(path: Path, file: int, head: Head | None) -> tuple[int, str, bytes | None]:
    """The last record's number and hash, and what a write that did not end left after it. Where the head knows of a later record than there is, the chain goes
    on from the head: what was cut off must not look as if it had never been."""
    found, rest = _last(_tail(file))
    if found is None and not os.fstat(file).st_size:
        older = [each for each in files_of(path) if each != path]
        found = _last(_tail_of(older[-1]))[0] if older else None
    if found is None or (head is not None and found["number"] < head.number):
        known = (head.number, head.hash) if head is not None else (0, GENESIS)
        return *known, rest if head is None and rest else None
    return found["number"], found["hash"], rest or None


def _last(tail: bytes) -> tuple[Record | None, bytes]:
    """The last whole record, and what is after it."""
    lines = tail.splitlines(keepends=True)
    for index in range(len(lines) - 1, -1, -1):
        with suppress(ValueError):
            rest = b"".join(lines[index + 1 :])
            # As it will stand there: closed by a line end of the next write.
            return record_of(lines[index]), rest if not rest or rest.endswith(b"\n") else rest + b"\n"
    return None, tail if not tail or tail.endswith(b"\n") else tail + b"\n"


def _tail(file: int) -> bytes:
    size = os.fstat(file).st_size
    return os.pread(file, _TAIL, max(0, size - _TAIL))


def _tail_of(path: Path) -> bytes:
    with opened(path, os.O_RDONLY) as file:
        return _tail(file)


def _ends_open(file: int) -> bool:
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"


def _hash_in(line: bytes) -> str:
    return str(json.loads(line)["hash"])


def _write_whole(file: int, text: bytes) -> None:
    if os.write(file, text) != len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _put_head(file: int, head: Head) -> None:
    # In place and of one length: nothing to allocate on a full disk, and no moment in which it is empty.
    os.pwrite(file, json.dumps(asdict(head)).ljust(255).encode() + b"\n", 0)


@contextmanager
def quiet(path: Path) -> Iterator[None]:
    """While nobody writes; where there is no head to lock, as it is."""
    with ExitStack() as stack:
        with suppress(FileNotFoundError):
            stack.enter_context(locked(_head_path(path), os.O_RDONLY, shared=True))
        yield


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _value(value: object) -> object:
    """As JSON has it; what it has not, as text; of what is too long, the beginning and a hash. Never raises."""
    try:
        text = json.dumps(value, allow_nan=False, sort_keys=True)
        value = json.loads(text)
    except Exception:
        value = _text(value)
        text = json.dumps(value)
    if len(text) <= LONGEST_VALUE:
        return value
    return {"beginning": text[:200], "sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text)}


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
