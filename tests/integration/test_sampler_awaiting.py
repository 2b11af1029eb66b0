# SPDX-License-Identifier: MIT
"""Children of groups, gather() and wait() stand beneath whatever their parent awaits at that time, all of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from integration import awaiting_programs
from integration.awaiting_programs import SHAPES, WITHOUT_PARENT
from integration.sampler_programs import sampled_stacks

from hybridprof import _core

Stack = tuple[str, ...]
SAMPLES = 250  # of each shape
PATIENCE = 20.0  # seconds for them: a machine that is busy keeps the sampler waiting
LOST = 0.02  # share of a shape's samples that may lack the chain: on a machine where reading is interrupted again and again
OURS = {name for name in vars(awaiting_programs) if not name.startswith("_")} | {"Waits.__await__"}


async def everything() -> None:
    for name, (shape, _) in SHAPES.items():
        wanted, until = _core.status()["samples"]["kept"] + SAMPLES, time.monotonic() + PATIENCE
        while _core.status()["samples"]["kept"] < wanted and time.monotonic() < until:
            for _ in range(10):
                await shape(name)


@pytest.fixture(scope="module")
def stacks() -> Iterator[Counter[Stack]]:
    _core.stop()
    _core.start(rate=4000, tasks=True)
    asyncio.run(everything())
    _core.stop()
    yield sampled_stacks(_core.snapshot())
    _core.stop()


def above(stack: Stack, name: str) -> Stack:
    """The functions of the program between everything() and the child, or that there is no such thing."""
    outer = stack[: stack.index(f"<task {name}>")]
    if "<task Task-*>" not in outer:
        return WITHOUT_PARENT
    return tuple(each for each in outer[outer.index("<task Task-*>") :] if each in OURS)


@pytest.mark.parametrize("name", SHAPES)
def test_a_child_stands_beneath_all_that_its_parent_awaits(stacks: Counter[Stack], name: str) -> None:
    found: Counter[Stack] = Counter()
    for stack, samples in stacks.items():
        if stack[-1] == "spin_child" and f"<task {name}>" in stack:
            found[above(stack, name)] += samples
    right = sum(found[chain] for chain in SHAPES[name][1])
    lost = found[WITHOUT_PARENT] if WITHOUT_PARENT not in SHAPES[name][1] else 0
    assert right + lost == sum(found.values()), found
    assert right > 5 and lost <= LOST * right + 1, found
