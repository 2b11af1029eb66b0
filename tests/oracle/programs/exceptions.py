# SPDX-License-Identifier: MIT
"""Exceptions raised, swallowed and re-raised at every level, and through C."""


def raises(depth):
    if depth == 0:
        raise ValueError("bottom")
    raises(depth - 1)


def swallows(depth):
    try:
        raises(depth)
    except ValueError:
        return after()


def after():
    return 1


def reraises(depth):
    try:
        raises(depth)
    except ValueError as error:
        raise KeyError("other") from error
    finally:
        after()


def key(value):
    if value == 3:
        raise OSError("three")
    return -value


class Hostile:
    def __getattr__(self, name):
        after()
        raise AttributeError(name)

    def __eq__(self, other):
        raise TypeError("eq")

    def __hash__(self):
        return 1

    def __iter__(self):
        yield 1
        raise ValueError("iter")


def through_c():
    try:
        sorted([1, 2, 3, 4], key=key)
    except OSError:
        after()
    hasattr(Hostile(), "missing")
    getattr(Hostile(), "missing", after())
    try:
        list(map(raises, [1]))
    except ValueError:
        after()
    try:
        [Hostile()].index(Hostile())
    except TypeError:
        after()
    try:
        list(Hostile())
    except ValueError:
        after()
    try:
        next(iter([]))
    except StopIteration:
        after()


def loops():
    for depth in range(4):
        swallows(depth)
        try:
            reraises(depth)
        except KeyError:
            after()


class Manager:
    def __enter__(self):
        return self

    def __exit__(self, *details):
        after()
        return True


def managed():
    with Manager():
        raises(2)
    with Manager():
        try:
            raises(1)
        finally:
            after()


def target(fail):
    loops()
    through_c()
    managed()
    if fail:
        raises(3)


def run():
    target(False)
    for _ in range(2):
        try:
            target(True)
        except ValueError:
            after()
    after()


TARGETS = [target]
