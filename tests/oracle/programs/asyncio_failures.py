# SPDX-License-Identifier: MIT
"""Tasks that are cancelled, time out, fail in groups or are shielded, beneath a plain function and as targets of their own."""

import asyncio

import _virtual_loop as virtual_loop


def helper(value):
    return value


async def sleeper(seconds):
    try:
        helper("sleeps")
        await asyncio.sleep(seconds)
    finally:
        helper("wakes")


async def fails(seconds):
    await sleeper(seconds)
    raise ValueError(helper(seconds))


async def cleans_up(seconds):
    try:
        await sleeper(seconds)
    except asyncio.CancelledError:
        await sleeper(1)
        raise


async def groups():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(cleans_up(50))
            group.create_task(fails(2))
            await sleeper(10)
    except* ValueError:
        helper("group")


async def times_out():
    try:
        async with asyncio.timeout(3):
            await cleans_up(10)
    except TimeoutError:
        helper("timeout")
    try:
        await asyncio.wait_for(sleeper(9), 2)
    except TimeoutError:
        helper("waited")


async def gathers():
    results = await asyncio.gather(sleeper(1), fails(2), sleeper(3), return_exceptions=True)
    helper(len(results))
    try:
        await asyncio.gather(fails(1), cleans_up(5))
    except ValueError:
        await asyncio.sleep(20)


async def shields():
    inner = asyncio.ensure_future(sleeper(4))
    outer = asyncio.ensure_future(shielded(inner))
    await asyncio.sleep(1)
    outer.cancel()
    try:
        await outer
    except asyncio.CancelledError:
        helper("cancelled")
    await inner


async def shielded(inner):
    await asyncio.shield(inner)


async def main():
    await groups()
    await times_out()
    await gathers()
    await shields()


def target():
    virtual_loop.run(main())


def run():
    target()
    virtual_loop.run(main())
    target()


TARGETS = [target]
