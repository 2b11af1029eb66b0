# SPDX-License-Identifier: MIT
"""What a client must show of a profile, derived from its tree of calling contexts by rules written down here once more, on purpose.

A client keys functions in its own way. So everything is computed for a *key*: self time, inclusive time (once per stack, at the outermost
activation of the key), calls, primitive calls; and, for callgrind, inclusive time along loop-erased stacks (docs: formats/callgrind/SPEC.md).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from hybridprof import _core


@dataclass(frozen=True)
class Function:
    qualname: str
    module: str
    name: str
    file: str
    line: int
    kind: str


@dataclass
class Numbers:
    """Of one key. None: this client does not show it, or not for this key."""

    self_ns: float | None = 0
    total_ns: float | None = 0
    calls: int | None = 0
    primitive_calls: int | None = 0


@dataclass
class Held:
    """What hybridprof holds of one run."""

    functions: list[Function]
    nodes: list[tuple[int, int, int, int]]  # parent, function, calls, self ns; parents first, the root not among them (parent -1)
    sum_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.sum_ns = sum(node[3] for node in self.nodes)

    @classmethod
    def load(cls, path: str) -> Held:
        profile = _core.load(path)
        functions = [Function(row[0], row[1], row[2], row[3], row[4], row[13]) for row in profile.functions()]
        place: dict[int, int] = {}
        nodes = []
        for index, (parent, function, calls, self_ns, _, _, _) in enumerate(profile.nodes()):
            if function < 0:
                place[index] = -1
                continue
            place[index] = len(nodes)
            nodes.append((place[parent], function, calls or 0, self_ns))
        return cls(functions, nodes)

    def stacks(self, keys: Sequence[Hashable], loop_erased: bool = False) -> list[tuple[Hashable, ...]]:
        """Of each node its stack, each key once: where one is entered again nothing is added; loop-erased, the stack goes back to it."""
        stacks: list[tuple[Hashable, ...]] = []
        for parent, function, _, _ in self.nodes:
            key = keys[function]
            above = stacks[parent] if parent >= 0 else ()
            if key not in above:
                stacks.append((*above, key))
            else:
                stacks.append(above[: above.index(key) + 1] if loop_erased else above)
        return stacks

    def by_key(self, key_of: Callable[[Function], Hashable], *, loop_erased: bool = False) -> dict[Hashable, Numbers]:
        keys = [key_of(function) for function in self.functions]
        found: dict[Hashable, Numbers] = {}
        stacks = self.stacks(keys, loop_erased)
        for (parent, function, calls, self_ns), stack in zip(self.nodes, stacks, strict=True):
            key = keys[function]
            numbers = found.setdefault(key, Numbers())
            numbers.self_ns += self_ns
            numbers.calls += calls
            numbers.primitive_calls += calls if parent < 0 or key not in stacks[parent] else 0
            for each in stack:
                found[each].total_ns += self_ns
        return found

    def edges(self, key_of: Callable[[Function], Hashable], *, loop_erased: bool = False) -> set[tuple[Hashable, Hashable]]:
        """Who called whom. Loop-erased: the edges that are left of the stacks with time or calls, which are those that callgrind's file has."""
        keys = [key_of(function) for function in self.functions]
        if not loop_erased:
            return {(keys[self.nodes[parent][1]], keys[function]) for parent, function, _, _ in self.nodes if parent >= 0}
        stacks = self.stacks(keys, loop_erased=True)
        return {edge for node, stack in zip(self.nodes, stacks, strict=True) if node[2] or node[3] for edge in pairwise(stack)}

    def call_lines(self, key_of: Callable[[Function], Hashable]) -> tuple[Counter[tuple[Hashable, Hashable]], set[Hashable]]:
        """Calls that were counted by caller and callee, for each line that callgrind's file has (0: it stands for one all the same; caller None: the
        row above several threads); and what was entered again, which has no line for that."""
        keys = [key_of(function) for function in self.functions]
        stacks = self.stacks(keys, loop_erased=True)
        roots = {stack[0] for node, stack in zip(self.nodes, stacks, strict=True) if node[2] or node[3]}
        lines = Counter(dict.fromkeys(self.edges(key_of, loop_erased=True), 0))
        lines.update(dict.fromkeys([(None, root) for root in roots] if len(roots) > 1 else [], 0))
        again = set[Hashable]()
        for (parent, function, calls, _), stack in zip(self.nodes, stacks, strict=True):
            if calls and parent >= 0 and keys[function] in stacks[parent]:
                again.add(keys[function])
            elif calls and parent >= 0:
                lines[stack[-2], stack[-1]] += calls
        return lines, again

    def called(self, key_of: Callable[[Function], Hashable]) -> Counter[Hashable]:
        """Calls, as readers of callgrind's call lines add them up."""
        found = Counter[Hashable]()
        for (_, callee), calls in self.call_lines(key_of)[0].items():
            found[callee] += max(1, calls)
        return found

    def miscalled(self, key_of: Callable[[Function], Hashable]) -> set[Hashable]:
        """Keys of which that is not what is held."""
        lines, again = self.call_lines(key_of)
        return again | {callee for (_, callee), calls in lines.items() if calls == 0}

    def reached(self, key_of: Callable[[Function], Hashable], *, loop_erased: bool = False) -> dict[Hashable, set[Hashable]]:
        """Of each key that calls another: all keys that can be reached from it. It is in a cycle where it is among them."""
        callees: dict[Hashable, set[Hashable]] = {}
        for caller, callee in self.edges(key_of, loop_erased=loop_erased):
            if caller != callee:
                callees.setdefault(caller, set()).add(callee)

        def below(start: Hashable) -> set[Hashable]:
            seen: set[Hashable] = set()
            todo = list(callees[start])
            while todo:
                key = todo.pop()
                if key not in seen:
                    seen.add(key)
                    todo.extend(callees.get(key, ()))
            return seen

        return {key: below(key) for key in callees}

    def in_cycles(self, key_of: Callable[[Function], Hashable], *, loop_erased: bool = False) -> set[Hashable]:
        """Keys in a cycle of the call graph, direct recursion left out."""
        return {key for key, below in self.reached(key_of, loop_erased=loop_erased).items() if key in below}

    def beneath_cycles(self, key_of: Callable[[Function], Hashable], *, loop_erased: bool = False) -> set[Hashable]:
        """The same, and all that is reached from them."""
        reached = self.reached(key_of, loop_erased=loop_erased)
        return {key for start, below in reached.items() if start in below for key in below}


