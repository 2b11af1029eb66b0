# SPDX-License-Identifier: MIT
"""What was measured: finished, immutable data with names, times in ns and, for what was sampled, error bars.

A Profile stands over the core's plain tuples; rows, edges and the tree are made from them when first asked for, because
most profiles are only written to a file, which needs none of them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

if TYPE_CHECKING:
    import pstats
    from collections.abc import Iterable, Sequence

    from .difference import Compare, Diff

Measured = Literal["exact", "sampled", "mixed"]
Kind = Literal["python", "c", "block", "synthetic", "thread"]
State = Literal["unknown", "python", "c", "gc", "native", "gil", "lock", "sleep", "io"]

# What a thread was doing when it was sampled. Running: Python code; C code that Python code called, holding the GIL; garbage collection; code
# that runs without the GIL. Waiting: for the GIL, for another lock, for a time to pass, in another system call; or the system did not say.
RUNNING: tuple[State, ...] = ("python", "c", "gc", "native")
WAITING: tuple[State, ...] = ("gil", "lock", "sleep", "io", "unknown")


def state_names(states: Iterable[str]) -> list[str]:
    """With "running" and "waiting" written out. Raises ValueError for what is no state."""
    names: list[str] = []
    for state in states:
        names += {"running": RUNNING, "waiting": WAITING}.get(state, (state,))
    for name in names:
        if name not in (*RUNNING, *WAITING):
            raise ValueError(f"there is no state {name!r}; use one of running, waiting, {', '.join((*RUNNING, *WAITING))}")
    return names


class CoreProfile(Protocol):
    """What a Profile needs of `_core.Profile`; `disabled` has one that is empty."""

    def meta(self) -> dict[str, Any]: ...
    def functions(self) -> list[tuple[str, str, str, str, int, int | None, int | None, int, int, int, int, str, int, str]]: ...
    def edges(self) -> list[tuple[int, int, int | None, int | None, int, int, str]]: ...
    def nodes(self) -> list[tuple[int, int, int | None, int, int, int, str]]: ...
    def errors(self) -> dict[str, list[tuple[Any, ...]]]: ...
    def threads(self) -> list[dict[str, Any]]: ...
    def lines(self) -> list[tuple[int, int, int, int, str]]: ...
    def sources(self) -> list[dict[str, Any]]: ...
    def timeline(self) -> tuple[int, int] | None: ...
    def left_out(self) -> int: ...
    def select(self, states: Sequence[str], /) -> CoreProfile: ...
    def write(self, path: str, format: str | None = None) -> None: ...
    def encode(self, format: str) -> bytes: ...
    def write_to(self, descriptor: int, format: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Function:
    """One row of the table.

    name: qualified name, such as `Cart.total`. calls, primitive_calls (those that were not already on the stack): exact counts, a lower
    bound where measured is "mixed", None where it is "sampled". self_ns, total_ns: ns; total counts once per stack. self_error_ns,
    total_error_ns: ns, half width of the 95 % interval, 0 where exact. samples: stacks that ended in it.
    """

    name: str
    module: str
    file: str
    line: int
    calls: int | None
    primitive_calls: int | None
    self_ns: int
    total_ns: int
    self_error_ns: int
    total_error_ns: int
    measured: Measured
    samples: int
    kind: Kind

    @property
    def time_lower_bound(self) -> bool:
        """Some of its calls were not traced, and there was no sampler to meet them: self_ns and total_ns are lower bounds, as calls is."""
        return self.measured == "mixed" and self.kind != "thread" and not self.total_error_ns


@dataclass(frozen=True, slots=True)
class Edge:
    """Who called whom. caller is None at the root of a thread; calls, self_ns and total_ns (ns) are the callee's under this caller.

    self_error_ns, total_error_ns: ns, half width of the 95 % interval. Where only some of the callee's samples are this caller's, how often
    they came and went was not counted: the error is that of independent samples, wider than the function's. 0 where exact, and for pstats
    files, which keep none.
    """

    caller: Function | None
    callee: Function
    calls: int | None
    primitive_calls: int | None
    self_ns: int
    total_ns: int
    measured: Measured
    self_error_ns: int = 0
    total_error_ns: int = 0

    @property
    def time_lower_bound(self) -> bool:
        """As a function's."""
        return self.measured == "mixed" and self.callee.kind != "thread" and not self.total_error_ns


@dataclass(slots=True, eq=False)
class Node:
    """A calling context: this function, called by the parent's function, and so on. function is None at the root. Times in ns, errors as
    an edge's."""

    function: Function | None
    calls: int | None
    self_ns: int
    total_ns: int
    samples: int
    measured: Measured
    parent: Node | None = field(repr=False)
    children: list[Node] = field(default_factory=list, repr=False)
    self_error_ns: int = 0
    total_error_ns: int = 0

    @property
    def time_lower_bound(self) -> bool:
        """As a function's."""
        is_thread = self.function is None or self.function.kind == "thread"
        return self.measured == "mixed" and not is_thread and not self.total_error_ns


