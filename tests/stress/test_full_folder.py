# SPDX-License-Identifier: MIT
"""A real disk that our own old files fill, or others' files: what is new is written where that can be."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hybridprof
from hybridprof.rollout.rotation import Rotation, Settings
from hybridprof.rollout.spool import Limits, name_of

DAY = 86400.0


def filled(path: Path) -> Path:
    """With as much as the disk takes, a week and a day ago."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 1024)
        except OSError:
            pass
    os.utime(path, (time.time() - 8 * DAY,) * 2)
    return path


@pytest.fixture
def rotation(tiny_disk: Callable[[], Path | None]) -> Rotation:
    disk = tiny_disk()
    if disk is None:
        pytest.skip("the system mounts no disk for us")
    folder = disk / "out"
    folder.mkdir(mode=0o700)
    return Rotation(Settings(str(folder), "shop", "web", 60.0, Limits(100, 10**9, 7 * DAY)), period=3600.0)


def test_our_own_old_files_make_room(rotation: Rotation) -> None:
    folder = Path(rotation.settings.folder)
    old = filled(folder / name_of("shop", "web", "0", 1, time.time() - 8 * DAY))
    with hybridprof.Profiler(rate=0, deep=[f"{__name__}:filled"]):
        rotation.cut()
    status = rotation.status()
    assert (status["written"], status["removed"], status["failures"], status["lost"]) == (1, 1, 0, 0), status
    assert not old.exists() and hybridprof.load(rotation.last_file).meta["pid"] == os.getpid()


def test_files_of_others_stay(rotation: Rotation) -> None:
    folder = Path(rotation.settings.folder)
    theirs = filled(folder / name_of("shop", "another-host", "0", 1, time.time() - 8 * DAY))
    with hybridprof.Profiler(rate=0, deep=[f"{__name__}:filled"]):
        rotation.cut()
    assert (rotation.failures, rotation.written, rotation.removed, rotation.status()["waiting"]) == (1, 0, 0, 1)
    assert "No space left on device; 1 wait in memory" in rotation.problem and list(folder.iterdir()) == [theirs]
    theirs.unlink()
    rotation.cut()
    assert rotation.written >= 1 and rotation.problem == ""
