# SPDX-License-Identifier: MIT
"""Counts of calls, of primitive calls and of callers, next to an oracle's: of the whole program traced, and beneath a target."""

from __future__ import annotations

import gc
from collections import Counter
from types import CodeType
from typing import Any

import hybridprof

from . import intervals, oracle
from .programs import file_name, load
from .results import Found, Raw

FILE = file_name("odd_calls")


def counts_of(profile: hybridprof.Profile) -> oracle.Counts:
    """What the profile says, in the oracle's terms."""
    counts = oracle.Counts()
    for row in profile.functions:
        if row.file == FILE and row.calls:
            counts.calls[row.name, row.line] += row.calls
            counts.primitive_calls[row.name, row.line] += row.primitive_calls or 0
    for edge in profile.edges:
        if edge.callee.file == FILE and edge.calls:
            inside = edge.caller is not None and edge.caller.file == FILE
            caller = (edge.caller.name, edge.caller.line) if inside and edge.caller else None
            counts.edges[caller, (edge.callee.name, edge.callee.line)] += edge.calls
    return counts


def differences(said: oracle.Counts, true: oracle.Counts) -> list[str]:
    """A sentence for each count that differs."""
    found = []
    for what in ("calls", "primitive_calls", "edges"):
        ours: Counter[Any] = getattr(said, what)
        theirs: Counter[Any] = getattr(true, what)
        for key in sorted({*ours, *theirs}, key=repr):
            if ours[key] != theirs[key]:
                found.append(f"{what.replace('_', ' ')} of {_words(key)}: {ours[key]}, truly {theirs[key]}")
    return found


def _words(key: Any) -> str:
    if isinstance(key[0], str):
        return f"{key[0]} (line {key[1]})"
    caller, callee = key
    return f"{_words(callee)} from {'outside' if caller is None else _words(caller)}"


def _warm(program: Any) -> None:
    for _ in range(2):  # caches fill, classes and modules of the library are made
        program.run()
    gc.collect()


def _whole(program: Any) -> tuple[oracle.Counts, oracle.Counts]:
    true = oracle.counted(program.run, FILE)
    with hybridprof.Profiler(rate=0, deep=["*"]) as profiler:
        program.run()
    return counts_of(profiler.profile), true


def _beneath(program: Any) -> tuple[oracle.Counts, oracle.Counts]:
    code: CodeType = program.target.__code__
    true = oracle.counted(lambda: [program.target() for _ in range(3)], FILE, code)
    target = hybridprof.deep(program.target)
    with hybridprof.Profiler(rate=0) as profiler:
        for _ in range(3):
            target()
    return counts_of(profiler.profile), true


def compared(_seconds: float) -> Raw:
    """Both comparisons, once: counts are the same in every run."""
    raw: Raw = {"differences": [], "compared": 0, "calls": 0}
    gc.disable()  # finalisers run where they are, not where the collector happens to come
    for side in (_whole, _beneath):
        program = load("odd_calls")
        _warm(program)
        said, true = side(program)
        raw["differences"] += differences(said, true)
        raw["compared"] += len(true.calls) + len(true.primitive_calls) + len(true.edges)
        raw["calls"] += true.calls.total()
    gc.enable()
    return raw


def judge(raws: list[Raw]) -> dict[str, Found]:
    """How many differ. Not a number where the oracle saw nothing."""
    (raw,) = raws
    found = float(len(raw["differences"])) if raw["compared"] else float("nan")
    details = {"compared": raw["compared"], "calls": raw["calls"], "examples": raw["differences"][:3]}
    return {"count_differences": (intervals.exactly(found), details)}
