# SPDX-License-Identifier: MIT
"""async for, async with, asynchronous comprehensions and awaitables made by hand, driven without a loop."""

import types


def helper(value):
    return value


class Awaitable:
    def __init__(self, count):
        self.count = count

    def __await__(self):
        for number in range(self.count):
            yield helper(number)
        return self.count


class Stream:
    def __init__(self, count):
        self.left = count

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.left == 0:
            raise StopAsyncIteration
        self.left -= 1
        return await Awaitable(helper(self.left % 2))


class Resource:
    async def __aenter__(self):
        await Awaitable(1)
        return self

    async def __aexit__(self, kind, value, traceback):
        helper(kind)
        await Awaitable(1)
        return kind is ValueError


@types.coroutine
def old_style(count):
    for number in range(count):
        yield number
    return helper(count)


async def numbers(count):
    for number in range(count):
        await Awaitable(1)
        yield helper(number)


async def target():
    async with Resource():
        async for item in Stream(3):
            helper(item)
        raise ValueError
    helper([x async for x in numbers(3) if helper(x)])
    helper({x: y async for x in numbers(2) async for y in numbers(2)})
    await old_style(2)
    return sum([await Awaitable(n) for n in range(3)])


def drive(coroutine):
    steps = 0
    try:
        while True:
            coroutine.send(None)
            steps += 1
    except StopIteration as stop:
        return steps, stop.value


def run():
    drive(target())
    helper("between")
    drive(target())
    drive(Resource().__aenter__())


TARGETS = [target]
