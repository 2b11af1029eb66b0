# SPDX-License-Identifier: MIT
"""asyncio: gather, cancel, TaskGroup, timeouts, tasks that outlive what started them."""

import asyncio

import _virtual_loop as virtual_loop


def helper(value):
    return value


async def step(value):
    await asyncio.sleep(0)
    return helper(value)


async def slow(value):
    try:
        await asyncio.sleep(10)
    finally:
        helper("cleaning")
        await asyncio.sleep(0)
        helper("cleaned")
    return helper(value)


async def gathering():
    return await asyncio.gather(step(1), step(2), step(3))


async def cancelling():
    task = asyncio.ensure_future(slow(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        helper("cancelled")


async def fails():
    await asyncio.sleep(0)
    raise ValueError(helper("v"))


async def grouping():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(step(4))
            group.create_task(slow(5))
            group.create_task(fails())
    except* ValueError:
        helper("group")


async def timing_out():
    try:
        async with asyncio.timeout(1):
            await slow(6)
    except TimeoutError:
        helper("timeout")
    try:
        await asyncio.wait_for(slow(7), 0.5)
    except TimeoutError:
        helper("wait_for")


async def other():
    for number in range(5):
        await step(number)


async def target():
    background = asyncio.ensure_future(other())
    await gathering()
    await cancelling()
    await grouping()
    await timing_out()
    await background
    return helper("end")


async def deadline():
    await slow(8)


async def main():
    await other()
    await asyncio.gather(target(), other(), target())
    task = asyncio.ensure_future(deadline())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def run():
    virtual_loop.run(main())


TARGETS = [target, deadline]
