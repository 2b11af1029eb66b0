# SPDX-License-Identifier: MIT
"""Calls, generators, callbacks from C, construction and deep recursion, as fast as it can; `legal` knows every stack that it can have.

Four chains of six functions have the same shape at the same depth: a stack that is read half-way through a change is a mix of two.
Read as text: see `programs`."""

from itertools import pairwise
from time import perf_counter

for chain in "abcd":
    for depth in range(6):
        exec(f"def {chain}{depth}():\n    {'pass' if depth == 5 else f'{chain}{depth + 1}(); {chain}{depth + 1}()'}")


def endless_a():
    while True:
        a3()  # noqa: F821
        yield


def endless_b():
    while True:
        b3()  # noqa: F821
        yield


class Compares:
    def __lt__(self, other):
        c3()  # noqa: F821
        return False


class Constructs:
    def __init__(self):
        d3()  # noqa: F821


def drive_a(generator):
    next(generator)
    a0()  # noqa: F821


def drive_b(generator):
    next(generator)
    b0()  # noqa: F821


def drive_c():
    sorted([Compares(), Compares(), Compares()])
    c0()  # noqa: F821


def drive_d():
    Constructs()
    d0()  # noqa: F821


def descend(levels):
    if levels:
        descend(levels - 1)
    else:
        a4()  # noqa: F821


def run(seconds):
    generator_a, generator_b = endless_a(), endless_b()
    end = perf_counter() + seconds
    turn = 0
    while perf_counter() < end:
        drive_a(generator_a)
        drive_b(generator_b)
        drive_c()
        drive_d()
        turn += 1
        if turn % 50 == 0:
            descend(600)
    # Dropped while this frame is taken away they would run beneath the caller.
    generator_a.close()
    generator_b.close()


CALLERS = {
    **{f"{chain}{depth}": {f"{chain}{depth - 1}"} for chain in "abcd" for depth in range(1, 6)},
    **{f"{chain}0": {f"drive_{chain}"} for chain in "abcd"},
    **{f"drive_{chain}": {"run"} for chain in "abcd"},
    # Who makes a generator meets its first instruction, and who closes it its last.
    "endless_a": {"drive_a", "run"},
    "endless_b": {"drive_b", "run"},
    "Compares.__lt__": {"drive_c"},
    "Constructs.__init__": {"drive_d"},
    "descend": {"run", "descend"},
}
CALLERS["a3"] = {"a2", "endless_a"}
CALLERS["b3"] = {"b2", "endless_b"}
CALLERS["c3"] = {"c2", "Compares.__lt__"}
CALLERS["d3"] = {"d2", "Constructs.__init__"}
CALLERS["a4"] = {"a3", "descend"}
MUST_BE_MET = {"a5", "b5", "c5", "d5", "descend"}


def legal(stack):
    """Whether the program can have had it: qualified names from `run` on, the innermost last; `<unresolved>` may stand at the end."""
    if stack[0] != "run" or (len(stack) > 2 and stack[1].startswith("endless")):  # made and closed by run, driven by others
        return False
    return all(callee == "<unresolved>" or caller in CALLERS.get(callee, ()) for caller, callee in pairwise(stack))
