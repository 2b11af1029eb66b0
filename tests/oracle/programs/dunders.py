# SPDX-License-Identifier: MIT
"""Special methods and properties that C code calls."""


def helper():
    return 1


class Number:
    def __init__(self, value):
        self.value = value

    def __add__(self, other):
        return Number(self.value + other.value)

    def __radd__(self, other):
        return Number(self.value + other)

    def __eq__(self, other):
        return self.value == other.value

    def __lt__(self, other):
        return self.value < other.value

    def __hash__(self):
        helper()
        return hash(self.value)

    def __bool__(self):
        return bool(self.value)

    def __len__(self):
        return self.value

    def __getitem__(self, index):
        if index > 3:
            raise IndexError
        return index

    def __contains__(self, item):
        return helper() == item

    def __call__(self, *arguments):
        return helper()

    def __str__(self):
        return f"<{self.value}>"

    def __repr__(self):
        return str(self)

    def __format__(self, spec):
        return str(self)

    def __index__(self):
        return self.value

    @property
    def half(self):
        return helper() + self.value // 2

    @half.setter
    def half(self, value):
        self.value = value * 2

    @classmethod
    def make(cls, value):
        return cls(value)

    @staticmethod
    def plain():
        return helper()


class Descriptor:
    def __get__(self, instance, owner):
        return helper()

    def __set__(self, instance, value):
        helper()

    def __set_name__(self, owner, name):
        helper()


class Holder:
    slot = Descriptor()

    def __getattribute__(self, name):
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)


class Missing(dict):
    def __missing__(self, key):
        return helper()


def target():
    a, b = Number(1), Number(2)
    a + b
    sum([a, b])
    a == b
    sorted([b, a])
    {a: 1, b: 2}
    bool(a), len(b), list(a), 1 in a, a(), a(*[1, 2]), a(**{})
    str(a), repr(a), f"{a}", f"{a!r}", "%s" % a
    [1, 2, 3][a]
    a.half = a.half
    Number.make(3), Number.plain()
    max([a, b]), min(a, b)
    [a, b].index(b)
    holder = Holder()
    holder.slot = holder.slot
    Missing()["x"]
    isinstance(a, Number)


def run():
    target()
    helper()
    target()


TARGETS = [target]
