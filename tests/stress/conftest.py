# SPDX-License-Identifier: MIT
"""What needs the system's help: a small disk, a library to preload."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TINY_DISK = b"size=64k"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Callable[[], Path | None]]:
    """Mounts a tmpfs of 64 KiB; None where the system refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "disk"
    mounted: list[Path] = []

    def mount() -> Path | None:
        folder.mkdir()
        if libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, TINY_DISK) != 0:
            return None
        mounted.append(folder)
        return folder

    yield mount
    for place in mounted:
        libc.umount2(os.fsencode(place), 0)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """LD_PRELOAD's value: see shim.c."""
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)
