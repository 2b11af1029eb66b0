# SPDX-License-Identifier: MIT
"""Generators that C code drives: expressions in calls, comprehensions within each other, tree walks, early ends."""

import contextlib
import itertools


def helper(value):
    return value


def walk(tree):
    if isinstance(tree, int):
        yield helper(tree)
        return
    for branch in tree:
        yield from walk(branch)


def numbers(limit):
    try:
        for number in range(limit):
            yield helper(number)
    finally:
        helper("end")


def pairs():
    left, right = itertools.tee(numbers(4))
    next(right)
    yield from zip(left, right)


def pipeline():
    squares = (helper(n) ** 2 for n in numbers(6))
    evens = (n for n in squares if helper(n) % 2 == 0)
    return sum(n + 1 for n in evens)


def early():
    for number in numbers(10):
        if number == 2:
            break
    any(n > 1 for n in numbers(10)), next(n for n in numbers(10) if n)
    first, second, *_ = itertools.islice(numbers(10), 4)
    2 in numbers(10)
    return first, second


def raises(limit):
    for number in numbers(limit):
        if number == 2:
            raise ValueError(number)
        yield number


def failing():
    try:
        list(raises(5))
    except ValueError:
        helper("caught")
    with contextlib.suppress(ValueError):
        max(helper(n) for n in raises(4))


def answers():
    value = yield helper(1)
    while value:
        try:
            value = yield helper(value)
        except KeyError:
            value = yield helper("key")
    return helper("answered")


def converses():
    generator = answers()
    next(generator), generator.send(2), generator.throw(KeyError), generator.send(3)
    try:
        generator.send(None)
    except StopIteration as stop:
        return stop.value


def lambdas():
    make = lambda count: (yield from (helper(n) for n in range(count)))  # noqa: E731
    return list(make(3))


def target():
    list(walk([1, [2, [3, 4]], [], 5])), dict(pairs()), pipeline(), early(), failing(), converses(), lambdas()
    [[helper(y) for y in numbers(x)] for x in numbers(3)], {x: {*numbers(x)} for x in range(3)}


def run():
    target()
    list(walk([1, [2]]))
    target()


TARGETS = [target]
