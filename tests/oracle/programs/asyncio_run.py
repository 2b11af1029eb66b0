# SPDX-License-Identifier: MIT
"""What an event loop runs beneath a plain function is beneath it."""

import asyncio

import _virtual_loop as virtual_loop


def helper(value):
    return value


async def child(number):
    await asyncio.sleep(number)
    return helper(number)


async def main():
    tasks = [asyncio.ensure_future(child(n)) for n in range(3)]
    return [await task for task in tasks]


def target():
    return virtual_loop.run(main())


def run():
    target()
    helper("between")
    target()


TARGETS = [target]
