# SPDX-License-Identifier: MIT
"""The sums that CI reports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "counts.py"


def counts(*paths: Path) -> str:
    return subprocess.run([sys.executable, SCRIPT, *paths], check=True, capture_output=True, text=True).stdout.strip()


def test_sums_both_shapes_of_report(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        '<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1"/><testsuite tests="2"/></testsuites>'
    )
    (tmp_path / "b.xml").write_text('<testsuite tests="8" failures="0" errors="0" skipped="3"/>')
    assert counts(tmp_path / "a.xml", tmp_path / "b.xml") == "9 2 4"


def test_a_report_cut_short_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<testsuite tests="8"')
    assert counts(tmp_path / "a.xml") == "0 1 0"
