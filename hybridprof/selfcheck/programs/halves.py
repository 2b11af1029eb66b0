# SPDX-License-Identifier: MIT
"""A half that calls a tiny function and a half that loops without calls, in mixes of one or two of each. Read as text: see `programs`."""


def tiny(value):
    return value + 1


# Results stay below 256, where ints are not allocated: nothing of tiny's work is left for its caller to clear away.
def hot():
    for number in range(20):
        value = tiny(number)  # noqa: F841


def cold():
    value = 0
    for number in range(60):
        value += number


def empty():
    pass


def mix_1_1(rounds):
    for _ in range(rounds):
        hot(); cold()  # fmt: skip  # noqa: E702


def mix_2_1(rounds):
    for _ in range(rounds):
        hot(); hot(); cold()  # fmt: skip  # noqa: E702


def mix_1_2(rounds):
    for _ in range(rounds):
        hot(); cold(); cold()  # fmt: skip  # noqa: E702


def mix_2_2(rounds):
    for _ in range(rounds):
        hot(); hot(); cold(); cold()  # fmt: skip  # noqa: E702


def mix_empty(rounds):
    for _ in range(rounds):
        hot(); cold(); empty()  # fmt: skip  # noqa: E702
