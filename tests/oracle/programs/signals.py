# SPDX-License-Identifier: MIT
"""Signal handlers run on top of whatever runs, and may raise through it."""

import signal


class Interrupt(Exception):
    pass


def helper(value):
    return value


def handler(number, _frame):
    helper(number)


def raising_handler(number, _frame):
    helper(number)
    raise Interrupt


def raised(count):
    for _ in range(count):
        signal.raise_signal(signal.SIGUSR1)
        for _ in range(3):
            pass
    helper(count)


def deep(depth):
    if depth == 0:
        raised(1)
        return
    deep(depth - 1)
    helper(depth)


def target():
    raised(3)
    before = signal.signal(signal.SIGUSR1, raising_handler)
    try:
        deep(4)
    except Interrupt:
        helper("interrupted")
    finally:
        signal.signal(signal.SIGUSR1, before)
    deep(2)


def run():
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        target()
        raised(2)
        target()
    finally:
        signal.signal(signal.SIGUSR1, before)


TARGETS = [target]
