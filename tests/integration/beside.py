# SPDX-License-Identifier: MIT
"""Where the real packages are that programs use beside us (scripts/requirements/neighbours.txt), and which of them have no wheel."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

IS_DEBUG = hasattr(sys, "gettotalrefcount")
# Packages that have no wheel for this interpreter: any other absence is a failure.
WITHOUT_WHEEL = (
    {
        "ddtrace": "ddtrace 4.16.0 has no wheel for CPython 3.15",
        "viztracer": "viztracer 1.1.1 has no wheel for CPython 3.15",
    }
    if sys.version_info >= (3, 15)
    else {}
)


def neighbours(package: str) -> str:
    """The folder that holds the package."""
    if IS_DEBUG:
        pytest.skip(f"{package} has no wheel for a debug build of CPython")
    if package in WITHOUT_WHEEL:
        pytest.skip(WITHOUT_WHEEL[package])
    folder = os.environ.get("HYBRIDPROF_NEIGHBOURS")
    if folder is None and not os.environ.get("CI"):
        pytest.skip("HYBRIDPROF_NEIGHBOURS is not set to the folder that scripts/setup neighbours prints (make test does it)")
    assert folder is not None, "HYBRIDPROF_NEIGHBOURS is not set: the tests beside other tools did not run"
    assert (Path(folder) / package).is_dir(), f"{package} is missing in {folder}; install it with: scripts/setup neighbours"
    return folder
