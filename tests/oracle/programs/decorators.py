# SPDX-License-Identifier: MIT
"""Decorators of every kind between a caller and what it calls."""

import contextlib
import functools


def helper(value):
    return value


def plain(function):
    @functools.wraps(function)
    def wrapper(*arguments, **options):
        helper("before")
        try:
            return function(*arguments, **options)
        finally:
            helper("after")

    return wrapper


def repeated(times):
    def decorate(function):
        def wrapper(*arguments):
            return [function(*arguments) for _ in range(times)]

        return wrapper

    return decorate


class Counting:
    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, *arguments):
        self.count += 1
        return self.function(*arguments)

    def __get__(self, instance, owner):
        return functools.partial(self, instance)


@contextlib.contextmanager
def surrounded(name):
    helper(name)
    yield
    helper(name)


@plain
@repeated(2)
@surrounded("managed")
def several(value):
    return helper(value)


@functools.lru_cache(maxsize=None)
def cached(value):
    return helper(value)


@functools.singledispatch
def dispatched(value):
    return helper("other")


@dispatched.register
def _(value: int):
    return helper(value)


class Methods:
    @Counting
    def counted(self, value):
        return helper(value)

    @plain
    @staticmethod
    def static(value):
        return helper(value)

    @classmethod
    @plain
    def of_class(cls, value):
        return helper(value)

    partial = functools.partialmethod(counted.function, 7)

    @functools.cached_property
    def kept(self):
        return helper("kept")

    @functools.singledispatchmethod
    def method(self, value):
        return helper("method")

    @method.register
    def _(self, value: str):
        return helper(value)


def target(value):
    cached.cache_clear()
    several(value), cached(1), cached(1), cached(2), dispatched(1), dispatched("x")
    methods = Methods()
    methods.counted(1), Methods.static(2), methods.of_class(3), methods.partial(), methods.kept, methods.kept
    methods.method(1), methods.method("x"), functools.reduce(lambda a, b: helper(a + b), range(4)), functools.partial(several, 5)()


def run():
    target(1)
    several(2)
    target(3)


TARGETS = [target]
