# SPDX-License-Identifier: MIT
"""What runs while classes are made and asked: metaclasses, __init_subclass__, __class_getitem__, __mro_entries__, subclass hooks, decorators."""

import abc


def helper(value):
    return value


def decorated(cls):
    helper(cls.__name__)
    return cls


class Registry(type):
    made = 0

    @classmethod
    def __prepare__(mcls, name, bases, **options):
        helper(name)
        return {}

    def __new__(mcls, name, bases, namespace, **options):
        mcls.made += 1
        return super().__new__(mcls, name, bases, namespace)

    def __init__(cls, name, bases, namespace, **options):
        super().__init__(name, bases, namespace)
        helper(options)

    def __call__(cls, *arguments):
        helper(arguments)
        return super().__call__(*arguments)

    def __len__(cls):
        return 3

    def __iter__(cls):
        return iter((helper(1), helper(2)))

    def __getattr__(cls, name):
        return helper(name)


class Parent:
    def __init_subclass__(cls, tag=None, **options):
        super().__init_subclass__(**options)
        helper(tag)

    def __class_getitem__(cls, item):
        return helper(item)


class Stands:
    def __mro_entries__(self, bases):
        return (helper(Parent),)


class Duck(abc.ABC):
    @classmethod
    def __subclasshook__(cls, other):
        return helper(hasattr(other, "quack"))

    @abc.abstractmethod
    def quack(self): ...


class Quacks:
    def quack(self):
        return helper("quack")


def makes():
    class Made(metaclass=Registry, option=helper(1)):
        total = sum(helper(n) for n in range(2))
        squares = [helper(n) ** 2 for n in range(2)]

        def __new__(cls, value):
            return super().__new__(cls)

        def __init__(self, value):
            self.value = helper(value)

    return len(Made), list(Made), Made.unknown, Made(4).value


def inherits():
    @decorated
    class Child(Parent, tag=helper("tag")):
        @staticmethod
        def method():
            return helper("child")

    class Indirect(Stands()):
        pass

    return Child.method(), Parent[int], Indirect[str]


def asks():
    abc.ABCMeta("Fresh", (Duck,), {"quack": lambda self: helper("fresh")})().quack()
    try:
        Duck()
    except TypeError:
        helper("abstract")
    return isinstance(Quacks(), Duck), issubclass(int, Duck), Quacks().quack()


def target():
    makes()
    inherits()
    asks()


def run():
    target()
    makes()
    target()


TARGETS = [target]
