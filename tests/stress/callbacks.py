# SPDX-License-Identifier: MIT
"""C code that calls back into Python, in every way that enters the evaluation loop anew; one of the programs of programs.py."""

from __future__ import annotations

import ctypes
import functools
import re
import time
from typing import Any

from integration.sampler_programs import chains


def key_a(item: int) -> int:
    chains["a2"]()
    return -item


def sort_a() -> None:
    sorted((3, 1, 2), key=key_a)


def step_b(total: int, item: int) -> int:
    chains["b2"]()
    return total + item


def reduce_b() -> None:
    functools.reduce(step_b, (1, 2, 3), 0)


def replace_c(match: re.Match[str]) -> str:
    chains["c2"]()
    return match[0]


_DIGIT = re.compile("[0-9]")


def sub_c() -> None:
    _DIGIT.sub(replace_c, "a1b2c3")


def compare_d(left: Any, right: Any) -> int:
    chains["d2"]()
    return int(left[0]) - int(right[0])


_COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
_compare_d = _COMPARE(compare_d)
_qsort = ctypes.CDLL(None).qsort
_qsort.restype = None


def qsort_d() -> None:
    _qsort((ctypes.c_int * 4)(4, 1, 3, 2), 4, ctypes.sizeof(ctypes.c_int), _compare_d)


class Dies:
    def __del__(self) -> None:
        chains["a4"]()


class Odd:
    def __init__(self) -> None:
        chains["b4"]()

    def __hash__(self) -> int:
        chains["c4"]()
        return 1

    def __eq__(self, other: object) -> bool:
        chains["d4"]()
        return False


def die_a() -> None:
    Dies()


def construct_b() -> None:
    Odd()


_KEYS = (Odd(), Odd())


def hash_c() -> None:
    {_KEYS[0]: 1, _KEYS[1]: 2}


def nest(levels: int) -> int:
    """Through C at each level: the chain of frames has a shim, or an entry frame, for each."""
    return max((levels,), key=nest_key) if levels else 0


def nest_key(levels: int) -> int:
    return nest(levels - 1)


def callbacks(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sort_a()
        reduce_b()
        sub_c()
        qsort_d()
        die_a()
        construct_b()
        hash_c()
        nest(20)


def callbacks_callers() -> dict[str, set[str]]:
    outer = {name: {"callbacks"} for name in ("sort_a", "reduce_b", "sub_c", "qsort_d", "die_a", "construct_b", "hash_c")}
    inner = {"key_a": "sort_a", "step_b": "reduce_b", "replace_c": "sub_c", "compare_d": "qsort_d", "Dies.__del__": "die_a"}
    inner |= {"Odd.__init__": "construct_b", "Odd.__hash__": "hash_c", "Odd.__eq__": "hash_c", "nest_key": "nest"}
    entries = {
        "a": ("key_a", "Dies.__del__"),
        "b": ("step_b", "Odd.__init__"),
        "c": ("replace_c", "Odd.__hash__"),
        "d": ("compare_d", "Odd.__eq__"),
    }
    callers = outer | {callee: {caller} for callee, caller in inner.items()}
    for chain, (at_2, at_4) in entries.items():
        callers |= {f"{chain}2": {at_2}, f"{chain}3": {f"{chain}2"}, f"{chain}4": {f"{chain}3", at_4}, f"{chain}5": {f"{chain}4"}}
    return callers | {"callbacks": {"measure"}, "nest": {"callbacks", "nest_key"}}
