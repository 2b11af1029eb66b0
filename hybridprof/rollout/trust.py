# SPDX-License-Identifier: MIT
"""Whose files and folders are believed, and how one is made: those that nobody but root and the process' own user can change. Each answer is the end of a sentence, "" where nothing speaks against it."""

from __future__ import annotations

import contextlib
import os
import stat


def make_folder(folder: str | os.PathLike[str]) -> None:
    """For this user alone, where it is missing. Workers that begin or end together may make it together. Raises OSError; its parent must be there."""
    if not os.path.exists(folder):
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)


def distrust_file(status: os.stat_result, user: int) -> str:
    return "is no regular file" if not stat.S_ISREG(status.st_mode) else _distrust(status, user, by_group=False)


def distrust_folder(status: os.stat_result, user: int, *, by_group: bool = True, sticky: bool = False) -> str:
    """by_group: its group may write to it. sticky: so may everybody, where nobody can change what is others', as in /tmp: enough for what lies in a folder beneath it."""
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder"
    if sticky and status.st_mode & stat.S_ISVTX:
        return _foreign(status, user)
    return _distrust(status, user, by_group)


def _foreign(status: os.stat_result, user: int) -> str:
    if status.st_uid in (0, user):
        return ""
    return f"belongs to user {status.st_uid}; it must belong to root or to the process' own user ({user})"


def _distrust(status: os.stat_result, user: int, by_group: bool) -> str:
    if status.st_uid not in (0, user):
        return _foreign(status, user)
    if status.st_mode & stat.S_IWOTH:
        return f"is writable by everybody (mode {stat.S_IMODE(status.st_mode):04o}); chmod go-w it"
    if status.st_mode & stat.S_IWGRP and not by_group:
        return f"is writable by its group (mode {stat.S_IMODE(status.st_mode):04o}); chmod go-w it"
    return ""
