# SPDX-License-Identifier: MIT
"""Which stacks a program can have, and what the sampler says that it had.

A Program says who may call each of its functions; a sampled stack with another edge in it cannot have existed. Functions of the standard
library are written ~QUALNAME: among themselves they may call as they like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hybridprof import _core

Stack = tuple[str, ...]
SOURCES = ("<chains>", "<stress>")
OUR_FILES = ("stress/programs.py", "stress/callbacks.py", "stress/oracle.py")
SURROUNDINGS = ("<module>", "main", "measure")
RUNS = ("python", "c", "gc")  # states of a thread that holds the GIL
# Run by whoever drops the last reference, or by the collector, whatever happens to run then.
ANYWHERE = frozenset({"~WeakSet.__init__.<locals>._remove", "~WeakValueDictionary.__init__.<locals>.remove"})


@dataclass(frozen=True)
class Program:
    run: Callable[[float], None]
    callers: dict[str, set[str]] = field(default_factory=dict)
    makers: dict[str, set[str]] = field(default_factory=dict)  # who makes a generator or coroutine: its callee for a moment, as a leaf
    users: frozenset[str] = frozenset()  # who calls the library
    roots: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()  # what must have been met, or nothing was tested
    rate: float = 8000
    judge: Callable[[Stack], bool] | None = None  # in addition to the edges, or in place of them where there are none

    def legal(self, stack: Stack) -> bool:
        if self.judge is not None and not self.judge(stack):
            return False
        if not self.callers or stack == ("<unresolved>",):
            return True
        if not stack or stack[0] not in {"<module>", "~Thread._bootstrap", *self.roots}:
            return False
        leaf = len(stack) - 2
        return all(self._edge(caller, callee, at == leaf) for at, (caller, callee) in enumerate(pairwise(stack)))

    def _edge(self, caller: str, callee: str, is_leaf: bool) -> bool:
        if callee == "<unresolved>" or callee in ANYWHERE:
            return True
        if callee.startswith("~"):
            return caller.startswith("~") or caller in self.users or caller in SURROUNDINGS
        if callee in SURROUNDINGS[1:]:
            return SURROUNDINGS[SURROUNDINGS.index(callee) - 1] == caller
        return caller in self.callers.get(callee, ()) or (is_leaf and caller in self.makers.get(callee, ()))


def chain_callers(**entries: set[str]) -> dict[str, set[str]]:
    """Edges within the chains a to d, and who calls the first function of each."""
    edges = {f"{chain}{depth}": {f"{chain}{depth - 1}"} for chain in "abcd" for depth in range(1, 6)}
    return edges | {f"{chain}0": who for chain, who in entries.items()}


def _label(row: tuple[Any, ...]) -> str:
    name, file = str(row[0]), str(row[3])
    if file in ("<even>", "<odd>"):
        return f"{file}:{name}"
    return name if file in SOURCES or file.endswith(OUR_FILES) or row[13] == "synthetic" else f"~{name}"


def labelled_stacks(profile: Any) -> Counter[Stack]:
    """Samples by stack, outermost first, without the thread's own node."""
    labels = [_label(row) for row in profile.functions()]
    paths: list[Stack] = []
    stacks: Counter[Stack] = Counter()
    for parent, function, _calls, _self_ns, _total_ns, samples, _measured in profile.nodes():
        outside = parent <= 0  # the root and the threads
        paths.append(() if outside else (*paths[parent], labels[function]))
        if samples and paths[-1]:
            stacks[paths[-1]] += samples
    return stacks


def measure(program: Program, seconds: float, method: str, rate: float) -> None:
    _core.start(rate=rate, method=method)  # type: ignore[arg-type]
    program.run(seconds)
    _core.stop()


def found(program: Program) -> dict[str, Any]:
    """Of the session that ended last."""
    status = _core.status()
    profile = _core.snapshot()
    stacks = labelled_stacks(profile)
    wrong = {" > ".join(stack[-12:]): samples for stack, samples in stacks.items() if not program.legal(stack)}
    met = {name for stack in stacks for name in stack}
    return {
        **status["samples"],
        "method": status["sampler_method"],
        "in_stacks": sum(stacks.values()),
        # Of threads that ran: those that wait show the stack of their last sample again.
        "running": sum(row[2] for row in profile.lines() if row[4] in RUNS),
        "impossible": dict(Counter(wrong).most_common(12)),
        "impossible_samples": sum(wrong.values()),
        "not_seen": sorted(program.seen - met),
    }
