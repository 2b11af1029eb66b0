# SPDX-License-Identifier: MIT
"""match statements, which ask classes by properties, __match_args__, __eq__, __len__ and __getitem__."""

from collections.abc import Mapping, Sequence


def helper(value):
    return value


class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self._x, self._y = x, y

    @property
    def x(self):
        return helper(self._x)

    @property
    def y(self):
        return helper(self._y)


class Pair(Sequence):
    def __len__(self):
        return helper(2)

    def __getitem__(self, index):
        if index > 1:
            raise IndexError
        return helper(index)


class Named(Mapping):
    def __len__(self):
        return 1

    def __iter__(self):
        return iter(["name"])

    def __getitem__(self, key):
        if key != "name":
            raise KeyError(helper(key))
        return helper("value")


class Equal:
    def __eq__(self, other):
        return helper(other == 7)


class Constants:
    SEVEN = Equal()


def choose(value):
    match value:
        case Point(0, y=0):
            return helper("origin")
        case Point(x, y) if helper(x == y):
            return "diagonal"
        case Point():
            return "point"
        case {"name": name, **rest}:
            return helper(name), rest
        case [first, *rest] if helper(rest):
            return first
        case Constants.SEVEN:
            return "seven"
        case str() | bytes():
            return helper("text")
        case _:
            return None


def target():
    return [choose(each) for each in (Point(0, 0), Point(1, 1), Point(1, 2), Named(), Pair(), 7, "text", 8)]


def run():
    target()
    choose(Point(3, 3))
    target()


TARGETS = [target]
