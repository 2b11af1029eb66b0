# SPDX-License-Identifier: MIT
"""Files that several processes share, opened so that nobody can make us hang or write elsewhere."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 1.0  # seconds that anybody waits for a lock


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """A regular file: no link that somebody put there, no pipe that would hang. New ones are 0600."""
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        yield file
    finally:
        os.close(file)


@contextmanager
def locked(path: Path, flags: int = os.O_RDWR | os.O_CREAT, *, shared: bool = False) -> Iterator[int]:
    """The open file, under flock: between threads of one process too, since each opens it for itself. Raises OSError where it is held for too long."""
    with opened(path, flags) as file:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise OSError(errno.EAGAIN, f"its lock was held for more than {PATIENCE:g} s") from None
                time.sleep(0.002)
        yield file


def why(error: Exception) -> str:
    """In a sentence."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
