# SPDX-License-Identifier: MIT
"""Callbacks from C: sorted(key=), map, filter, functools, re.sub, itertools, operator."""

import functools
import itertools
import operator
import re


def negate(value):
    return -value


def add(a, b):
    return a + b


def odd(value):
    return value % 2 == 1


def compare(a, b):
    return a - b


@functools.lru_cache(maxsize=None)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@functools.singledispatch
def describe(value):
    return negate(1)


@describe.register
def _(value: str):
    return negate(2)


@describe.register
def _(value: list):
    return [describe(item) for item in value]


class Cached:
    @functools.cached_property
    def value(self):
        return negate(1)


def upper(match):
    return shout(match.group())


def shout(text):
    return text.upper()


def decorated(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


@decorated
def wrapped(value):
    return negate(value)


def target():
    sorted([3, 1, 2], key=negate)
    sorted([3, 1, 2], key=functools.cmp_to_key(compare))
    list(map(negate, range(4)))
    list(filter(odd, range(5)))
    functools.reduce(add, range(6))
    functools.partial(add, 1)(2)
    fibonacci.cache_clear()
    fibonacci(12)
    describe(1), describe("s"), describe(["a", 2])
    Cached().value
    re.sub(r"[a-c]", upper, "xaybzc")
    list(itertools.accumulate([1, 2, 3], add))
    list(itertools.takewhile(odd, [1, 3, 4, 5]))
    {key: list(group) for key, group in itertools.groupby([1, 1, 2], negate)}
    operator.methodcaller("value_of")(type("V", (), {"value_of": lambda self: negate(3)})())
    max([1, 2, 3], key=lambda value: negate(value))
    wrapped(1)


def run():
    target()
    negate(1)
    target()


TARGETS = [target]
