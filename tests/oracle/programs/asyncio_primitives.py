# SPDX-License-Identifier: MIT
"""Queues, locks, events, semaphores, callbacks of the loop and futures: whatever the loop calls back beneath a plain function is beneath it."""

import asyncio
import functools

import _virtual_loop as virtual_loop


def helper(value):
    return value


async def producer(queue):
    for number in range(5):
        await queue.put(helper(number))
    await queue.put(None)


async def consumer(queue):
    while (item := await queue.get()) is not None:
        helper(item)
        queue.task_done()
    queue.task_done()


async def exclusive(lock, name):
    async with lock:
        helper(name)
        await asyncio.sleep(1)


async def waits(event):
    await event.wait()
    return helper("event")


def called_back(future, value):
    helper(value)
    if not future.done():
        future.set_result(value)


def done(_future):
    helper("done")


async def main():
    loop = asyncio.get_running_loop()
    queue, lock, event, semaphore = asyncio.Queue(2), asyncio.Lock(), asyncio.Event(), asyncio.Semaphore(2)
    await asyncio.gather(producer(queue), consumer(queue))
    await asyncio.gather(*(exclusive(lock, n) for n in range(3)), *(exclusive(semaphore, n) for n in range(4)))
    waiting = asyncio.ensure_future(waits(event))
    loop.call_later(2, event.set)
    await waiting
    future = loop.create_future()
    future.add_done_callback(done)
    loop.call_soon(called_back, future, 1)
    loop.call_later(1, functools.partial(called_back, future), 2)
    helper(await future)
    await asyncio.sleep(3)


def target():
    virtual_loop.run(main())


def run():
    target()
    target()


TARGETS = [target]
