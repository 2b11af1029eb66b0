# SPDX-License-Identifier: MIT
"""Where the socket and its token lie, and why nobody else can have put them there.

The folder belongs to root or to the process' user and nobody else may write it; the same is asked of every folder above it, where a sticky one
(/tmp) is good enough. So between a look at a name and its use nobody else can put something in its place. The socket's mode is set before it
has a name: at no moment may others connect, whatever the umask. The token is written first, so that who finds the socket finds the token.

What a dead process left is replaced, and what dead processes of the same pattern left is swept: exec, os._exit and deadly signals remove nothing. What an exec left goes when another
process of the pattern sweeps, a minute later at the earliest.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ..trust import distrust_folder, make_folder

LONGEST_PATH = 107  # bytes of a Unix socket's name, as Linux has it
BACKLOG = 16
TOKEN_SUFFIX = ".token"
LEFT_BY_EXEC = 60.0  # seconds: a name that is younger may be one that is being made
SWEPT = 4096  # entries of a folder that one sweep looks at


class PlaceError(Exception):
    """Why there is no socket: one sentence."""


@dataclass(frozen=True, slots=True)
class Place:
    """A socket that listens under its name. identity: device and inode of the name, to know it again."""

    path: str
    token: str
    listener: socket.socket
    identity: tuple[int, int]

    def is_there(self) -> bool:
        """Whether the name still leads here: cleaners of /tmp and /run know no better."""
        try:
            return _identity(self.path) == self.identity and os.path.exists(self.path + TOKEN_SUFFIX)
        except OSError:
            return False

    def remove(self) -> None:
        """Closes, and takes the names away if they are still ours. Never raises."""
        self.listener.close()
        with suppress(OSError):
            if _identity(self.path) == self.identity:
                os.unlink(self.path + TOKEN_SUFFIX)
                os.unlink(self.path)


def open_place(path: str) -> Place:
    """In the folder that `path` leads to now: what is checked is what is used, whatever becomes of links on the way. Raises PlaceError."""
    folder = os.path.realpath(os.path.dirname(path))
    real = os.path.join(folder, os.path.basename(path))
    if len(os.fsencode(real)) > LONGEST_PATH:
        raise PlaceError(f"control.socket {real} has {len(os.fsencode(real))} bytes, and a socket's name at most {LONGEST_PATH}")
    try:
        _check_folder(folder)
        with _folder_lock(folder):
            _clear(real)
            return _made(real)
    except OSError as error:
        raise PlaceError(f"control.socket {path} cannot be made: {error.strerror or error}") from None


def sweep(pattern: str) -> None:
    """Removes what dead processes left under names of this pattern. Never raises: it is a favour."""
    folder, name = os.path.split(pattern)
    if "%p" not in name or "%p" in folder:
        return
    folder = os.path.realpath(folder)
    ours = re.compile(re.escape(name).replace("%p", r"([1-9][0-9]{0,9})") + f"(?:{re.escape(TOKEN_SUFFIX)})?")
    try:
        with _folder_lock(folder), os.scandir(folder) as entries:
            heard = _listeners()
            for entry, _ in zip(entries, range(SWEPT), strict=False):
                match = ours.fullmatch(entry.name)
                path = "" if match is None else os.path.join(folder, name.replace("%p", match[1]))
                if match is not None and (not os.path.exists(f"/proc/{match[1]}") or _is_left_by_exec(path, heard)):
                    _remove_dead(path)
    except OSError:
        pass


def _listeners() -> frozenset[str] | None:
    """Names of the Unix sockets of this network namespace, as the kernel lists them: nobody is called for that. None where it does not say."""
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as file:
            return frozenset(line.split(None, 7)[-1].rstrip("\n") for line in file)
    except OSError:
        return None


def _is_left_by_exec(path: str, heard: frozenset[str] | None) -> bool:
    """Its process lives, and is another program by now, in which nobody listens. Whoever listens in another namespace still answers when it is to be removed."""
    with suppress(OSError):
        status = os.lstat(path)
        return heard is not None and _is_ours(status) and path not in heard and time.time() - status.st_mtime > LEFT_BY_EXEC
    return False


def _remove_dead(path: str) -> None:
    """The process has no entry in our /proc; in a container that shares the folder it may live all the same, and then it answers."""
    with suppress(OSError):
        if os.path.lexists(path) and (not _is_ours(os.lstat(path)) or _answers(path)):
            return
        for name in (path + TOKEN_SUFFIX, path):
            with suppress(FileNotFoundError):
                os.unlink(name)


def _check_folder(folder: str) -> None:
    make_folder(folder)  # the last one alone: /run/hybridprof is gone after each boot
    user = os.geteuid()
    here, above = folder, False
    while True:
        complaint = distrust_folder(os.lstat(here), user, by_group=False, sticky=above)
        if complaint:
            raise PlaceError(f"control.socket needs a folder that nobody else can change, and {here} {complaint}")
        if here == os.path.dirname(here):
            return
        here, above = os.path.dirname(here), True


@contextmanager
def _folder_lock(folder: str) -> Iterator[None]:
    """Two processes that replace one dead socket at once would remove each other's new one. Who may read the folder could hold the lock for ever:
    so nobody waits for it, and without it only that race is left, which a %p in the name excludes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _clear(path: str) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not _is_ours(status):
        raise PlaceError(f"control.socket {path} exists and is no socket of this user; remove it, or name another one")
    if _answers(path):
        raise PlaceError(f"control.socket {path} is another process'; write %p, which stands for the pid, into its name")
    os.unlink(path)


def _is_ours(status: os.stat_result) -> bool:
    return stat.S_ISSOCK(status.st_mode) and status.st_uid in (0, os.geteuid())


def _answers(path: str) -> bool:
    """Whether somebody listens. A full queue is somebody too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True
        return True


def _made(path: str) -> Place:
    token = os.urandom(32).hex()
    _write_token(path + TOKEN_SUFFIX, token)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(path)
        os.chmod(path, 0o600)  # a umask may have left less
        listener.listen(BACKLOG)
        listener.setblocking(False)
        return Place(path, token, listener, _identity(path))
    except BaseException:
        listener.close()
        with suppress(OSError):
            os.unlink(path + TOKEN_SUFFIX)
        raise


def _write_token(path: str, token: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, token.encode("ascii") + b"\n")
    finally:
        os.close(descriptor)


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
