# SPDX-License-Identifier: MIT
"""Functions that are replaced, and functions whose code is: what runs is what counts."""

import functools
import types


def helper(value):
    return value


def first(value):
    return helper(value) + 1


def second(value):
    return helper(helper(value)) + 2


def swapped(value):
    return first(value)


def another(value):
    return second(value)


class Patched:
    def method(self):
        return helper("method")


def other_method(self):
    return helper(helper("other"))


def swaps():
    own, other = swapped.__code__, another.__code__
    try:
        for code in (own, other, own, other):
            swapped.__code__ = code
            swapped(1)
    finally:
        swapped.__code__ = own


def swaps_itself():
    def inner(value):
        inner.__code__ = (lambda value: helper((inner, value)[1])).__code__
        return helper(value) + inner(value)

    for _ in range(2):
        inner(1)


def patches():
    own = Patched.method
    try:
        for method in (own, other_method, functools.partialmethod(other_method), lambda self: helper("lambda")):
            Patched.method = method
            Patched().method()
    finally:
        Patched.method = own


def copies():
    made = types.FunctionType(first.__code__, {"helper": helper}, "made")
    renamed = types.FunctionType(first.__code__.replace(co_name="renamed"), {"helper": helper})
    return made(1) + renamed(2)


def target():
    swaps()
    swaps_itself()
    patches()
    copies()


def run():
    target()
    swaps()
    target()


TARGETS = [target]
