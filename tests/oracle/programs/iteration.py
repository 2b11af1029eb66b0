# SPDX-License-Identifier: MIT
"""Everything that iterates in C over what is written in Python."""

import collections
import itertools


def helper(value):
    return value


class Countdown:
    def __init__(self, start):
        self.left = start

    def __iter__(self):
        return self

    def __next__(self):
        if self.left == 0:
            raise StopIteration
        self.left -= 1
        return helper(self.left)

    def __length_hint__(self):
        return self.left


class Sequence:
    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index >= 3:
            raise IndexError
        return helper(index)


class Backwards(Sequence):
    def __reversed__(self):
        return Countdown(2)


class Mapping:
    def keys(self):
        return Countdown(3)

    def __getitem__(self, key):
        return helper(key)


def unpacks(*values, **options):
    a, *rest, z = Countdown(4)
    return helper((a, rest, z, values, options))


def reads():
    values = [1, 2, 0]
    return helper(values.pop())


def target():
    list(Countdown(3))
    tuple(Sequence())
    set(reversed(Sequence()))
    list(reversed(Backwards()))
    dict(Mapping())
    unpacks(*Countdown(2), **Mapping()) if False else unpacks(*Countdown(2))
    list(map(helper, Countdown(3)))
    list(filter(helper, Countdown(3)))
    list(zip(Countdown(2), Sequence()))
    list(enumerate(Countdown(2)))
    list(iter(reads, 0))
    list(itertools.chain.from_iterable([Countdown(2), Sequence()]))
    list(itertools.takewhile(helper, Countdown(3)))
    list(itertools.accumulate(Countdown(3), lambda a, b: helper(a + b)))
    list(itertools.groupby(Countdown(4), key=lambda x: helper(x) // 2))
    sum(Countdown(3)), max(Countdown(3), key=helper), any(Countdown(2)), all(Countdown(2))
    collections.Counter(Countdown(3)).update(Countdown(2))
    2 in Countdown(4), 1 in Sequence()
    ",".join(str(helper(x)) for x in Countdown(2))
    [helper(x) + y for x in Countdown(2) for y in Countdown(x)]


def run():
    target()
    list(Countdown(2))
    target()


TARGETS = [target]
