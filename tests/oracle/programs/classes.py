# SPDX-License-Identifier: MIT
"""Class bodies, metaclasses, decorators, dataclasses, enums, abstract classes, closures, comprehensions."""

import abc
import dataclasses
import enum


def helper(value):
    return value


class Meta(type):
    def __new__(mcls, name, bases, namespace):
        helper(name)
        return super().__new__(mcls, name, bases, namespace)

    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)

    def __call__(cls, *arguments):
        return super().__call__(*arguments)

    def __prepare__(name, bases):
        return {}

    def __instancecheck__(cls, instance):
        return helper(True)


def make_class(name):
    class Made(metaclass=Meta):
        attribute = helper(name)

        def __init__(self, value):
            self.value = helper(value)

        def __init_subclass__(cls):
            helper(cls)

        class Nested:
            inner = helper("nested")

    class Derived(Made):
        pass

    return Derived


def data():
    @dataclasses.dataclass(order=True)
    class Point:
        x: int
        y: int = 0

        def __post_init__(self):
            helper(self.x)

    return sorted([Point(2), Point(1, 1)]), Point(1) == Point(1)


def enumeration():
    class Color(enum.Enum):
        RED = 1
        BLUE = 2

    return Color(1), Color["BLUE"], list(Color)


def abstract():
    class Base(abc.ABC):
        @abc.abstractmethod
        def method(self): ...

    class Real(Base):
        def method(self):
            return helper(1)

    return Real().method(), isinstance(Real(), Base)


def comprehensions():
    squares = [helper(x) for x in range(3)]
    nested = [[helper(y) for y in range(x)] for x in range(3)]
    unique = {helper(x) for x in squares}
    table = {helper(x): (lambda: helper(x))() for x in unique}
    lazy = sum(helper(x) for x in table)
    return nested, lazy


def closures(depth):
    def inner():
        return helper(depth) if depth == 0 else closures(depth - 1)

    return inner()


def target():
    instance = make_class("a")(1)
    isinstance(instance, make_class("b"))
    data()
    enumeration()
    abstract()
    comprehensions()
    closures(5)


def run():
    target()
    helper(0)


TARGETS = [target]
