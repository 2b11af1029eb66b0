# SPDX-License-Identifier: MIT
"""The other end of a control socket: found by pid or by name, spoken to by HTTP. Every failure is one sentence.

The token is sent to nobody but the process that can have written it: the peer is who owns the token's file, or root.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from hybridprof.rollout.control.peers import peer_of

from .main import BadInput, complain

PATIENCE = 60.0  # seconds for an answer: a busy program encodes a large profile
LONGEST_WAIT = 600.0  # seconds between two tries, whatever the process says
PIECE = 64 << 10
TOKEN_SUFFIX = ".token"
LONGEST_TOKEN = 256
LISTENS = 0x10000  # of /proc/net/unix: __SO_ACCEPTCON
HOW = "a socket is named by [control] socket of its configuration, HYBRIDPROF_CONTROL_SOCKET or hybridprof.configure(socket=...)"


class Gone(BadInput):
    """Nobody answers any more."""


class Later(BadInput):
    """It would answer in so many seconds."""

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence)
        self.seconds = seconds


def socket_path(target: str) -> str:
    """PID or SOCKET -> the path. Raises BadInput."""
    return _socket_of(target) if target.isdecimal() and target.isascii() else target


def _socket_of(pid: str) -> str:
    try:
        mine = _open_sockets(pid)
        with open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        raise Gone(f"there is no process {pid}") from None
    except PermissionError:
        raise BadInput(f"process {pid} is another user's; only that user and root may control it") from None
    except OSError as error:
        raise BadInput(f"process {pid} cannot be looked at: {error.strerror}") from None
    listening = [fields[7] for fields in (line.split(None, 7) for line in lines) if len(fields) == 8 and _listens(fields, mine)]
    # In a container its paths are others than ours.
    paths = [seen for path in listening for seen in (path, f"/proc/{pid}/root{path}") if os.path.lexists(seen + TOKEN_SUFFIX)]
    if not paths:
        raise BadInput(f"process {pid} has no control socket; {HOW}")
    return paths[0]


def _listens(fields: list[str], mine: set[str]) -> bool:
    return fields[6] in mine and bool(int(fields[3], 16) & LISTENS) and fields[7].startswith("/")


def _open_sockets(pid: str) -> set[str]:
    """Their inodes, as text."""
    folder = f"/proc/{pid}/fd"
    found = set()
    for name in os.listdir(folder):
        try:
            link = os.readlink(f"{folder}/{name}")
        except OSError:  # closed meanwhile
            continue
        if link.startswith("socket:["):
            found.add(link[8:-1])
    return found


class Client:
    """One process. Each call is a connection of its own."""

    def __init__(self, target: str) -> None:
        self.path = socket_path(target)
        self._has_waited = False

    def ask(self, path: str, **query: str) -> bytes:
        """GET. Raises BadInput with the process' own sentence where it refuses, Gone where nobody is there."""
        return b"".join(self.pieces(path, **query))

    def pieces(self, path: str, **query: str) -> Iterator[bytes]:
        """GET, piece by piece: the last may be missing where it raises."""
        return self._exchanged("GET", path + ("?" + urlencode(query) if query else ""), None)

    def snapshot(self, name: str) -> Iterator[bytes]:
        """In this format, piece by piece. Waits for as long as the process says, and says so once."""
        while True:
            try:
                yield from self.pieces("/snapshot", format=name)
                return
            except Later as later:  # nothing has come yet
                if not self._has_waited:
                    complain(f"{later}; waiting")
                self._has_waited = True
                time.sleep(later.seconds)

    def change(self, path: str, fields: dict[str, object]) -> dict[str, Any]:
        """POST. What is so now."""
        answer: dict[str, Any] = json.loads(b"".join(self._exchanged("POST", path, json.dumps(fields).encode())))
        return answer

    def _exchanged(self, method: str, path: str, body: bytes | None) -> Iterator[bytes]:
        connection = _Connection(self.path)
        try:
            answer = _answered(connection, method, path, body)
            if answer.status == 429:
                raise Later(_refusal(answer), _seconds(answer.getheader("Retry-After")))
            if answer.status != 200:
                raise BadInput(_refusal(answer))
            while True:
                with _sentences(self.path):
                    piece = answer.read(PIECE)
                if not piece:
                    return
                yield piece
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def _answered(connection: _Connection, method: str, path: str, body: bytes | None) -> http.client.HTTPResponse:
    with _sentences(connection.path):
        connection.connect()
        token = _token(connection.path + TOKEN_SUFFIX, connection.sock)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {token}"})
        except BrokenPipeError:  # it has refused before it had read all: why, stands in the answer
            pass
        return connection.getresponse()


@contextmanager
def _sentences(path: str) -> Iterator[None]:
    """What goes wrong between us and the process, as BadInput."""
    try:
        yield
    except TimeoutError:
        raise BadInput(f"{path}: no answer for {PATIENCE:g} s") from None
    except ConnectionError as error:
        raise _unreachable(path, error) from None
    except (http.client.HTTPException, ValueError) as error:
        raise Gone(f"{path}: the answer broke off, or is none of hybridprof's ({type(error).__name__}: {error})") from None
    except OSError as error:
        raise _unreachable(path, error) from None


def _token(path: str, channel: socket.socket) -> str:
    peer = peer_of(channel)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise BadInput(f"there is no token {path}: what listens at {path.removesuffix(TOKEN_SUFFIX)} is no control socket") from None
    except OSError as error:
        raise BadInput(f"token {path} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid not in (peer.uid, 0):
            raise BadInput(f"{path} is no token of the process that listens (uid {peer.uid}): it must be its own file, with mode 0600")
        return os.read(descriptor, LONGEST_TOKEN).decode("ascii").strip()
    finally:
        os.close(descriptor)


def _refusal(answer: http.client.HTTPResponse) -> str:
    raw = answer.read(1 << 16)
    try:
        return str(json.loads(raw)["error"])
    except (ValueError, KeyError, TypeError):
        return f"the process answered {answer.status} {answer.reason}"


def _seconds(given: str | None) -> float:
    """1 where it is no number: an answer of others."""
    return max(1.0, min(LONGEST_WAIT, float(given))) if given and given.isdecimal() and given.isascii() else 1.0


def _unreachable(path: str, error: OSError) -> BadInput:
    if isinstance(error, ConnectionRefusedError):
        return Gone(f"nobody answers at {path}: the process that made it has ended")
    if isinstance(error, BlockingIOError):
        return BadInput(f"{path}: too many clients wait there already; try again")
    if isinstance(error, FileNotFoundError):
        return Gone(f"there is no socket {path}; {HOW}")
    if isinstance(error, PermissionError):
        return BadInput(f"{path}: {error.strerror}; only root and the user of the process may control it")
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return Gone(f"{path}: the process closed the connection")
    return BadInput(f"{path}: {error.strerror or error}")
