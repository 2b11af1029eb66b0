# SPDX-License-Identifier: MIT
"""RecursionError, sys.exit and KeyboardInterrupt out of targets. The limit itself is not met here: the oracle takes levels of its own."""

import sys


def helper(value):
    return value


def deep(depth):
    helper(depth)
    if depth == 250:
        raise RecursionError
    return deep(depth + 1)


def overflow():
    try:
        deep(0)
    except RecursionError:
        helper("overflow")


def exits():
    helper("exit")
    sys.exit(3)


def interrupted():
    helper("interrupt")
    raise KeyboardInterrupt


def target(action):
    helper("target")
    action()


def run():
    for action in (exits, interrupted, exits):
        try:
            target(action)
        except (SystemExit, KeyboardInterrupt):
            helper("stopped")
    target(overflow)
    helper("end")


TARGETS = [target]
