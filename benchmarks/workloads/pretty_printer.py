# SPDX-License-Identifier: MIT
"""The standard library's pprint over nested data: recursion through C code (sorted, repr) and back."""

from __future__ import annotations

import pprint
from typing import Any


def nested(depth: int, width: int) -> Any:
    if depth == 0:
        return {"name": "leaf", "values": list(range(width))}
    return {f"key {number}": [nested(depth - 1, width), (depth, "text " * number)] for number in range(width)}


def run(scale: int) -> int:
    data = nested(3, 4)
    size = 0
    for _ in range(70 * scale):
        size += len(pprint.pformat(data, width=60))
    return size
