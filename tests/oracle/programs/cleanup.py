# SPDX-License-Identifier: MIT
"""finally, with, ExitStack and exception groups: every way out of a frame."""

import contextlib


def helper(value):
    return value


class Manager:
    def __init__(self, swallow=False, fail=None):
        self.swallow = swallow
        self.fail = fail

    def __enter__(self):
        if self.fail == "enter":
            raise OSError(helper("enter"))
        return helper(self)

    def __exit__(self, kind, value, traceback):
        helper(kind)
        if self.fail == "exit":
            raise OSError
        return self.swallow


def returns_in_finally():
    try:
        raise KeyError
    finally:
        return helper("finally")  # noqa: B012


def breaks_in_finally():
    for number in range(3):
        try:
            continue
        finally:
            helper(number)
            if number == 1:
                break  # noqa: B012
    else:
        helper("never")


def nested_managers():
    for fail in (None, "enter", "exit"):
        try:
            with Manager(), Manager(fail=fail), Manager(swallow=True):
                raise ValueError(helper("body"))
        except OSError:
            helper("failed")


def stacks():
    with contextlib.ExitStack() as stack:
        for number in range(3):
            stack.enter_context(Manager(swallow=number == 1))
        stack.callback(helper, "callback")
        stack.push(lambda kind, value, traceback: helper(False))
        raise RuntimeError


def groups():
    def fails(error):
        raise error(helper("group"))

    errors = []
    for error in (ValueError, TypeError, KeyError):
        try:
            fails(error)
        except Exception as caught:
            errors.append(caught)

    # In one frame a debug build's assertion fails, unprofiled too: what one except* leaves over has no traceback in the next.
    def inner():
        try:
            raise ExceptionGroup("several", errors)
        except* ValueError as group:
            helper(len(group.exceptions))
        except* TypeError:
            raise OSError from None

    try:
        inner()
    except* KeyError:
        helper("key")
    except* OSError:
        helper("os")


def suppresses():
    with contextlib.suppress(ZeroDivisionError):
        helper(1 / 0)
    with contextlib.closing(Closes()), contextlib.nullcontext(helper("null")):
        helper("inside")


class Closes:
    def close(self):
        helper("closed")


def chained(depth):
    try:
        if depth == 0:
            raise KeyError(helper(depth))
        chained(depth - 1)
    except Exception as error:
        raise ValueError(depth) from error


def target():
    returns_in_finally()
    breaks_in_finally()
    nested_managers()
    stacks()
    groups()
    suppresses()
    try:
        chained(5)
    except ValueError:
        helper("chained")


def run():
    target()
    nested_managers()
    target()


TARGETS = [target]
