# SPDX-License-Identifier: MIT
"""Plain work, at any depth, and calls that do nothing else. Read as text: see `programs`."""


def work(rounds):
    """Calls, attributes, lists and numbers."""
    total = 0
    for number in range(rounds):
        parts = [str(part) for part in range(number % 40)]
        total += len("".join(parts)) + sum(map(len, parts))
    return total


def deeper(levels, function):
    if levels:
        deeper(levels - 1, function)
    else:
        function()


def leaf():
    pass


def add(one, two):
    return one + two


def loop(count):
    for number in range(count):
        leaf()
        add(number, 1)


def target(count):
    for number in range(count):
        leaf()
        add(number, 1)
