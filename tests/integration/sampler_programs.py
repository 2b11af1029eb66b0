# SPDX-License-Identifier: MIT
"""Programs whose legal stacks are known, and what to do with the stacks that were sampled."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

Stack = tuple[str, ...]


def sampled_stacks(profile: Any) -> Counter[Stack]:
    """Samples by stack of qualified names, outermost first, without the thread's own node."""
    names = [row[0] for row in profile.functions()]
    paths: list[Stack] = []
    stacks: Counter[Stack] = Counter()
    for parent, function, _calls, _self_ns, _total_ns, samples, _measured in profile.nodes():
        above = paths[parent] if parent >= 0 else ()
        is_thread = parent == 0
        paths.append(above if parent < 0 or is_thread else (*above, names[function]))
        if samples:
            stacks[paths[-1]] += samples
    return stacks


# Four chains of six functions each, the same shape at the same depth: reading one half-way through a change gives a mix of two.
_CHAINS = "\n".join(
    f"def {chain}{depth}():\n    {'pass' if depth == 5 else f'{chain}{depth + 1}(); {chain}{depth + 1}()'}"
    for chain in "abcd"
    for depth in range(6)
)
chains: dict[str, Callable[[], None]] = {}
exec(compile(_CHAINS, "<chains>", "exec"), chains)  # type: ignore[arg-type]


def _generator(chain: str) -> Iterator[None]:
    step = chains[f"{chain}3"]
    while True:
        step()
        yield


class Compares:
    def __lt__(self, other: object) -> bool:
        chains["c3"]()
        return False


class Constructs:
    def __init__(self) -> None:
        chains["d3"]()


def drive_a(generator: Iterator[None]) -> None:
    next(generator)
    chains["a0"]()


def drive_b(generator: Iterator[None]) -> None:
    next(generator)
    chains["b0"]()


def drive_c() -> None:
    sorted([Compares(), Compares(), Compares()])
    chains["c0"]()


def drive_d() -> None:
    Constructs()
    chains["d0"]()


def descend(levels: int) -> None:
    if levels:
        descend(levels - 1)
    else:
        chains["a4"]()


def chains_program(seconds: float) -> None:
    """Calls, generators, callbacks from C, construction, recursion over several stack chunks and short threads, as fast as it can."""
    generator_a, generator_b = _generator("a"), _generator("b")
    end = time.perf_counter() + seconds
    turn = 0
    while time.perf_counter() < end:
        drive_a(generator_a)
        drive_b(generator_b)
        drive_c()
        drive_d()
        turn += 1
        if turn % 50 == 0:
            descend(600)
        if turn % 200 == 0:
            thread = threading.Thread(target=chains["b0"])
            thread.start()
            thread.join()
    generator_a.close()
    generator_b.close()


# Who may call the first function of a chain that is met, and which one it is.
_ENTRIES = {
    "a": {"drive_a": 0, "_generator": 3, "descend": 4},
    "b": {"drive_b": 0, "_generator": 3, "Thread.run": 0},
    "c": {"drive_c": 0, "Compares.__lt__": 3},
    "d": {"drive_d": 0, "Constructs.__init__": 3},
}
_CALLERS = {
    "Compares.__lt__": {"drive_c"},
    "Constructs.__init__": {"drive_d"},
    "_generator": {"drive_a", "drive_b"},
    "descend": {"chains_program", "descend"},
    **{f"drive_{chain}": {"chains_program"} for chain in "abcd"},
}


def _in_chain(name: str) -> bool:
    return len(name) == 2 and name[0] in "abcd" and name[1].isdigit()


def _edge_is_legal(caller: str, callee: str) -> bool:
    if callee == "<unresolved>":
        return True
    if _in_chain(callee):
        if _in_chain(caller):
            return caller[0] == callee[0] and int(callee[1]) == int(caller[1]) + 1
        return _ENTRIES[callee[0]].get(caller) == int(callee[1])
    if _in_chain(caller):
        return False
    return callee not in _CALLERS or caller in _CALLERS[callee]


def _at_a_generators_ends(stack: Stack) -> bool:
    """chains_program itself makes the generators and closes them: then, and only as the innermost frame, they are its callees."""
    return stack[-2:] == ("chains_program", "_generator")


def impossible(stacks: Counter[Stack]) -> dict[Stack, int]:
    """The stacks that chains_program cannot have had."""
    return {
        stack: samples
        for stack, samples in ((whole[:-1] if _at_a_generators_ends(whole) else whole, count) for whole, count in stacks.items())
        if not all(_edge_is_legal(caller, callee) for caller, callee in pairwise(stack)) or (stack and _in_chain(stack[0]))
    }