def sampled_ns(path: str) -> Counter[int]:
    """By index into Held.nodes: what was sampled, which is what the lines hold."""
    sampled = Counter[int]()
    for node, _, _, ns, _ in _core.load(path).lines():
        sampled[node - 1] += ns  # node 0 is the root, which Held leaves out
    return sampled


def by_kind(path: str) -> dict[str, Held]:
    """The same apart by how it is known."""
    whole, sampled = Held.load(path), sampled_ns(path)
    nodes = [(node, sampled[index]) for index, node in enumerate(whole.nodes)]
    return {
        "sampled": Held(whole.functions, [(parent, function, 0, ns) for (parent, function, _, _), ns in nodes]),
        "exact": Held(whole.functions, [(parent, function, calls, own - ns) for (parent, function, calls, own), ns in nodes]),
    }


@dataclass
class Shares:
    """What is made of a graph of calls by who knows no stacks, as speedscope: each call gets its part of its function's whole, from the roots down.
    A share of less than `least` of all is not looked into: it stays with its caller."""

    held: Held
    key_of: Callable[[Function], Hashable]
    least: float
    rows: dict[Hashable, Numbers] = field(default_factory=dict)
    pieces: Counter[Hashable] = field(default_factory=Counter)  # stretches of time that a row's are made of

    def __post_init__(self) -> None:
        keys = [self.key_of(function) for function in self.held.functions]
        self._calls: dict[Hashable, Counter[Hashable]] = {}
        for node, stack in zip(self.held.nodes, self.held.stacks(keys, loop_erased=True), strict=True):
            for caller, callee in pairwise(stack):
                self._calls.setdefault(caller, Counter())[callee] += node[3]
        self._wholes = self.held.by_key(self.key_of, loop_erased=True)
        self._active: set[Hashable] = set()
        for root in {keys[function] for parent, function, _, _ in self.held.nodes if parent < 0}:
            self._visit(root, self._wholes[root].total_ns or 0)

    def _visit(self, key: Hashable, share: float) -> float:
        whole = self._wholes[key].total_ns
        if key in self._active or share < self.least * self.held.sum_ns or not whole:
            return 0
        self._active.add(key)
        below = [self._visit(callee, share * (ns / whole)) for callee, ns in self._calls.get(key, {}).items()]
        self._active.discard(key)
        row = self.rows.setdefault(key, Numbers(0, 0, None, None))
        row.total_ns = (row.total_ns or 0) + share
        row.self_ns = (row.self_ns or 0) + share - sum(below)
        self.pieces[key] += 1 + sum(each > 0 for each in below)
        return share


