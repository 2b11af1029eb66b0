# SPDX-License-Identifier: MIT
"""Finalisers run with the caller of the frame whose locals die; weakref callbacks; cycles."""

import gc
import weakref


def helper(value):
    return value


class Noisy:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        helper(self.name)


def local_dies():
    noisy = Noisy("local")
    return noisy.name


def generator_dies():
    generator = suspended()
    next(generator)
    return 1


def suspended():
    try:
        yield 1
        yield 2
    finally:
        helper("suspended")


def replaced():
    value = Noisy("first")
    value = Noisy("second")
    return value.name


def cyclic():
    noisy = Noisy("cycle")
    noisy.me = noisy
    del noisy
    gc.collect()


def weak():
    noisy = Noisy("weak")
    reference = weakref.ref(noisy, gone)
    del noisy
    return reference


def gone(reference):
    helper(reference)


def returned():
    return Noisy("returned")


def raises():
    noisy = Noisy("raising")
    raise ValueError(noisy.name)


def target():
    noisy = Noisy("target")
    local_dies()
    generator_dies()
    replaced()
    cyclic()
    weak()
    returned()
    try:
        raises()
    except ValueError:
        helper("caught")
    return noisy.name


def run():
    target()
    helper("between")
    target()


TARGETS = [target]
