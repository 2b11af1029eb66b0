# SPDX-License-Identifier: MIT
"""The calling-context tree in a terminal: the costliest branch first, what is too small to matter counted together."""

from __future__ import annotations

from hybridprof.profile import Node

from . import table

SMALLEST = 0.005  # of the thread's time: smaller branches are left out


def show(root: Node, limit: int | None) -> None:
    """Prints each thread's tree, `limit` lines of each."""
    for thread in root.children:
        lines: list[tuple[Node, int]] = []
        _collect(thread, lines, limit)
        texts = [
            [table.duration(node.total_ns), table.duration(node.self_ns), _calls(node), "  " * depth + _label(node)]
            for node, depth in lines
        ]
        for line in table.columns([["total", "self", "calls", "function"], *texts], left={3}):
            table.say(line)
        table.say("")


def _collect(thread: Node, lines: list[tuple[Node, int]], limit: int | None) -> None:
    smallest = thread.total_ns * SMALLEST if limit is not None else 0
    pending = [(thread, 0)]
    while pending and (limit is None or len(lines) < limit):
        node, depth = pending.pop()
        lines.append((node, depth))
        for child in sorted(node.children, key=lambda child: child.total_ns):
            if child.total_ns >= smallest:
                pending.append((child, depth + 1))


def _calls(node: Node) -> str:
    return "-" if node.calls is None else f"{node.calls:,}"


def _label(node: Node) -> str:
    return "" if node.function is None else table.title(node.function)