def by_event(path: str) -> dict[str, Held]:
    """The events of a callgrind file, in its order, as time of a tree: what has no value throughout is none, and the sum of one kind is that."""
    whole, kinds = Held.load(path), by_kind(path)
    clock = str(_core.load(path).meta()["clock"]).capitalize()
    counted = Held(whole.functions, [(parent, function, 0, calls) for parent, function, calls, _ in whole.nodes])
    events = {f"{clock}_est_ns": kinds["sampled"], f"{clock}_exact_ns": kinds["exact"], "Calls_exact": counted}
    events = {name: held for name, held in events.items() if held.sum_ns}
    return {f"{clock}_ns": whole, **events} if kinds["sampled"].sum_ns and kinds["exact"].sum_ns else events


def lines_by_event(path: str) -> dict[str, dict[Function, Counter[int]]]:
    """Of each event what each function has itself, by line: what was sampled where its line is known, all else at the function's first."""
    sampled = [(node - 1, line, ns) for node, line, _, ns, _ in _core.load(path).lines() if line]
    found: dict[str, dict[Function, Counter[int]]] = {}
    for event, held in by_event(path).items():
        lines = found.setdefault(event, {})
        left = [own for _, _, _, own in held.nodes]
        for node, line, ns in sampled if "exact" not in event else ():
            lines.setdefault(held.functions[held.nodes[node][1]], Counter())[line] += ns
            left[node] -= ns
        for (_, number, _, _), own in zip(held.nodes, left, strict=True):
            function = held.functions[number]
            lines.setdefault(function, Counter())[function.line] += own
    return found


def by_thread(path: str) -> dict[Function, dict[str, Held]]:
    """The same apart by thread and by how it is known: "sampled", "exact" and "both"; exact is what sampling leaves."""
    whole, sampled = Held.load(path), sampled_ns(path)
    found: dict[Function, dict[str, Held]] = {}
    thread_of: list[Function] = []
    place: list[dict[str, int]] = []
    for index, (parent, function, calls, self_ns) in enumerate(whole.nodes):
        thread_of.append(thread_of[parent] if parent >= 0 else whole.functions[function])
        kinds = found.setdefault(thread_of[index], {kind: Held(whole.functions, []) for kind in ("both", "sampled", "exact")})
        place.append({kind: len(held.nodes) for kind, held in kinds.items()})
        for kind, ns in (("both", self_ns), ("sampled", sampled[index]), ("exact", self_ns - sampled[index])):
            above = place[parent][kind] if parent >= 0 else -1
            kinds[kind].nodes.append((above, function, calls, ns))
            kinds[kind].sum_ns += ns
    return found


def escaped(text: str) -> str:
    """Control characters, U+2028, U+2029 and lone surrogates, as every format writes them."""

    def escape(match: re.Match[str]) -> str:
        character = match.group()
        named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
        return named or (f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}")

    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", escape, text)


def plain_label(function: Function) -> str:
    """module.qualname; the file's stem where the module is not known. What is no Python function and has a dot or begins with '<' says enough."""
    if function.kind == "block":
        return f"<block {escaped(function.qualname)}>"
    says_enough = function.qualname.startswith("<") or "." in function.qualname
    if function.kind != "python" and says_enough:
        return escaped(function.qualname)
    place = function.module or function.file.rpartition("/")[2].removesuffix(".py")
    return escaped(f"{place}.{function.qualname}" if place else function.qualname if says_enough else f"?.{function.qualname}")


def labels(held: Held) -> dict[Function, str]:
    """The plain label; the first line where that is shared, and behind both a number from the second function on that still has the same."""
    plain = {function: plain_label(function) for function in held.functions}
    shared, given = Counter(plain.values()), Counter[str]()
    found: dict[Function, str] = {}
    for function, label in plain.items():
        lined = f"{label}:{function.line}" if shared[label] > 1 and function.line else label
        given[lined] += 1
        found[function] = lined if given[lined] == 1 else f"{lined}#{given[lined]}"
    return found


def frame(label: str, function: Function) -> str:
    """One frame of a collapsed stack."""
    place = f" ({escaped(function.file)}:{function.line})" if function.file else "" if label.endswith(">") else " (~)"
    return (label + place).replace(";", "\\x3b")


