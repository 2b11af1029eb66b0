# SPDX-License-Identifier: MIT
"""Some seconds of work spread over eight functions; `python program.py SECONDS SLOWER` makes the largest take SLOWER % longer.

The amount of work is fixed, so that a slower function makes the run longer, as in a test suite or a batch job.
"""

from __future__ import annotations

import sys

SHARES = {"price": 40, "tax": 18, "stock": 12, "parse": 10, "route": 8, "render": 6, "log": 4, "check": 2}
ROUNDS_PER_SECOND = 60  # of all eight, on the machine that this was written on: only the order of size matters
STEPS = 360_000  # of a round


def price(steps: int) -> int:
    total = 0
    for n in range(steps):
        total += n * n % 7
    return total


def tax(steps: int) -> int:
    total = 0
    for n in range(steps):
        total ^= n << 3
    return total


def stock(steps: int) -> int:
    found = {n % 50: n for n in range(steps)}
    return len(found)


def parse(steps: int) -> int:
    return sum(len(word) for word in ("a,b,c," * (steps // 4)).split(","))


def route(steps: int) -> int:
    best = 0
    for n in range(steps):
        best = n if n % 13 > best % 13 else best
    return best


def render(steps: int) -> int:
    return len("".join([f"{n:x}" for n in range(steps // 3)]))


def log(steps: int) -> int:
    return len([n for n in range(steps) if n % 3])


def check(steps: int) -> int:
    return int(all(n >= 0 for n in range(steps)))


def main(seconds: float, slower: float) -> None:
    functions = {each.__name__: each for each in (price, tax, stock, parse, route, render, log, check)}
    for _ in range(int(seconds * ROUNDS_PER_SECOND)):
        for name, share in SHARES.items():
            functions[name](int(share * STEPS / 100 * (1 + slower / 100 if name == "price" else 1)))


main(float(sys.argv[1]), float(sys.argv[2]))
