# SPDX-License-Identifier: MIT
"""The interpreters of this machine: what reads our files may be another one than what wrote them."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
MINORS = range(11, 16)
UNPACKED = ".cache/hybridprof-pythons/*/usr/bin/python3.*"  # below the home folder, where no distribution has them


@cache
def found() -> dict[int, str]:
    """By minor: those that the scripts find, the one that runs the tests, and what was unpacked beside them."""
    script = "source scripts/lib.sh; machine_pythons"
    listed = subprocess.run(["bash", "-c", script], cwd=SOURCE, capture_output=True, text=True, timeout=120, check=True).stdout.split()
    unpacked = [str(path) for path in sorted(Path.home().glob(UNPACKED)) if path.name.removeprefix("python3.").isdigit()]
    by_minor = {int(Path(path).name.removeprefix("python3.")): path for path in [*unpacked, *listed]}
    return by_minor | {sys.version_info[1]: sys.executable}
