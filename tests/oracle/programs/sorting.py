# SPDX-License-Identifier: MIT
"""sort, heapq, bisect and minima, with keys and comparisons in Python, some of which raise or sort themselves."""

import bisect
import functools
import heapq


def helper(value):
    return value


@functools.total_ordering
class Ordered:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return self.value == other.value

    def __lt__(self, other):
        return helper(self.value) < other.value


def compare(a, b):
    return helper(a - b)


def key(value):
    if value == 99:
        raise ValueError(helper(value))
    return helper(-value)


def sorts_inside(value):
    return sorted(range(value), key=key) if value > 1 else helper([value])


def target():
    values = [5, 3, 8, 1]
    sorted(values, key=key), sorted(values, key=functools.cmp_to_key(compare)), values.sort(key=sorts_inside, reverse=True)
    objects = [Ordered(v) for v in values]
    sorted(objects), sorted(objects, reverse=True), min(objects), max(objects, key=lambda o: helper(o.value)), objects[0] >= objects[1]
    heapq.heapify(objects)
    heapq.heappush(objects, Ordered(4)), heapq.heappop(objects), heapq.nsmallest(2, values, key=key), heapq.nlargest(3, values, key)
    list(heapq.merge([1, 4], [2, 3], key=helper))
    bisect.bisect(sorted(objects), Ordered(4)), bisect.insort([3, 2, 1], 2, key=key)
    try:
        sorted([1, 99, 2], key=key)
    except ValueError:
        helper("raised")


def run():
    target()
    sorted([2, 1], key=key)
    target()


TARGETS = [target]
