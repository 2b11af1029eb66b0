# SPDX-License-Identifier: MIT
"""A program made up from a seed: `python program.py SEED ROUNDS SLOWER` has five to sixteen functions of the kinds below, of sizes that fall off as they do
in programs, and makes one of them take SLOWER % longer. With ROUNDS 0 it says how many seconds a round takes and which function that is.

The amount of work is fixed, so that a slower function makes the run longer, as in a test suite or a batch job.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from types import FunctionType

STEPS = 360_000  # of a round, all functions together
LARGE, SMALL = 0.45, 0.15  # shares of time between which the slower function lies
Work = Callable[[int], int]


def arithmetic(steps: int) -> int:
    total = 0
    for n in range(steps):
        total += n * n % 7
    return total


def shifts(steps: int) -> int:
    total = 0
    for n in range(steps):
        total ^= n << 3
    return total


def mapping(steps: int) -> int:
    found = {}
    for n in range(steps):
        found[n % 50] = n
    return len(found)


def texts(steps: int) -> int:
    size = 0
    for word in ("a,b,c," * (steps // 3)).split(","):
        size += len(word)
    return size


def branches(steps: int) -> int:
    best = 0
    for n in range(steps):
        best = n if n % 13 > best % 13 else best
    return best


def rendering(steps: int) -> int:
    size = 0
    for n in range(steps):
        size += len(f"{n:x}")
    return size


def filtering(steps: int) -> int:
    kept = []
    for n in range(steps):
        if n % 3:
            kept.append(n)
    return len(kept)


# No code within: its time would be that of another function. What a step takes next to the others, roughly: it only has to be the same in every run.
KINDS: dict[Work, float] = {arithmetic: 1.6, shifts: 1.1, mapping: 1.3, texts: 1.0, branches: 1.1, rendering: 2.4, filtering: 1.4}


def copied(kind: Work, name: str) -> Work:
    """A function of its own with the same body."""
    assert isinstance(kind, FunctionType)
    return FunctionType(kind.__code__.replace(co_name=name, co_qualname=name), globals(), name)


def shares(chooser: random.Random) -> list[float]:
    """Of so many functions: the second half as large as the first or so, and so on; the one that becomes slower is the first in LARGE to SMALL."""
    while True:
        sizes = [1 / (rank + 1) ** chooser.uniform(0.6, 1.4) for rank in range(chooser.randint(5, 16))]
        found = [size / sum(sizes) for size in sizes]
        if any(SMALL <= share <= LARGE for share in found):
            return found


def main(seed: int, rounds: int, slower: float) -> None:
    chooser = random.Random(seed)
    parts = shares(chooser)
    kinds = [chooser.choice(list(KINDS)) for _ in parts]
    functions = [copied(kind, f"part_{number}") for number, kind in enumerate(kinds)]
    chosen = next(at for at, share in enumerate(parts) if SMALL <= share <= LARGE)
    steps = [int(share * STEPS / KINDS[kind]) for share, kind in zip(parts, kinds, strict=True)]
    steps[chosen] = int(steps[chosen] * (1 + slower / 100))
    begun = time.perf_counter()
    for _ in range(rounds or 20):
        for function, count in zip(functions, steps, strict=True):
            function(count)
    if not rounds:
        print((time.perf_counter() - begun) / 20, functions[chosen].__name__)


main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
