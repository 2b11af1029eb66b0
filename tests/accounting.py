# SPDX-License-Identifier: MIT
"""The rules of accounting, which every profile keeps whatever was measured: what one breaks is a sentence. Shown to be awake in tests/unit/test_accounting.py."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from hybridprof import Function, Profile
from hybridprof.profile import Node


def broken(profile: Profile) -> list[str]:
    rules = (of_nodes, of_threads, of_rows, of_edges, of_kinds, of_totals, of_pstats)
    return [sentence for rule in rules for sentence in rule(profile)]


def below(node: Node) -> Iterator[Node]:
    """The node and all beneath it; no recursion, stacks may be deep."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def name_of(node: Node) -> str:
    return node.function.name if node.function else "the root"


def of_nodes(profile: Profile) -> Iterator[str]:
    """A node's time is its own and its children's: so no child has more than its parent, and nothing more as its own than in all."""
    for node in below(profile.tree):
        inner = sum(child.total_ns for child in node.children)
        if node.total_ns != node.self_ns + inner:
            yield f"{name_of(node)} has {node.total_ns} ns, {node.self_ns} of its own and {inner} beneath it"
        if node.self_ns < 0 or any(child.total_ns > node.total_ns for child in node.children):
            yield f"{name_of(node)} has less than nothing of its own, or less than a child"


def of_threads(profile: Profile) -> Iterator[str]:
    """Outside + inside + overhead + residual = measured, and outside and inside are what lies beneath the thread, each ns once."""
    for thread in profile.threads:
        parts = thread.sampled_ns + thread.exact_ns + thread.overhead_ns + thread.residual_ns
        if thread.measured_ns != parts:
            yield f"thread {thread.name}: {thread.measured_ns} ns measured, parts of {parts}"
        if thread.residual_ns < 0:
            yield f"thread {thread.name}: {thread.measured_ns} ns measured, {-thread.residual_ns} more in its parts"
        tree = sum(node.self_ns for node in below(thread.root)) if thread.root else 0
        if tree != thread.sampled_ns + thread.exact_ns:
            yield f"thread {thread.name}: {tree} ns beneath it, {thread.sampled_ns} sampled and {thread.exact_ns} exact"
    if profile.residual_ns != sum(thread.residual_ns for thread in profile.threads):
        yield f"the residual is said to be {profile.residual_ns} ns and is {sum(thread.residual_ns for thread in profile.threads)}"


def of_rows(profile: Profile) -> Iterator[str]:
    whole = sum(thread.sampled_ns + thread.exact_ns for thread in profile.threads)
    measured = sum(thread.measured_ns for thread in profile.threads)
    if sum(row.self_ns for row in profile.functions) != whole:
        yield f"rows have {sum(row.self_ns for row in profile.functions)} ns of their own, threads {whole}"
    for row in profile.functions:
        if not 0 <= row.self_ns <= row.total_ns <= measured:
            yield f"{row.name}: {row.self_ns} ns of its own, {row.total_ns} in all, {measured} were measured"
        if row.calls is not None and not 0 <= (row.primitive_calls or 0) <= row.calls:
            yield f"{row.name}: {row.primitive_calls} primitive calls of {row.calls}"


def of_edges(profile: Profile) -> Iterator[str]:
    """What the callers have of a function is what it has."""
    own: Counter[Function] = Counter()
    calls: Counter[Function] = Counter()
    for edge in profile.edges:
        own[edge.callee] += edge.self_ns
        calls[edge.callee] += edge.calls or 0
        if not 0 <= edge.self_ns <= edge.total_ns <= edge.callee.total_ns:
            yield f"{edge.callee.name} under one caller: {edge.self_ns} ns of its own, {edge.total_ns} in all, {edge.callee.total_ns} under all"
    for row in profile.functions:
        if (own[row], calls[row]) != (row.self_ns, row.calls or 0):
            yield f"{row.name}: {row.self_ns} ns and {row.calls} calls, under its callers {own[row]} and {calls[row]}"


def of_kinds(profile: Profile) -> Iterator[str]:
    """Nothing is invented: no count of what was only sampled, an interval for all that was, none for what is exact."""
    for row in profile.functions:
        if (row.measured == "sampled") != (row.calls is None):
            yield f"{row.name} is {row.measured} and has {row.calls} calls"
        if row.measured == "exact" and row.samples:
            yield f"{row.name} is exact and has {row.samples} samples"
        in_part = row.measured == "mixed" and row.kind != "thread"  # and what of the rest no sample met is in the error
        if in_part and profile.meta["rate_hz"] > 0 and not (row.self_error_ns and row.total_error_ns):
            yield f"{row.name} is mixed and has an error of {row.self_error_ns} and {row.total_error_ns} ns"
        if row.time_lower_bound != (in_part and not row.total_error_ns):
            yield f"{row.name} has an error of {row.total_error_ns} ns and is {'a' if row.time_lower_bound else 'no'} lower bound"
        if row.measured == "sampled" and row.kind != "thread" and row.self_ns and not (row.self_error_ns and row.total_error_ns):
            yield f"{row.name} is sampled and has an error of {row.self_error_ns} and {row.total_error_ns} ns"


def of_totals(profile: Profile) -> Iterator[str]:
    """Inclusive time counts once for each stack, at the outermost activation."""
    totals: dict[Function, int] = defaultdict(int)
    waiting: list[tuple[Node, frozenset[int]]] = [(profile.tree, frozenset())]
    while waiting:
        node, above = waiting.pop()
        if node.function is not None and id(node.function) not in above:
            totals[node.function] += node.total_ns
            above |= {id(node.function)}
        waiting += [(child, above) for child in node.children]
    for row in profile.functions:
        if row.total_ns != totals[row]:
            yield f"{row.name}: {row.total_ns} ns in all, {totals[row]} by its outermost activations"


def of_pstats(profile: Profile) -> Iterator[str]:
    """Where a format has no word for "not counted" it is 0, and where it has counts they are the profile's."""
    stats = profile.stats().stats  # type: ignore[attr-defined]
    counted = sum(row.calls or 0 for row in profile.functions if row.kind != "thread")
    if sum(values[1] for values in stats.values()) != counted:
        yield f"pstats has {sum(values[1] for values in stats.values())} calls, the profile {counted}"
