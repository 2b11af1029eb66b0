# SPDX-License-Identifier: MIT
"""What a client must show of a timeline, from the file by the reader that was written from formats/hyprof/SPEC.md alone: no exporter has a part in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from clients.expected import Function, Held
from unit.test_hyprof_spec import read

UNIT_NS = 50_000


@dataclass(frozen=True)
class Span:
    """What a sample stands for. Without a stack: nothing was sampled."""

    begin_ns: int
    end_ns: int
    stack: tuple[Function, ...]  # from the thread on


def in_time_order(path: Path, functions: Sequence[Function]) -> dict[Function, list[Span]]:
    """By thread; from the session's start on there is no time without a span."""
    record, _ = read(path.read_bytes())
    known = {f"{f.module}|{f.qualname}|{f.name}|{f.file}|{f.line}": f for f in functions}
    stacks: dict[int, tuple[Function, ...]] = {0: ()}

    def stack_of(node: int) -> tuple[Function, ...]:
        if node not in stacks:
            parent, number = record.nodes[node]
            stacks[node] = (*stack_of(parent), known[record.functions[number].partition("|")[2]])
        return stacks[node]

    found: dict[Function, list[Span]] = {}
    for time, node, weight in record.moments or []:
        if weight == 0:
            continue
        stack = stack_of(node)
        spans = found.setdefault(stack[0], [])
        before = spans[-1].end_ns if spans else 0
        begin, end = max((time - weight) * UNIT_NS, before), time * UNIT_NS
        spans += [Span(before, begin, ())] * (before < begin) + [Span(begin, end, stack)]
    return found


def held_in(spans: Sequence[Span], functions: list[Function]) -> Held:
    nodes: list[list[int]] = []
    places: dict[tuple[Function, ...], int] = {(): -1}
    for span in spans:
        for depth, function in enumerate(span.stack):
            upper, lower = span.stack[:depth], span.stack[: depth + 1]
            if lower not in places:
                places[lower] = len(nodes)
                nodes.append([places[upper], functions.index(function), 0, 0])
        if span.stack:
            nodes[places[span.stack]][3] += span.end_ns - span.begin_ns
    return Held(functions, [(parent, function, calls, own) for parent, function, calls, own in nodes])


def merged(spans: Sequence[Span], key_of: Callable[[Span], object]) -> list[list[Span]]:
    """Neighbours of one key together."""
    return [list(group) for _, group in groupby(spans, key=key_of)]


def boxes(spans: Sequence[Span], depth: int) -> list[tuple[int, int, Function | None]]:
    """One row of a flame chart in the order of time: begin, end and function of each box, and of what lies between."""
    row = merged(spans, lambda span: span.stack[: depth + 1] if len(span.stack) > depth else None)
    return [(group[0].begin_ns, group[-1].end_ns, group[0].stack[depth] if len(group[0].stack) > depth else None) for group in row]
