# SPDX-License-Identifier: MIT
"""Every operator that a class may define, reflected, in place and fallen back upon."""

import math


def helper(value):
    return value


class Value:
    def __init__(self, value):
        self.value = helper(value)

    def _value_of(self, other):
        return other.value if isinstance(other, Value) else other

    def __add__(self, other):
        return Value(self.value + self._value_of(other))

    def __radd__(self, other):
        return Value(helper(other) + self.value)

    def __iadd__(self, other):
        self.value += self._value_of(other)
        return self

    def __sub__(self, other):
        return NotImplemented

    def __rsub__(self, other):
        return helper(other)

    def __mul__(self, other):
        return Value(self.value * self._value_of(other))

    __rmul__ = __mul__

    def __matmul__(self, other):
        return helper(other)

    def __divmod__(self, other):
        return divmod(self.value, helper(other))

    def __pow__(self, other, modulo=None):
        return pow(self.value, helper(other), modulo)

    def __neg__(self):
        return Value(-self.value)

    def __invert__(self):
        return helper(self)

    def __abs__(self):
        return abs(self.value)

    def __round__(self, digits=None):
        return helper(digits)

    def __floor__(self):
        return helper(1)

    def __int__(self):
        return self.value

    def __float__(self):
        return float(self.value)

    def __index__(self):
        return self.value

    def __eq__(self, other):
        return self.value == self._value_of(other)

    def __lt__(self, other):
        return self.value < self._value_of(other)

    def __le__(self, other):
        return NotImplemented

    def __ge__(self, other):
        return helper(True)

    def __hash__(self):
        return hash(self.value)

    def __bool__(self):
        return helper(self.value) != 0


class Sub(Value):
    def __radd__(self, other):
        return helper("sub")


def target():
    two, three = Value(2), Value(3)
    two + three, 1 + two, two + 1, two + Sub(1)
    two += three
    5 - three, three * 2, 2 * three, three @ 1, divmod(three, 2), three**2, pow(three, 2, 5)
    -three, ~three, abs(three), round(three), round(three, 2), math.floor(three), int(three), float(three)
    [0, 1, 2, 3, 4, 5, 6][three], range(three), bytes(three)
    two == three, two != three, two < three, two > three, two <= three, 9 > three < 9
    {two: 1, three: 2}[Value(3)], three in [1, two, three]
    bool(two), not three, two or three, three and two
    sorted([three, two, Value(1)]), min(two, three), max([two, three])
    try:
        two - "text"
    except TypeError:
        helper("no")
    return sum([two, three], Value(0))


def run():
    target()
    Value(1) + 1
    target()


TARGETS = [target]
