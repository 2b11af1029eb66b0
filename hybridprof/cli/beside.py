# SPDX-License-Identifier: MIT
"""Whose file a name leads to when all has ended: two programs may have been given one. What another has written meanwhile is left as it is."""

from __future__ import annotations

import os
import stat
from os import getpid, lstat  # now: the program may change what these names mean

from hybridprof import _core
from hybridprof.profile import Profile

REFUSED = OSError
Identity = tuple[int, int, int]


def identity(path: str) -> Identity | None:
    """Of the file that a name leads to; None where there is none, or what is written to and not replaced: a link, a pipe, a descriptor's name."""
    try:
        found = lstat(path)
    except REFUSED:
        return None
    if not stat.S_ISREG(found.st_mode) or path.startswith(("/dev/", "/proc/")):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def is_anothers(path: str, before: Identity | None, profile: Profile) -> bool:
    """Whether a file is there that was not before, and that this profile's session did not write while it ran."""
    now = identity(path)
    if now is None or now == before:
        return False
    try:
        return all(source["profile_id"] != profile.meta["profile_id"] for source in _core.sources(path))
    except (_core.FormatError, REFUSED):
        return True


def free_name(path: str, format: str) -> str:
    """A name beside it that nobody has, and that tells the same format: x.hyprof, x.PID.hyprof, x.PID.2.hyprof ..."""
    suffixes = next(suffixes for name, suffixes, *_ in _core.formats() if name == format)
    suffix = next((each for each in suffixes if path.endswith(each)), "")
    stem = f"{path.removesuffix(suffix)}.{getpid()}"
    free, number = stem + suffix, 2
    while os.path.lexists(free):
        free, number = f"{stem}.{number}{suffix}", number + 1
    return free
