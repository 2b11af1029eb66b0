# SPDX-License-Identifier: MIT
"""Coroutine functions as targets: tasks that take turns, each with calls of its own, and bystanders between them."""

import asyncio

import _virtual_loop as virtual_loop


def helper(value):
    return value


async def target(number):
    for turn in range(3):
        helper(turn)
        await asyncio.sleep(number)
        await nested(turn)
    return helper(number)


async def nested(turn):
    helper(turn)
    await asyncio.sleep(0)
    return [helper(n) for n in range(2)]


async def bystander(number):
    for _ in range(4):
        helper(number)
        await asyncio.sleep(number)
        await nested(number)


async def failing_target(number):
    try:
        await target(number)
        raise KeyError(helper(number))
    finally:
        helper("finally")


async def main():
    tasks = [asyncio.ensure_future(each) for each in (target(1), bystander(1), target(2), failing_target(1), bystander(0))]
    for task in tasks:
        try:
            await task
        except KeyError:
            helper("failed")


def run():
    virtual_loop.run(main())


TARGETS = [target, failing_target]
