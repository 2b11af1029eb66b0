# SPDX-License-Identifier: MIT
"""Sums JUnit files: `counts.py FILE...` prints `PASSED FAILED SKIPPED`; an error counts as a failure, a file that is damaged as one too."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable


def count(paths: Iterable[str]) -> tuple[int, int, int]:
    """(passed, failed, skipped) over all test suites in the files."""
    passed = failed = skipped = 0
    for path in paths:
        try:
            suites = list(ElementTree.parse(path).getroot().iter("testsuite"))
        except ElementTree.ParseError:
            failed += 1
            continue
        for suite in suites:
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            left_out = int(suite.get("skipped", 0))
            passed += int(suite.get("tests", 0)) - bad - left_out
            failed += bad
            skipped += left_out
    return passed, failed, skipped


if __name__ == "__main__":
    print(*count(sys.argv[1:]))
