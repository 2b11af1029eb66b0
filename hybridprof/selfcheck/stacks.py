# SPDX-License-Identifier: MIT
"""Sampled stacks that the program cannot have had."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import hybridprof

from . import intervals
from .programs import file_name, load
from .results import MORE_S, Found, Raw

RATE_HZ = 4000.0
FEWEST = 100  # samples, below which nothing was tested

Stack = tuple[str, ...]


def stacks_of(profile: hybridprof.Profile, file: str) -> Counter[Stack]:
    """Samples by stack of qualified names, from the outermost function of this file on: what lies above it is not the program's."""
    found: Counter[Stack] = Counter()
    pending: list[tuple[hybridprof.Node, Stack]] = [(profile.tree, ())]
    while pending:
        node, above = pending.pop()
        row = node.function
        stack = (*above, row.name) if row is not None and (above or row.file == file) else above
        if node.samples and stack:
            found[stack] += node.samples
        pending.extend((child, stack) for child in node.children)
    return found


def impossible(seconds: float) -> Raw:
    """What was met, and what of it cannot have been."""
    program = load("chains")
    with hybridprof.Profiler(rate=RATE_HZ) as profiler:
        program.run(seconds)
        end = time.perf_counter() + MORE_S
        while hybridprof.status()["samples"]["kept"] < 3 * FEWEST and time.perf_counter() < end:
            program.run(seconds)
    return _raw(program, stacks_of(profiler.profile, file_name("chains")))


def _raw(program: Any, stacks: Counter[Stack]) -> Raw:
    wrong = Counter({stack: samples for stack, samples in stacks.items() if not program.legal(stack)})
    return {
        "samples": stacks.total(),
        "impossible": wrong.total(),
        "unresolved": sum(samples for stack, samples in stacks.items() if stack[-1] == "<unresolved>"),
        "examples": [" > ".join(stack[-8:]) for stack, _ in wrong.most_common(3)],
        "all_met": program.MUST_BE_MET <= {name for stack in stacks for name in stack},
    }


def judge(raws: list[Raw]) -> dict[str, Found]:
    """The share of impossible ones (percent). Not a number where too little of the program was met."""
    (raw,) = raws
    found = intervals.proportion(raw["impossible"], raw["samples"])
    if not raw["impossible"] and (raw["samples"] < FEWEST or not raw["all_met"]):
        found = intervals.proportion(0, 0)
    details = {key: raw[key] for key in ("samples", "impossible", "unresolved", "examples")}
    return {"impossible_stacks": (intervals.Estimate(100 * found.value, 100 * found.low, 100 * found.high), details)}
