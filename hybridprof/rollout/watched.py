# SPDX-License-Identifier: MIT
"""What the file system says of a file: whether it is another than at the last look, and whether a kill file is there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

# A file that was written again within one step of the file system's clock looks the same. So one that is so young is read again at the next look.
YOUNG = 2.0  # seconds
PASSING = {
    errno.EMFILE,
    errno.ENFILE,
    errno.EIO,
    errno.ENOMEM,
    errno.ESTALE,
    errno.ENOBUFS,
}  # reasons why a file cannot be read that are none of the file's


class WatchedFile:
    """`changed()` is true at the first look, and whenever the file may have other content, rights or another owner since the last."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self.path = path
        self._clock = clock
        self._seen: tuple[int, ...] | None = None
        self._since = 0.0  # when it was first seen like this
        self._settled = False  # it was read again when that was a while ago

    def changed(self) -> bool:
        now = self._clock()
        signature = self._signature()
        if signature != self._seen:
            self._seen, self._since, self._settled = signature, now, False
            return True
        if self._settled:
            return False
        self._settled = now - self._since > YOUNG  # then this read is the last one, however rarely anybody looks
        return True

    def may_differ(self) -> bool:
        """Whether `changed` would say so; it still does then."""
        return self._signature() != self._seen or not self._settled

    def not_read(self, error: BaseException) -> None:
        """For want of descriptors or the like it is as good as changed: there will be some again, and the file looks the same."""
        cause = error.__context__ or error
        if isinstance(cause, OSError) and cause.errno in PASSING:
            self._seen = None

    def _signature(self) -> tuple[int, ...]:
        try:
            status = os.stat(self.path)
        except OSError as error:
            return (error.errno or 0,)
        return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_dev, status.st_ino, status.st_mode, status.st_uid)


def presence(path: str) -> str:
    """Why everything stops: a kill file is there, or nobody can tell; "" if it is not there. A link that leads nowhere is there."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        return f"whether kill file {path} exists cannot be told: {getattr(error, 'strerror', None) or error}"
    return f"kill file {path} exists"