def speedscope_profiles(threads: dict[Function, dict[str, Held]], named: dict[Function, str]) -> dict[str, Held]:
    """By name, in their order; what a timeline adds comes behind them."""
    found: dict[str, Held] = {}
    for thread, kinds in threads.items():
        mixed = kinds["sampled"].sum_ns and kinds["exact"].sum_ns
        for kind, title in (("both", "sampled and exact"), ("sampled", "sampled"), ("exact", "exact")):
            if kinds[kind].sum_ns and (mixed or kind != "both"):
                found[f"{named[thread]}, {title}"] = kinds[kind]
    return found


def gecko_name(named: dict[Function, str], function: Function) -> str:
    """As the Firefox Profiler's reader shows it: the package, where there is one, as if it were a library."""
    package = escaped(function.module).partition(".")[0]
    return f"{package}!{named[function]}" if package else named[function]


def pstats_key(function: Function) -> tuple[str, int, str]:
    """As cProfile makes it; `</script` in a name, which would end the script of snakeviz's page, is broken up."""
    name = re.sub("<(/script)", r"<\\\1", escaped(function.name or function.qualname), flags=re.IGNORECASE)
    if function.kind == "python":
        return escaped(function.file), function.line, name
    return "~", 0, f"<block {name}>" if function.kind == "block" else name


@dataclass(frozen=True)
class Steps:
    """The last digit that a client displays: half of it is what a number may be off. Relative: of the number itself (significant digits)."""

    time_ns: float = 0
    relative: float = 0

    def allows(self, held: float, shown: float) -> bool:
        if self.time_ns == self.relative == 0:  # it shows integers
            return held == shown
        # The last term: what a double loses on the way.
        return abs(held - shown) <= self.time_ns / 2 + self.relative * abs(held) / 2 + 1e-9 * abs(held) + 1e-6


class UnitSteps(Steps):
    """Two decimals of s, ms, us or ns, whichever the shown number begins with: what speedscope's tables do up to a minute."""

    def allows(self, held: float, shown: float) -> bool:
        unit = next((unit for unit in (1e9, 1e6, 1e3) if shown >= unit), 1)
        return abs(held - shown) <= unit / 200 + 1e-9 * abs(held) + 1e-6


Shown = dict[Hashable, list[Numbers]]


def grouped(numbers: dict[Hashable, Numbers], displayed: Callable[[Hashable], Hashable]) -> Shown:
    """By the name a client displays: two functions may look the same there and still be two rows."""
    result: Shown = {}
    for key, each in numbers.items():
        result.setdefault(displayed(key), []).append(each)
    return result


def without_calls(held: Held, key_of: Callable[[Function], Hashable]) -> Shown:
    numbers = held.by_key(key_of)
    for row in numbers.values():
        row.calls = row.primitive_calls = None
    return grouped(numbers, lambda key: key)


def order(numbers: Numbers) -> tuple[float, float, int]:
    return numbers.self_ns or 0, numbers.total_ns or 0, numbers.calls or 0


def differences(held: Shown, shown: Shown, steps: Steps, *, unmeasured_may_lack: bool = False) -> list[str]:
    """One sentence for each number that differs by more than the client's display allows, and for each row that only one side has."""
    wrong = [f"only the client shows {key!r}: {shown[key]}" for key in shown.keys() - held.keys()]
    for key, all_rows in held.items():
        rows = [row for row in all_rows if row.total_ns != 0 or not unmeasured_may_lack]
        there = shown.get(key, [])
        if len(rows) != len(there):
            wrong.append(f"{key!r}: {len(rows)} rows held, {len(there)} shown")
            continue
        for ours, theirs in zip(sorted(rows, key=order), sorted(there, key=order), strict=True):
            for field_name in ("self_ns", "total_ns"):
                mine, seen = getattr(ours, field_name), getattr(theirs, field_name)
                if mine is not None and seen is not None and not steps.allows(mine, seen):
                    wrong.append(f"{key!r}: {field_name} is {mine}, the client shows {seen}")
            for field_name in ("calls", "primitive_calls"):
                mine, seen = getattr(ours, field_name), getattr(theirs, field_name)
                if mine is not None and seen is not None and mine != seen:
                    wrong.append(f"{key!r}: {field_name} is {mine}, the client shows {seen}")
    return wrong


def altered(held: Shown, key: Hashable, field_name: str, steps: Steps) -> Shown:
    """The same with one number changed by twice what the display, and a double on the way there, hide."""
    rows = held[key]
    value = getattr(rows[0], field_name)
    change = 1 if field_name.endswith("calls") else 2 * steps.time_ns + 2 * (steps.relative + 1e-9) * value + 2
    return {**held, key: [replace(rows[0], **{field_name: value + change}), *rows[1:]]}
