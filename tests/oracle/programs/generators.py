# SPDX-License-Identifier: MIT
"""Generators: send, throw, close, yield from, dropped half-way, never started, deep chains."""

import gc


def helper(value):
    return value


def counter(limit):
    for number in range(limit):
        yield helper(number)


def echo():
    received = None
    while True:
        try:
            received = yield helper(received)
        except ValueError as error:
            received = helper(str(error))
        except GeneratorExit:
            helper("closing")
            raise


def delegating(limit):
    result = yield from inner(limit)
    yield result


def inner(limit):
    try:
        yield from counter(limit)
    finally:
        helper("done")
    return limit


def outer_catches():
    try:
        yield from fragile()
    except KeyError:
        yield helper("caught")


def fragile():
    yield 1
    yield 2


def nested(depth):
    if depth:
        yield from nested(depth - 1)
    yield helper(depth)


def never_started():
    yield helper(0)


def sends():
    generator = echo()
    next(generator)
    generator.send("a")
    generator.send("b")
    generator.throw(ValueError("v"))
    generator.send("c")
    generator.close()


def throws():
    generator = outer_catches()
    next(generator)
    generator.throw(KeyError("k"))
    for _ in generator:
        pass
    other = outer_catches()
    next(other)
    try:
        other.throw(OSError("o"))
    except OSError:
        helper("outside")


def drops():
    generator = delegating(5)
    next(generator)
    next(generator)
    del generator
    closed = delegating(5)
    next(closed)
    closed.close()
    unstarted = never_started()
    unstarted.close()
    del unstarted
    thrown = never_started()
    try:
        thrown.throw(ValueError("early"))
    except ValueError:
        helper("early")


def cycles():
    generator = counter(3)
    cell = [generator]
    cell.append(cell)
    next(generator)
    del generator, cell
    gc.collect()


def consumed_elsewhere():
    return counter(4)


def target():
    list(counter(5))
    list(delegating(3))
    sum(x for x in counter(4))
    sends()
    throws()
    drops()
    cycles()
    list(nested(6))
    return consumed_elsewhere()


def run():
    list(target())
    made_outside = counter(6)
    next(made_outside)
    feed(made_outside)
    next(made_outside)


def feed(generator):
    next(generator)
    next(generator)


TARGETS = [target, feed]
