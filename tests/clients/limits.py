# SPDX-License-Identifier: MIT
"""What no writer can make a client show right, as data: formats/README.md has the same table for its readers (a test holds them together).

The tests take these cells out of a comparison and nothing else; where a profile has such cells for certain, they also hold that the client
is still wrong there, so that a limit goes when the client gets better.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from clients.expected import Function, Held, Numbers

KeyOf = Callable[[Function], Hashable]


@dataclass(frozen=True)
class Limit:
    client: str
    cells: str  # as formats/README.md says it
    where: str
    numbers: tuple[str, ...]  # fields of Numbers that are taken out
    concerns: Callable[[Held, KeyOf], set[Hashable]]

    def take_out(self, held: Held, key_of: KeyOf, rows: dict[Hashable, Numbers]) -> int:
        """How many cells that were."""
        concerned = self.concerns(held, key_of) & rows.keys()
        for key in concerned:
            for name in self.numbers:
                setattr(rows[key], name, None)
        return len(concerned) * len(self.numbers)


def everywhere(held: Held, key_of: KeyOf) -> set[Hashable]:
    return {key_of(function) for function in held.functions}


def nowhere(held: Held, key_of: KeyOf) -> set[Hashable]:
    """The client shows no rows for what is concerned: whoever compares knows which it shows."""
    return set()


GPROF2DOT_COLLAPSED = Limit(
    "gprof2dot on collapsed",
    "total time",
    "in a cycle of the call graph, and beneath it",
    ("total_ns",),
    lambda held, key_of: held.beneath_cycles(key_of),
)
GPROF2DOT_CALLGRIND = Limit(
    "gprof2dot on callgrind",
    "total time",
    "where A calls B in one stack and B calls A in another, and beneath them",
    ("total_ns",),
    lambda held, key_of: held.beneath_cycles(key_of, loop_erased=True),
)
CALLGRIND_CALLED = Limit(
    "gprof2dot and KCachegrind on callgrind",
    "calls (Called)",
    "of a function that is entered again: those calls are not among them; and beneath a caller whose calls were not counted (it was sampled, or is"
    " the row above threads): it counts as one; the event `Calls_exact` is right",
    ("calls", "primitive_calls"),
    lambda held, key_of: held.miscalled(key_of),
)
SPEEDSCOPE_CALLS = Limit("speedscope on callgrind", "calls", "everywhere: it shows none, but as the event `Calls_exact`", (), nowhere)
SPEEDSCOPE_CROSSED = Limit(
    "speedscope on callgrind",
    "all times",
    "where A calls B in one stack and B calls A in another, and beneath them",
    ("self_ns", "total_ns"),
    lambda held, key_of: held.beneath_cycles(key_of, loop_erased=True),
)
SPEEDSCOPE_FOLDS = Limit(
    "speedscope on callgrind",
    "times",
    "of calls that take less than 0.01 % of the whole: they stand in their caller's self time",
    (),
    nowhere,
)
GPROF2DOT_PRIMITIVE = Limit("gprof2dot on pstats", "primitive calls", "everywhere: it shows all calls", ("primitive_calls",), everywhere)
DOT_LARGE = Limit(
    "dot, which draws what gprof2dot writes",
    "the picture",
    "of more than some 300 functions: it takes minutes; by default gprof2dot leaves out what takes less than 0.5 %",
    (),
    nowhere,
)
KCACHEGRIND_CYCLES = Limit(
    "KCachegrind, with cycle detection (its default)",
    "Incl.",
    "where A calls B in one stack and B calls A in another: `<cycle n>` has the total",
    ("total_ns",),
    lambda held, key_of: held.in_cycles(key_of, loop_erased=True),
)
TUNA_SHARED = Limit(
    "tuna",
    "time",
    "beneath a function with two callers, which it does not draw, and in boxes of less than a pixel",
    (),
    nowhere,
)
DEEP_PYTHON = Limit(
    "gprof2dot on callgrind and collapsed, tuna",
    "everything",
    "of a stack of more than some 480 different functions: Python's limit of recursion ends them",
    (),
    nowhere,
)
DEEP_SPEEDSCOPE = Limit(
    "speedscope, on every format", "everything", "of a stack of some 5,000 different functions: its own stack overflows", (), nowhere
)
LARGE = Limit(
    "pprof's `-top`, flamegraph.pl, inferno, speedscope, the Firefox Profiler",
    "the last digits",
    "of numbers above 2\u2075\u00b3 (104 days in ns): they calculate with doubles",
    (),
    nowhere,
)
SNAKEVIZ_PATH = Limit("snakeviz", "the whole page", "where the path of a source file holds `</script`", (), nowhere)

LIMITS = (
    GPROF2DOT_COLLAPSED,
    GPROF2DOT_CALLGRIND,
    CALLGRIND_CALLED,
    SPEEDSCOPE_CALLS,
    SPEEDSCOPE_CROSSED,
    SPEEDSCOPE_FOLDS,
    GPROF2DOT_PRIMITIVE,
    DOT_LARGE,
    KCACHEGRIND_CYCLES,
    TUNA_SHARED,
    SNAKEVIZ_PATH,
    DEEP_PYTHON,
    DEEP_SPEEDSCOPE,
    LARGE,
)
