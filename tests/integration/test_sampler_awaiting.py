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
CPU_SECONDS = 0.08  # of each shape
LOST = 0.02  # share of a shape's samples that may lack the chain: on a machine where reading is interrupted again and again
OURS = {name for name in vars(awaiting_programs) if not name.startswith("_")} | {"Waits.__await__"}


async def everything() -> None:
    for name, (shape, _) in SHAPES.items():
        end = time.process_time() + CPU_SECONDS
        while time.process_time() < end:
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
