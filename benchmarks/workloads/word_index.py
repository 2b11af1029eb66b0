# SPDX-License-Identifier: MIT
"""Tokenizes text with a hand-written lexer and builds an index with stems: character loops, dictionaries, sorting with a key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

TEXT = (
    "Profilers watch programs while programs are running, counting calls and measuring times; measured times carry errors, "
    "counted calls carry none. A hybrid watches everything lightly and counts what was asked for exactly. "
)
ENDINGS = ("ing", "ed", "es", "s", "ly")


def words(text: str) -> Iterator[tuple[int, str]]:
    start = -1
    for at, character in enumerate(text):
        if character.isalpha():
            if start < 0:
                start = at
        elif start >= 0:
            yield start, text[start:at]
            start = -1


def stem(word: str) -> str:
    word = word.lower()
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word[: -len(ending)]
    return word


class Index:
    def __init__(self) -> None:
        self.places: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        for at, word in words(text):
            self.places[stem(word)].append(at)

    def ranked(self) -> list[str]:
        return sorted(self.places, key=self.rank)

    def rank(self, word: str) -> tuple[int, str]:
        return -len(self.places[word]), word


def run(scale: int) -> int:
    index = Index()
    for _ in range(3500 * scale):
        index.add(TEXT * 3)
        index.ranked()
    return sum(map(len, index.places.values()))
