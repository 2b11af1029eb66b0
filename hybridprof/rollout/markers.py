# SPDX-License-Identifier: MIT
"""Markers of lives: whose they are, and whether that process is still there. crash_loop.py says what they are for."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .locks import opened

_LARGEST = 64 << 10  # bytes of a file that can be ours


@dataclass(frozen=True, slots=True)
class Owner:
    boot: str
    pids: str  # the pid namespace
    pid: int
    start: int  # clock ticks since the boot


@dataclass(frozen=True, slots=True)
class Marker:
    owner: Owner
    slot: str
    version: str
    config: str
    stage: str
    kills_of: str = ""  # as memory_kills.counter() and killed() had it when the life began
    killed: int = 0


def read_json(path: Path) -> Any:
    with opened(path, os.O_RDONLY) as file:
        raw = os.read(file, _LARGEST)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError(f"{path.name} is damaged; delete it to forget past crashes") from None


def read_marker(path: Path) -> Marker:
    found = read_json(path)
    try:
        marker = Marker(Owner(**found.pop("owner")), **found)
        if all(type(each) is int for each in (marker.owner.pid, marker.owner.start, marker.killed)) and isinstance(
            marker.version + marker.config + marker.kills_of, str
        ):
            return marker
    except (TypeError, AttributeError, KeyError):
        pass
    raise ValueError(f"{path.name} is damaged; delete it")


def state_of(owner: Owner, path: Path) -> str:
    """alive, dead, mine, or gone with a reboot."""
    this = this_process()
    if owner.boot != this.boot:
        return "rebooted"
    if owner == this:
        return "mine"  # ours, or of what this process was before an exec
    if owner.pids != this.pids:
        return "alive" if _is_locked(path) else "dead"
    try:
        state, start = _stat(owner.pid)
        return "alive" if start == owner.start and state not in "ZX" else "dead"
    except FileNotFoundError:
        return "dead"
    except OSError:
        return "alive"  # somebody else's, hidden from us


def _is_locked(path: Path) -> bool:
    with opened(path, os.O_RDWR) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def _stat(pid: int | str) -> tuple[str, int]:
    """State and start time. Raises FileNotFoundError where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except ProcessLookupError:
        raise FileNotFoundError from None
    return fields[0].decode(), int(fields[19])


def this_boot() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def this_process() -> Owner:
    return Owner(this_boot(), os.readlink("/proc/self/ns/pid"), os.getpid(), _stat("self")[1])