@dataclass(frozen=True, slots=True)
class Line:
    """Sampled self time (ns) of one calling context on one line (0: not known) in one state of the thread."""

    node: Node
    line: int
    state: State
    samples: int
    self_ns: int


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread. measured_ns = sampled_ns + exact_ns + overhead_ns + residual_ns, all ns; traced_samples were taken beneath targets
    and add no time. root: its node in the tree, None if it has none."""

    name: str
    native_id: int
    root: Node | None
    samples: int
    traced_samples: int
    measured_ns: int
    sampled_ns: int
    exact_ns: int
    overhead_ns: int
    unresolved_ns: int
    residual_ns: int


@dataclass(frozen=True, slots=True)
class Source:
    """One of the profiles that a profile was merged from. started: ISO 8601 in UTC; duration_ns: ns; rate_hz: Hz, 0 without a sampler."""

    profile_id: str
    python: str
    implementation: str
    platform: str
    pid: int
    argv: list[str]
    started: str
    duration_ns: int
    rate_hz: float
    samples_kept: int
    clock: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """samples: that are in the order of time. lost: that were taken and are not among them."""

    samples: int
    lost: int


class Profile:
    """A finished profile; see `snapshot`, `Profiler.profile` and `load`. Any thread may use it."""

    def __init__(self, core: CoreProfile) -> None:
        self._core = core

    def __repr__(self) -> str:
        meta = self.meta
        return f"<Profile of {len(self._core.functions())} functions, {meta.get('duration_ns', 0) / 1e9:.3f} s>"

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Where, when and how it was measured: the keys of `hybridprof info --json`."""
        return self._core.meta()

    @cached_property
    def functions(self) -> list[Function]:
        """One row per function, as the core orders them."""
        return [
            Function(
                qualname,
                module,
                file,
                line,
                calls,
                primitive,
                own,
                total,
                own_error,
                total_error,
                cast(Measured, measured),
                samples,
                cast(Kind, kind),
            )
            for qualname, module, _, file, line, calls, primitive, own, total, own_error, total_error, measured, samples, kind in self._core.functions()
        ]

    @cached_property
    def edges(self) -> list[Edge]:
        """Callers and callees."""
        rows = self.functions
        return [
            Edge(rows[caller] if caller >= 0 else None, rows[callee], calls, primitive, own, total, cast(Measured, measured), *errors)
            for (caller, callee, calls, primitive, own, total, measured), errors in zip(
                self._core.edges(), self._errors["edges"], strict=True
            )
        ]

    @cached_property
    def _errors(self) -> dict[str, list[tuple[Any, ...]]]:
        return self._core.errors()

    @cached_property
    def _nodes(self) -> list[Node]:
        rows = self.functions
        nodes: list[Node] = []
        for (parent, function, calls, own, total, samples, measured), errors in zip(self._core.nodes(), self._errors["nodes"], strict=True):
            above = nodes[parent] if parent >= 0 else None
            of = rows[function] if function >= 0 else None
            node = Node(of, calls, own, total, samples, cast(Measured, measured), above, [], *errors)
            if above is not None:
                above.children.append(node)
            nodes.append(node)
        return nodes

    @cached_property
    def tree(self) -> Node:
        """The root of the calling-context tree; its children are the threads. It has no children where the file held no tree (pstats)."""
        return self._nodes[0] if self._nodes else Node(None, None, 0, 0, 0, "sampled", None)

    @cached_property
    def threads(self) -> list[Thread]:
        """The threads, in the order in which they appeared."""
        names = [each.name for each in fields(Thread)]
        return [
            Thread(
                **{name: thread[name] for name in names if name != "root"},
                root=None if thread["root"] is None else self._nodes[thread["root"]],
            )
            for thread in self._core.threads()
        ]

    @cached_property
    def _thread_errors(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Of the self and total time that a function has in one thread, by identity of the thread's root and of the function."""
        nodes, rows = self._nodes, self.functions
        return {(id(nodes[root]), id(rows[function])): (own, total) for root, function, own, total in self._errors["threads"]}

    @cached_property
    def _state_errors(self) -> dict[tuple[int, State], float]:
        """Of a function's self time in one state, by identity. Contexts exclude one another, so that adding up squares is cautious."""
        squares: dict[tuple[int, State], float] = {}
        for node, state, own in self._errors["states"]:
            key = id(self._nodes[node].function), cast(State, state)
            squares[key] = squares.get(key, 0.0) + float(own) ** 2
        return {key: each**0.5 for key, each in squares.items()}

    @cached_property
    def lines(self) -> list[Line]:
        """Sampled self time by line and state."""
        nodes = self._nodes
        return [Line(nodes[node], line, cast(State, state), samples, ns) for node, line, samples, ns, state in self._core.lines()]

    @cached_property
    def states(self) -> dict[State, int]:
        """Sampled time (ns) by state, the largest first.

        "c" is time in C functions that were called. Where a call does not say what it calls (callees that change, `*arguments` before 3.15,
        keywords before 3.14, other tools that watch calls), entering a Python function there is "c" too. What operators, attributes and
        iteration do in C is "python".
        """
        sums: dict[State, int] = {}
        for _node, _line, _samples, ns, state in self._core.lines():
            sums[cast(State, state)] = sums.get(cast(State, state), 0) + ns
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def select(self, *states: str) -> Profile:
        """The samples in these states, as a profile of its own. Exact times and counts have no state and are left out.

        states: names of `states`, "running" or "waiting". Raises ValueError for another name.
        """
        return Profile(self._core.select(state_names(states)))

    @cached_property
    def spared(self) -> dict[str, float]:
        """What a budget (`deep="auto"` has one) left to the sampler, `module.name`, and how much of a core (percent) its calls would have taken; the
        dearest where several profiles were merged."""
        found: dict[str, float] = {}
        for name, percent in re.findall(r"(.+?) \((\d[\d.e+-]*) %\)(?:, |$)", str(self.meta.get("tracing_spared", ""))):
            found[name] = max(found.get(name, 0.0), float(percent))
        return found

    @cached_property
    def sources(self) -> list[Source]:
        """What was merged into this profile, by id; the profile itself where nothing was."""
        return [Source(**each) for each in self._core.sources()]

    @property
    def timeline(self) -> Timeline | None:
        """How many samples it holds in the order of time; None where they were not asked for (`timeline=True`, `--timeline`). speedscope and gecko files show them."""
        found = self._core.timeline()
        return None if found is None else Timeline(*found)

    @property
    def left_out(self) -> int:
        """How many files the merges that made this profile could not read."""
        return self._core.left_out()

    def merge(self, *others: Profile | str | os.PathLike[str]) -> Profile:
        """This profile and others as one; see `hybridprof.merge`."""
        from .merging import merge

        return merge([self, *others])

    def diff(self, new: Profile, compare: Compare = "auto") -> Diff:
        """What changed from this profile to another, by function, each change with its 95 % interval and whether it is more than noise.

        compare: "auto" judges functions against the ratio that most of them have (a slower machine, a longer run), "time" against equal times
        (ns), "share" against equal shares of all time. Raises ValueError where the clocks differ.
        """
        from .difference import Diff

        return Diff(self, new, compare)

    @property
    def residual_ns(self) -> int:
        """ns: measured time that is neither sampled nor exact nor overhead, over all threads. Signed; near 0 in a good profile."""
        return int(self.meta.get("residual_ns", 0))

    def write(self, path: str | os.PathLike[str], format: str | None = None) -> None:
        """Writes a file, atomically and without the GIL.

        format: a name such as "pstats"; None reads it off the suffix. Raises FormatError (a ValueError) for a format that is unknown or
        not told by the name, OSError for what the system refused; each leaves what was there before.
        """
        self._core.write(_text_path(path), format)

    def encode(self, format: str) -> bytes:
        """The bytes that `write` would put in the file. Raises FormatError (a ValueError) for an unknown format."""
        return self._core.encode(format)

    def write_to(self, descriptor: int, format: str) -> None:
        """Writes it to a pipe, a socket or whatever else is open under `descriptor`, piece by piece and without the GIL; what waits for a reader can be interrupted.

        Raises FormatError (a ValueError) for an unknown format, OSError for what the system refused: BrokenPipeError where nobody reads any more.
        """
        self._core.write_to(descriptor, format)

    def stats(self) -> pstats.Stats:
        """A real pstats.Stats, times in seconds. What was only sampled has 0 calls there: the format knows no other way to say it."""
        import pstats

        if not self._core.functions():
            return pstats.Stats()  # pstats refuses to load an empty table, but has an empty state of its own
        return pstats.Stats(cast(Any, _Encoded(self._core.encode("pstats"))))


class _Encoded:
    """What pstats.Stats takes in place of a cProfile.Profile."""

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded
        self.stats: dict[Any, Any] = {}

    def create_stats(self) -> None:
        import marshal

        self.stats = marshal.loads(self.encoded)


def _text_path(path: str | os.PathLike[str]) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"a path is a str or os.PathLike, not {type(path).__name__}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"a path must be text, not {type(text).__name__}: {text!r}")
    return text


def load(path: str | os.PathLike[str]) -> Profile:
    """Reads a profile (.hyprof, pstats, pprof or collapsed stacks), told by its content whatever its name.

    Raises FormatError (a ValueError) for what is no profile, OSError for what cannot be opened.
    """
    from . import _core

    return Profile(_core.load(_text_path(path)))
