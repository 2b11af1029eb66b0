# SPDX-License-Identifier: MIT
"""A target that is a generator itself: its extent is what runs between its resumes and its yields."""


def helper(value):
    return value


def outside(value):
    return helper(value)


def target(limit):
    for number in range(limit):
        received = yield helper(number)
        if received is not None:
            helper(received)


def outer_target(limit):
    yield from target(limit)
    helper("outer")


def inner_source():
    try:
        while True:
            yield helper("source")
    except ValueError:
        helper("cleaning")
        yield "last"


def throw_target():
    yield from inner_source()


def run():
    for value in target(4):
        outside(value)
    generator = target(3)
    next(generator)
    outside(1)
    generator.send("x")
    outside(2)
    generator.close()
    for value in outer_target(2):
        outside(value)
    thrown = throw_target()
    next(thrown)
    outside(3)
    thrown.throw(ValueError("v"))
    outside(4)
    list(thrown)
    outside(5)


TARGETS = [target, outer_target, throw_target]
