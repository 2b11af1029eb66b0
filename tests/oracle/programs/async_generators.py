# SPDX-License-Identifier: MIT
"""Async generators: consumed, closed, broken out of, finalised by the loop, asend and athrow; async context managers."""

import asyncio
import contextlib

import _virtual_loop as virtual_loop


def helper(value):
    return value


async def ticker(limit):
    try:
        for number in range(limit):
            await asyncio.sleep(0)
            yield helper(number)
    finally:
        helper("ticker done")


async def echo():
    received = None
    while True:
        try:
            received = yield helper(received)
        except ValueError:
            received = helper("error")


@contextlib.asynccontextmanager
async def managed(name):
    helper(name)
    try:
        yield name
    except KeyError:
        helper("suppressed")


class Iterator:
    def __init__(self):
        self.left = 3

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        await asyncio.sleep(0)
        return helper(self.left)


async def breaking():
    async for number in ticker(5):
        if number == 2:
            break


async def target():
    async for number in ticker(3):
        helper(number)
    await breaking()
    source = echo()
    await source.asend(None)
    await source.asend(1)
    await source.athrow(ValueError("v"))
    await source.aclose()
    async with managed("m"):
        raise KeyError("k")


async def consume():
    return [helper(number) async for number in Iterator()]


async def target_generator():
    async for number in ticker(2):
        yield helper(number)


async def main():
    await target()
    await consume()
    async for number in target_generator():
        helper(number)


def run():
    virtual_loop.run(main())


TARGETS = [target, target_generator]
