# SPDX-License-Identifier: MIT
"""Counts the ways to place queens: deep recursion, small integers, nothing else."""

from __future__ import annotations


def place(columns: int, left: int, right: int, full: int) -> int:
    if columns == full:
        return 1
    ways = 0
    free = full & ~(columns | left | right)
    while free:
        bit = free & -free
        free ^= bit
        ways += place(columns | bit, (left | bit) << 1, (right | bit) >> 1, full)
    return ways


def run(scale: int) -> int:
    total = 0
    for _ in range(30 * scale):
        total += place(0, 0, 0, (1 << 10) - 1) + place(0, 0, 0, (1 << 9) - 1)
    return total
