# SPDX-License-Identifier: MIT
"""asyncio programs in which every way of awaiting a task has functions of its own, so that one name says which stack is the right one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

Stack = tuple[str, ...]

WAYS = {
    "plain": "await asyncio.create_task({work}, name='{way}')",
    "gather": "await asyncio.gather(asyncio.sleep(0), asyncio.create_task({work}, name='{way}'))",
    "group": "async with asyncio.TaskGroup() as group:\n        group.create_task({work}, name='{way}')",
    "shield": "await asyncio.shield(asyncio.create_task({work}, name='{way}'))",
    "wait_for": "await asyncio.wait_for(asyncio.create_task({work}, name='{way}'), 60)",
    "wait": "await asyncio.wait([asyncio.create_task({work}, name='{way}')])",
    "nested": "await asyncio.shield(asyncio.gather(asyncio.create_task({work}, name='{way}')))",
}
_SOURCE = """
import asyncio
def spin_{way}(rounds):
    x = 0
    for i in range(rounds):
        x += i & 7
    return x
async def inner_{way}(rounds):
    await asyncio.sleep(0)
    spin_{way}(rounds)
async def work_{way}(rounds):
    await inner_{way}(rounds)
async def await_{way}(rounds):
    {statement}
async def branch_{way}(end, rounds):
    while not end():
        await await_{way}(rounds)
"""
functions: dict[str, Any] = {}
for _way, _statement in WAYS.items():
    _code = _SOURCE.format(way=_way, statement=_statement.format(work=f"work_{_way}(rounds)", way=_way))
    exec(compile(_code, "<tasks>", "exec"), functions)
NAMES = frozenset(functions) | {"everything"}


async def everything(seconds: float, rounds: int) -> None:
    """For that much CPU time: on a busy machine seconds by the clock may hold next to nothing."""
    end = time.process_time() + seconds
    async with asyncio.TaskGroup() as group:
        for way in WAYS:
            group.create_task(functions[f"branch_{way}"](lambda: time.process_time() > end, rounds), name=f"branch {way}")


def chain(way: str) -> Stack:
    """What a stack with spin_WAY in it is, without the functions of the library."""
    return (
        "<task Task-*>",
        "everything",
        f"<task branch {way}>",
        f"branch_{way}",
        f"await_{way}",
        f"<task {way}>",
        f"work_{way}",
        f"inner_{way}",
        f"spin_{way}",
    )


def of_tasks(stack: Stack) -> Stack:
    return tuple(name for name in stack if name in NAMES or name.startswith("<task "))


def run_on(loop: str, main: Callable[[], Awaitable[None]], uvloop: Any = None) -> None:
    if loop == "uvloop":
        uvloop.run(main())
    else:
        asyncio.run(main())  # type: ignore[arg-type]


# For a process of its own.
LATER_PROGRAM = """
import asyncio, time
async def busy(end):
    while time.process_time() < end:
        pass
async def main():
    await asyncio.create_task(busy(time.process_time() + 1.0), name="busy")
asyncio.run(main())
"""
