# SPDX-License-Identifier: MIT
"""Each allocation of the extension fails once, in a session that uses all of it: a sentence or a smaller profile, never a crash or a hang."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from stress.running import SECONDS, result

pytestmark = pytest.mark.timeout(0)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """LD_PRELOAD's value: see allocations.c."""
    library = tmp_path_factory.mktemp("shim") / "allocations.so"
    source = Path(__file__).with_name("allocations.c")
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


@pytest.mark.parametrize("count", [1, 0], ids=["one", "all-from-there-on"])
def test_every_allocation_fails_once(shim: str, tmp_path: Path, count: int) -> None:
    """Some 1,400 allocations: in the time of a short test every few of them, with HYBRIDPROF_STRESS_SECONDS=30 each."""
    found = result("allocations.py", "sweep", tmp_path, count, SECONDS, "stride" if SECONDS < 20 else "all", env={"LD_PRELOAD": shim})
    print(found)
    assert found["odd"] == [] and found["broken"] == 0
    assert found["most"] > 300 and found["sessions"] >= 20 and found["last"] > found["most"] / 2
    assert sum(found["said"].values()) > found["sessions"] / 10


@pytest.mark.parametrize("count", [1, 0], ids=["one", "all-from-there-on"])
def test_every_page_that_is_asked_for_fails_once(shim: str, tmp_path: Path, count: int) -> None:
    """Tables of more than 128 KiB, exact ones, sampled ones, and those of a profile, are pages of the system, and none of malloc's."""
    found = result("allocations.py", "wide", tmp_path, count, env={"LD_PRELOAD": shim})
    print(found)
    assert found["odd"] == [] and not found["broken"]
    assert found["most"] >= 10 and found["told"] + sum(found["said"].values()) >= 5
