# SPDX-License-Identifier: MIT
"""The table of one thread, from its part of the tree."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hybridprof.profile import Function, Node, Profile


@dataclass(frozen=True, slots=True)
class ThreadTable:
    """A thread and its functions."""

    name: str
    native_id: int
    functions: list[Function]


@dataclass(slots=True)
class _Sum:
    function: Function
    calls: int | None = None
    primitive_calls: int | None = None
    self_ns: int = 0
    total_ns: int = 0
    samples: int = 0
    exact: bool = False
    sampled: bool = False


def by_thread(profile: Profile) -> list[ThreadTable]:
    """The threads that have a part of the tree, in the order in which they appeared."""
    return [
        ThreadTable(thread.name, thread.native_id, _rows(profile, thread.root)) for thread in profile.threads if thread.root is not None
    ]


def _rows(profile: Profile, root: Node) -> list[Function]:
    sums: dict[int, _Sum] = {}
    on_stack: dict[int, int] = {}
    pending: list[tuple[Node, bool]] = [(root, False)]
    while pending:  # no recursion: a tree may be deeper than the interpreter's stack
        node, left = pending.pop()
        assert node.function is not None
        key = id(node.function)
        if left:
            on_stack[key] -= 1
            continue
        _add(sums.setdefault(key, _Sum(node.function)), node, outermost=not on_stack.get(key))
        on_stack[key] = on_stack.get(key, 0) + 1
        pending.append((node, True))
        pending.extend((child, False) for child in node.children)
    errors = profile._thread_errors
    return [_row(each, errors.get((id(root), key), (0, 0))) for key, each in sums.items()]


def _add(into: _Sum, node: Node, outermost: bool) -> None:
    into.self_ns += node.self_ns
    into.samples += node.samples
    into.total_ns += node.total_ns if outermost else 0
    into.exact = into.exact or node.measured != "sampled"
    into.sampled = into.sampled or node.measured != "exact"
    if node.calls is not None:
        into.calls = (into.calls or 0) + node.calls
        into.primitive_calls = (into.primitive_calls or 0) + (node.calls if outermost else 0)


def _row(found: _Sum, errors: tuple[int, int]) -> Function:
    return replace(
        found.function,
        calls=found.calls,
        primitive_calls=found.primitive_calls,
        self_ns=found.self_ns,
        total_ns=found.total_ns,
        self_error_ns=errors[0],
        total_error_ns=errors[1],
        measured="mixed" if found.exact and found.sampled else "exact" if found.exact else "sampled",
        samples=found.samples,
    )
