# SPDX-License-Identifier: MIT
"""The standard library's TOML parser, which is pure Python, over a long configuration file."""

from __future__ import annotations

import tomllib


def document(sections: int) -> str:
    lines = ['title = "generated"', "started = 2026-01-01T08:00:00Z"]
    for number in range(sections):
        lines += [
            f"[service.s{number}]",
            f"port = {8000 + number}",
            f"ratio = {number / 7:.4f}",
            f'hosts = ["a{number}.example.org", "b{number}.example.org"]',
            "enabled = true",
            f'limits = {{ cpu = {number % 8}, memory = "{number}M" }}',
            f"[[job]]\nname = 'job {number}'\nat = 07:30:00",
        ]
    return "\n".join(lines) + "\n"


def run(scale: int) -> int:
    text = document(60)
    total = 0
    for _ in range(115 * scale):
        parsed = tomllib.loads(text)
        total += len(parsed["service"]) + len(parsed["job"])
    return total
