# SPDX-License-Identifier: MIT
"""A recursive-descent JSON parser over a document of nested orders: many short calls, strings, dictionaries."""

from __future__ import annotations

import json
import re
from typing import Any

NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
SPACE = re.compile(r"[ \t\r\n]*")
CONSTANTS = {"true": True, "false": False, "null": None}


class Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def skip(self) -> str:
        match = SPACE.match(self.text, self.at)
        assert match
        self.at = match.end()
        return self.text[self.at]

    def value(self) -> Any:
        first = self.skip()
        if first == "{":
            return self.mapping()
        if first == "[":
            return self.sequence()
        if first == '"':
            return self.string()
        return self.constant() if first in "tfn" else self.number()

    def string(self) -> str:
        end = self.text.index('"', self.at + 1)
        found = self.text[self.at + 1 : end]
        self.at = end + 1
        return found

    def number(self) -> float:
        match = NUMBER.match(self.text, self.at)
        assert match
        self.at = match.end()
        return float(match.group())

    def constant(self) -> Any:
        for name, value in CONSTANTS.items():
            if self.text.startswith(name, self.at):
                self.at += len(name)
                return value
        raise ValueError(f"no value at {self.at}")

    def sequence(self) -> list[Any]:
        items: list[Any] = []
        self.at += 1
        while self.skip() != "]":
            items.append(self.value())
            if self.skip() == ",":
                self.at += 1
        self.at += 1
        return items

    def mapping(self) -> dict[str, Any]:
        items: dict[str, Any] = {}
        self.at += 1
        while self.skip() != "}":
            key = self.string()
            self.skip()
            self.at += 1
            items[key] = self.value()
            if self.skip() == ",":
                self.at += 1
        self.at += 1
        return items


def document(orders: int) -> str:
    rows = [
        {"id": n, "paid": n % 3 == 0, "note": None, "lines": [{"sku": f"a{n}-{k}", "price": k * 1.5, "tags": ["x", "y"]} for k in range(6)]}
        for n in range(orders)
    ]
    return json.dumps({"orders": rows}, indent=1)


def run(scale: int) -> int:
    text = document(100)
    total = 0
    for _ in range(50 * scale):
        total += len(Parser(text).value()["orders"])
    return total
