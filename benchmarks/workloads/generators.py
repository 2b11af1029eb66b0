# SPDX-License-Identifier: MIT
"""A pipeline of generators over log lines: suspended frames, yield from, many resumes per result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator


def lines(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"{number} GET /path/{number % 17}/item?id={number % 101} {200 if number % 9 else 500} {number % 977}"


def fields(source: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    for line in source:
        _, _, path, status, size = line.split()
        yield path.partition("?")[0], int(status), int(size)


def only_good(source: Iterable[tuple[str, int, int]]) -> Iterator[tuple[str, int]]:
    for path, status, size in source:
        if status < 400:
            yield path, size


def batches(source: Iterable[tuple[str, int]], length: int) -> Iterator[list[tuple[str, int]]]:
    batch: list[tuple[str, int]] = []
    for item in source:
        batch.append(item)
        if len(batch) == length:
            yield batch
            batch = []
    yield batch


def flattened(source: Iterable[list[tuple[str, int]]]) -> Iterator[tuple[str, int]]:
    for batch in source:
        yield from sorted(batch)


def run(scale: int) -> int:
    sizes: Counter[str] = Counter()
    for path, size in flattened(batches(only_good(fields(lines(260_000 * scale))), 64)):
        sizes[path] += size
    return sum(sizes.values())
