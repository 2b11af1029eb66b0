# SPDX-License-Identifier: MIT
"""Functions that come back to themselves through others: mutual, through C, through properties, generators and exceptions."""


def helper(value):
    return value


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def ackermann(m, n):
    if m == 0:
        return helper(n + 1)
    return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))


def through_sorted(depth):
    return sorted([2, 1], key=lambda value: (value, through_sorted(depth - 1))) if depth else helper(depth)


def through_map(depth):
    return sum(map(through_map, [depth - 1] * 2)) if depth else helper(1)


class Linked:
    def __init__(self, depth):
        self.next = Linked(depth - 1) if depth else None

    @property
    def length(self):
        return 1 + (self.next.length if self.next else helper(0))

    def __len__(self):
        return 1 + (len(self.next) if self.next else 0)

    def __getattr__(self, name):
        return getattr(object.__getattribute__(self, "next"), name) if self.next else helper(name)

    def __iter__(self):
        yield helper(self)
        if self.next:
            yield from self.next


def through_exceptions(depth):
    try:
        if depth == 0:
            raise KeyError
        through_exceptions(depth - 1)
    except KeyError:
        helper(depth)
        if depth % 2:
            raise


def hanoi(count, source, goal, spare):
    if count:
        hanoi(count - 1, source, spare, goal)
        helper((source, goal))
        hanoi(count - 1, spare, goal, source)


def target(depth):
    even(10), ackermann(2, 2), through_sorted(3), through_map(4)
    linked = Linked(5)
    linked.length, len(linked), linked.unknown, list(linked)
    through_exceptions(6)
    hanoi(4, 1, 2, 3)
    if depth:
        target(depth - 1)


def run():
    target(1)
    even(3)
    target(0)


TARGETS = [target, even]
