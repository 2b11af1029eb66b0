# SPDX-License-Identifier: MIT
"""RecursionError, sys.exit and KeyboardInterrupt out of targets."""

import sys


def helper(value):
    return value


def endless(depth):
    helper(depth)
    return endless(depth + 1)


def overflow():
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    try:
        endless(0)
    except RecursionError:
        helper("overflow")
    finally:
        sys.setrecursionlimit(old)


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
