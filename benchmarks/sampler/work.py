# SPDX-License-Identifier: MIT
"""Work for a busy thread. Imports nothing, so that any profiler's environment can run it."""

from __future__ import annotations


def work(rounds: int) -> int:
    """Calls, attributes, lists and numbers, some 20 ms for 1,000 rounds."""
    total = 0
    for number in range(rounds):
        parts = [str(part) for part in range(number % 40)]
        total += len("".join(parts)) + sum(map(len, parts))
    return total
