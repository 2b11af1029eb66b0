# SPDX-License-Identifier: MIT
"""A profile of as many nodes as are wanted, as text that every reader of collapsed stacks takes, ours and others."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

DEPTH = 20
PER_LEVEL = 250  # functions; none stands at two levels, so that nothing is recursive: not every exporter can do that

Stack = tuple[str, ...]


def stacks(nodes: int, seed: int = 1) -> list[tuple[Stack, int]]:
    """Different stacks, outermost first, each with a number of samples, that have about so many nodes between them."""
    chooser = random.Random(seed)
    known: dict[Stack, int] = {}
    recent: deque[Stack] = deque(maxlen=64)
    seen: set[Stack] = set()
    while len(seen) < nodes:
        depth = chooser.randint(2, DEPTH)
        stack: Stack = ("main",)
        if recent:  # branch off one that is there
            other = chooser.choice(recent)
            stack = other[: chooser.randint(1, min(len(other), depth))]
        stack += tuple(f"level{level}_{chooser.randrange(PER_LEVEL)}" for level in range(len(stack), depth))
        recent.append(stack)
        known[stack] = known.get(stack, 0) + chooser.randint(1, 100)
        seen.update(stack[:size] for size in range(1, len(stack) + 1))
    return list(known.items())


def write_collapsed(path: Path, made: list[tuple[Stack, int]]) -> None:
    path.write_text("".join(f"{';'.join(stack)} {count}\n" for stack, count in made))
