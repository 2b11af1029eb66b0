# SPDX-License-Identifier: MIT
"""What a parent may await while a child of its TaskGroup, gather() or wait() runs; of each it is known where the child stands."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any

Shape = Callable[[str], Awaitable[None]]
SHAPES: dict[str, tuple[Shape, list[tuple[str, ...]]]] = {}
NOTED = sys.version_info >= (3, 14)  # asyncio notes who awaits whom, whether or not anybody waits yet
WITHOUT_PARENT: tuple[str, ...] = ("nobody",)


def stands(*chains: tuple[str, ...]) -> Callable[[Shape], Shape]:
    """chains: functions of this file between the parent's and the child, of which one is the right one."""

    def add(shape: Shape) -> Shape:
        SHAPES[shape.__name__] = (shape, [chain if chain == WITHOUT_PARENT else (shape.__name__, *chain) for chain in chains])
        return shape

    return add


def spin_child() -> None:
    x = 0
    for i in range(4000):
        x += i & 7


async def child() -> None:
    await asyncio.sleep(0)
    spin_child()


async def pause() -> None:
    await asyncio.sleep(0)


async def in_group(name: str, group: asyncio.TaskGroup | None = None) -> None:
    async with group or asyncio.TaskGroup() as group:
        group.create_task(child(), name=name)


# --- what the parent does meanwhile ---------------------------------------------------------------------------------------------------------


@stands((), ("pause",))
async def awaits_in_the_body(name: str) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(child(), name=name)
        await pause()
        await pause()


@stands(("in_group",))
async def awaits_deeper(name: str) -> None:
    await in_group(name)


async def numbers(name: str) -> AsyncIterator[int]:
    await in_group(name)
    yield 1


@stands(("numbers", "in_group"))
async def async_for(name: str) -> None:
    async for _ in numbers(name):
        pass


@stands(("numbers", "in_group"))
async def anext_with_default(name: str) -> None:
    await anext(numbers(name), None)


@contextlib.asynccontextmanager
async def managed() -> AsyncIterator[asyncio.TaskGroup]:
    async with asyncio.TaskGroup() as group:
        yield group


@stands(("managed",))
async def context_manager(name: str) -> None:
    async with managed() as group:
        group.create_task(child(), name=name)


async def tidies(name: str) -> AsyncIterator[int]:
    try:
        yield 1
    finally:
        await in_group(name)


@stands(("tidies", "in_group"))
async def closes_a_generator(name: str) -> None:
    generator: Any = tidies(name)
    await anext(generator)
    await generator.aclose()


class Waits:
    def __init__(self, name: str) -> None:
        self.name = name

    def __await__(self) -> Generator[Any, None, None]:
        return (yield from in_group(self.name).__await__())


@stands(("Waits.__await__", "in_group"))
async def object_with_await(name: str) -> None:
    await Waits(name)


@types.coroutine
def generator_based(name: str) -> Generator[Any, None, None]:
    return (yield from in_group(name))  # type: ignore[misc]


@stands(("generator_based", "in_group"))
async def coroutine_of_old(name: str) -> None:
    await generator_based(name)


# --- what its group is ----------------------------------------------------------------------------------------------------------------------


class Mixin:
    pass


class Wide(Mixin, asyncio.TaskGroup):
    def __init__(self) -> None:
        for number in range(12):
            setattr(self, f"attribute_{number}", asyncio.current_task() if number == 5 else number)
        super().__init__()


class Derived(Wide):
    pass


@stands(("in_group",))
async def group_of_another_class(name: str) -> None:
    await in_group(name, Derived())


@stands(())
async def group_with_a_dict(name: str) -> None:
    async with asyncio.TaskGroup() as group:
        vars(group)["more"] = 1
        group.create_task(child(), name=name)


@stands(())
async def made_by_a_member(name: str) -> None:
    async def member(group: asyncio.TaskGroup) -> None:
        await pause()
        group.create_task(child(), name=name)

    async with asyncio.TaskGroup() as group:
        group.create_task(member(group))


@stands(())
async def group_that_fails(name: str) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            spin_child()
            raise

    async def fails() -> None:
        raise ValueError

    with contextlib.suppress(BaseExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(stubborn(), name=name)
            group.create_task(fails())


# --- gather() and wait() --------------------------------------------------------------------------------------------------------------------


def task(name: str, coroutine: Coroutine[Any, Any, None] | None = None) -> asyncio.Task[None]:
    return asyncio.create_task(coroutine or child(), name=name)


@stands(())
async def gathers_many(name: str) -> None:
    await asyncio.gather(*(task(name) for _ in range(5)), return_exceptions=True)


# Nobody waits for what gather() gave until somebody awaits it, and before 3.14 nothing tells who will.
@stands(("pause",)) if NOTED else stands(WITHOUT_PARENT)
async def gathers_first_and_awaits_later(name: str) -> None:
    everything = asyncio.gather(task(name))
    await pause()
    await pause()
    await pause()
    await everything


@stands(())
async def waits_for_the_first(name: str) -> None:
    await asyncio.wait([task(name), task("other", pause())], return_when=asyncio.FIRST_COMPLETED)
    await pause()


# Before 3.14 through a queue, which is not followed.
@stands(()) if NOTED else stands(WITHOUT_PARENT)
async def as_completed(name: str) -> None:
    for each in asyncio.as_completed([task(name)]):
        await each
