# SPDX-License-Identifier: MIT
"""contextlib: generator context managers, ExitStack, suppress, closing; with statements that swallow."""

import contextlib


def helper(value):
    return value


@contextlib.contextmanager
def managed(name):
    helper(name)
    try:
        yield name
    except KeyError:
        helper("swallowed")
    finally:
        helper("left")


class Manager(contextlib.ContextDecorator):
    def __enter__(self):
        return helper(self)

    def __exit__(self, kind, value, traceback):
        helper(kind)
        return kind is OSError


@Manager()
def decorated():
    helper("decorated")
    raise OSError


@managed("as decorator")
def also_decorated():
    return helper("also")


def target():
    with managed("a"), managed("b"):
        helper("body")
    with managed("c"):
        raise KeyError
    with contextlib.suppress(ValueError):
        with managed("d"):
            raise ValueError
    with contextlib.ExitStack() as stack:
        stack.enter_context(managed("e"))
        stack.callback(helper, "callback")
        stack.enter_context(Manager())
    decorated()
    also_decorated()


def run():
    target()
    helper("between")


TARGETS = [target]
