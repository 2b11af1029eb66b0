# SPDX-License-Identifier: MIT
"""`hybridprof report FILE`: where the time went, as a table, a tree or JSON."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

from hybridprof.profile import RUNNING, WAITING, Edge, Function, Profile, State, load, state_names

from . import table, threads, tree
from .main import BadInput, Parser


def parser() -> Parser:
    made = Parser(
        prog="hybridprof report",
        description="Prints a profile (.hyprof or pstats). Sampled numbers carry the half width of their 95 %% interval.",
    )
    add = made.add_argument
    add("file", metavar="FILE")
    add("-s", "--sort", default="self", metavar="KEY", help="self, total, calls, name, file, ... or pstats' names for them (default self)")
    add("-n", "--limit", type=int, default=None, metavar="N", help=f"print N functions, 0 for all (default {table.LIMIT}; with --json all)")
    add("--tree", action="store_true", help="who called whom, from the top")
    add("--callers", action="store_true", help="beneath each function its callers")
    add("--callees", action="store_true", help="beneath each function what it called")
    add("--states", action="store_true", help="beneath each function its sampled self time by what the thread was doing")
    add(
        "--state",
        metavar="STATES",
        help=f"only samples in these states: running, waiting, or some of {', '.join((*RUNNING, *WAITING))}, with commas",
    )
    add("--threads", action="store_true", help="each thread by itself")
    add("--json", action="store_true", help="for programs: times in ns")
    return made


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    key = table.checked_key(options.sort)
    if options.limit is not None and options.limit < 0:
        raise BadInput(f"--limit must be 0 (all) or more, not {options.limit}")
    profile = loaded(options.file, options.state)
    if (options.tree or options.threads) and not profile.tree.children:
        raise BadInput(
            f"{options.file!r} holds no calling contexts, so that there is no {'tree' if options.tree else 'table by thread'} to print; a .hyprof file has them"
        )
    if options.json:
        _print_json(profile, key, options)
        return 0
    limit = (options.limit if options.limit is not None else table.LIMIT) or None
    if options.tree:
        tree.show(profile.tree, limit)
    elif options.threads:
        for thread in threads.by_thread(profile):
            table.say(f"{thread.name}  (thread {thread.native_id})")
            table.show(thread.functions, key, limit)
            table.say("")
    else:
        table.show(profile.functions, key, limit, _details(profile, options))
    return 0


def loaded(file: str, states: str | None) -> Profile:
    """The file's profile, or what `--state` leaves of it. Raises BadInput, OSError, FormatError."""
    if states is None:
        return load(file)
    try:
        names = state_names(name.strip() for name in states.split(","))
    except ValueError as error:
        raise BadInput(f"--state: {error}") from None
    return load(file).select(*names)


def _states(profile: Profile) -> dict[int, dict[State, int]]:
    """Sampled self time (ns) of each function by state, the largest first. Keyed by identity."""
    sums: dict[int, dict[State, int]] = defaultdict(dict)
    for line in profile.lines:
        if line.node.function is not None:
            own = sums[id(line.node.function)]
            own[line.state] = own.get(line.state, 0) + line.self_ns
    return {key: dict(sorted(own.items(), key=lambda item: -item[1])) for key, own in sums.items()}


def _links(profile: Profile) -> tuple[dict[int, list[Edge]], dict[int, list[Edge]]]:
    """Edges by callee and by caller, the costliest first. Keyed by identity: rows of equal numbers may be different functions."""
    callers: dict[int, list[Edge]] = defaultdict(list)
    callees: dict[int, list[Edge]] = defaultdict(list)
    for edge in sorted(profile.edges, key=lambda edge: -edge.total_ns):
        if edge.caller is not None and edge.caller.kind != "thread":
            callers[id(edge.callee)].append(edge)
            callees[id(edge.caller)].append(edge)
    return callers, callees


def _details(profile: Profile, options: Any) -> Any:
    if not (options.callers or options.callees or options.states):
        return None
    callers, callees = _links(profile)
    states = _states(profile) if options.states else {}

    def lines(row: Function) -> list[str]:
        found = [f"{'':>12}  {table.duration(ns):>10}  in {state}" for state, ns in states.get(id(row), {}).items()]
        for wanted, edges, sign in ((options.callers, callers[id(row)], "<-"), (options.callees, callees[id(row)], "->")):
            for edge in edges if wanted else ():
                other = edge.caller if sign == "<-" else edge.callee
                assert other is not None
                found.append(f"{table.calls(edge):>12}  {table.duration(edge.total_ns):>10}  {sign} {table.title(other)}")
        return found

    return lines


def _print_json(profile: Profile, key: str, options: Any) -> None:
    callers, callees = _links(profile) if options.callers or options.callees else ({}, {})
    states = _states(profile) if options.states else {}

    def plain(row: Function) -> dict[str, Any]:
        found = as_json(row)
        if options.callers:
            found["callers"] = [_edge_json(edge, edge.caller) for edge in callers.get(id(row), ())]
        if options.callees:
            found["callees"] = [_edge_json(edge, edge.callee) for edge in callees.get(id(row), ())]
        if options.states:
            found["states"] = states.get(id(row), {})
        return found

    def chosen(rows: list[Function]) -> list[Function]:
        return table.ordered(table.shown_rows(rows), key)[: options.limit or None]

    answer: dict[str, Any] = {"meta": profile.meta, "functions": [plain(row) for row in chosen(profile.functions)]}
    if options.threads:
        answer["threads"] = [
            {"name": thread.name, "native_id": thread.native_id, "functions": [as_json(row) for row in chosen(thread.functions)]}
            for thread in threads.by_thread(profile)
        ]
    json.dump(answer, sys.stdout, default=str)
    sys.stdout.write("\n")


def as_json(row: Function) -> dict[str, Any]:
    """The stable shape of a function."""
    return {
        "name": row.name,
        "module": row.module,
        "file": row.file,
        "line": row.line,
        "calls": row.calls,
        "primitive_calls": row.primitive_calls,
        "self_ns": row.self_ns,
        "total_ns": row.total_ns,
        "self_error_ns": row.self_error_ns,
        "total_error_ns": row.total_error_ns,
        "measured": row.measured,
    }


def _edge_json(edge: Edge, other: Function | None) -> dict[str, Any]:
    assert other is not None
    return {
        "name": other.name,
        "file": other.file,
        "line": other.line,
        "calls": edge.calls,
        "total_ns": edge.total_ns,
        "measured": edge.measured,
    }
