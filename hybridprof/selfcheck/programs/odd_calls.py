# SPDX-License-Identifier: MIT
"""Calls of every kind: what is counted wrongly is mostly among these. The same in every run. Read as text: see `programs`."""

import asyncio
import functools
import threading


def leaf(value=0):
    return value


def factorial(number):
    return 1 if number <= 1 else number * factorial(number - 1)


def even(number):
    return True if number == 0 else odd(number - 1)


def odd(number):
    return False if number == 0 else even(number - 1)


def numbers(count):
    try:
        for number in range(count):
            yield leaf(number)
    finally:
        leaf()


def relay(count):
    received = yield from numbers(count)
    return received


def generators():
    sum(numbers(7))
    list(relay(5))
    dropped = numbers(9)
    next(dropped)
    dropped.close()
    thrown = relay(9)
    next(thrown)
    try:
        thrown.throw(KeyError("odd"))
    except KeyError:
        leaf()


def raises(levels):
    if levels == 0:
        raise ValueError("on purpose")
    try:
        raises(levels - 1)
    finally:
        leaf()


def catches():
    for levels in (0, 1, 4):
        try:
            raises(levels)
        except ValueError:
            leaf()


class Value:
    def __init__(self, number):
        self.number = number

    def __lt__(self, other):
        return self.number < other.number

    def __eq__(self, other):
        return self.number == other.number

    def __hash__(self):
        return hash(self.number)

    def __len__(self):
        return self.number

    def __getitem__(self, at):
        if at >= self.number:
            raise IndexError(at)
        return leaf(at)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        leaf()

    @property
    def twice(self):
        return 2 * self.number

    @classmethod
    def made(cls, number):
        return cls(number)

    @staticmethod
    def fixed():
        return leaf()

    @functools.cached_property
    def once(self):
        return leaf(1)


def protocols():
    values = [Value(number) for number in (3, 1, 2)]
    sorted(values)
    sorted(values, key=lambda value: value.twice)
    list(values[0])
    len({*values, Value.made(3)})
    with values[1] as value:
        bool(value)
    functools.reduce(lambda total, value: total + value.twice, values, 0)
    return values[0].once + values[0].once + Value.fixed() + max(map(leaf, range(4)))


async def waits(levels):
    await asyncio.sleep(0)
    return leaf(levels) if levels == 0 else await waits(levels - 1)


async def several():
    return await asyncio.gather(waits(2), waits(0), waits(1))


def in_a_thread():
    thread = threading.Thread(target=factorial, args=(5,))
    thread.start()
    thread.join()


def target():
    """No threads and no loop of events here: beneath a target these would be the library's calls too."""
    factorial(9)
    even(7)
    generators()
    catches()
    protocols()


def run():
    for _ in range(3):
        target()
    in_a_thread()
    asyncio.run(several())
