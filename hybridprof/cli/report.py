# SPDX-License-Identifier: MIT
"""`hybridprof report FILE`: where the time went, as a table, a tree or JSON."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

from hybridprof.profile import RUNNING, WAITING, Edge, Function, Profile, State, load, state_names

from . import table, threads, tree, why
from .main import BadInput, Parser
from .terminal import Terminal, of_stdout


def parser() -> Parser:
    made = Parser(
        prog="hybridprof report",
        description="Prints a profile (.hyprof, pstats, pprof or collapsed stacks). Sampled numbers carry the half width of their 95 % interval.",
    )
    add = made.add_argument
    add("file", metavar="FILE")
    add("-s", "--sort", metavar="KEY", help="self, total, calls, name, file, ... or pstats' names for them (default self)")
    add("-n", "--limit", type=int, default=None, metavar="N", help=f"print N functions, 0 for all (default {table.LIMIT}; with --json all)")
    add("--filter", metavar="TEXT", help="only functions with TEXT in their name or file; with *, ? or [ a glob for the whole name or file")
    add(
        "--tree",
        action="store_true",
        help="who called whom, from the top, the costliest first; with --filter what matches, with all above and below",
    )
    add(
        "--fold",
        type=float,
        metavar="PERCENT",
        help=f"--tree: branches of less of the thread's time are one line together (default {tree.FOLD:g}; with --limit 0 or --filter nothing is folded)",
    )
    add("--callers", action="store_true", help="beneath each function its callers")
    add("--callees", action="store_true", help="beneath each function what it called")
    add("--states", action="store_true", help="beneath each function its sampled self time by what the thread was doing")
    add(
        "--state",
        metavar="STATES",
        help=f"only samples in these states: running, waiting, or some of {', '.join((*RUNNING, *WAITING))}, with commas",
    )
    add("--threads", action="store_true", help="each thread by itself")
    add("--why", action="store_true", help="why each function was traced or not, and what that costs or would have cost")
    add(
        "--json",
        action="store_true",
        help="for programs: times in ns; with --tree each calling context, with the place of its caller in the list",
    )
    return made


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    key = table.checked_key(options.sort or "self")
    _check(options)
    profile = loaded(options.file, options.state)
    if (options.tree or options.threads) and not profile.tree.children:
        raise BadInput(
            f"{options.file!r} holds no calling contexts, so that there is no {'tree' if options.tree else 'table by thread'} to print; a .hyprof file has them"
        )
    if options.json:
        _print_json(profile, key, options)
    else:
        terminal = of_stdout()
        for text, style in rendered(profile, key, options, terminal):
            terminal.say(text, style)
    return 0


def _check(options: Any) -> None:
    if options.limit is not None and options.limit < 0:
        raise BadInput(f"--limit must be 0 (all) or more, not {options.limit}")
    if options.fold is not None and not 0 <= options.fold <= 100:
        raise BadInput(f"--fold must be from 0 (nothing is folded) to 100 percent, not {options.fold:g}")
    if options.filter == "":
        raise BadInput("--filter is empty; give a part of a name or a file")
    if options.json:
        return
    if options.why and (options.tree or options.threads or options.callers or options.callees or options.states):
        raise BadInput("--why is a table of its own; leave out --tree, --threads, --callers, --callees and --states")
    details = [name for name in ("callers", "callees", "states") if getattr(options, name)]
    if options.tree and (details or options.threads):
        raise BadInput(
            f"--tree shows each calling context by itself, and --{[*details, 'threads'][0]} is for the table; ask for one of them"
        )
    if options.threads and details:
        raise BadInput(f"--threads shows no --{details[0]}; ask for one of them")
    if options.tree and options.sort is not None:
        raise BadInput(f"--tree has the costliest first and is not sorted by {options.sort!r}; leave out --sort")
    if options.fold is not None and not options.tree:
        raise BadInput(f"--fold {options.fold:g} is for --tree; leave it out or add --tree")


def rendered(profile: Profile, key: str, options: Any, terminal: Terminal) -> list[tuple[str, str]]:
    """The lines of the report, each with its style."""
    limit = (options.limit if options.limit is not None else table.LIMIT) or None
    only = None if options.filter is None else table.Filter(options.filter)
    if options.tree:
        fold = options.fold if options.fold is not None else 0.0 if limit is None or only is not None else tree.FOLD
        return tree.rendered(profile.tree, limit, terminal, fold, only)
    if options.why:
        return why.rendered(profile, key, limit, terminal, only)
    if not options.threads:
        return table.rendered([table.Table("", profile.functions, _details(profile, options))], key, limit, terminal, only)
    tables = [table.Table(f"{each.name}  (thread {each.native_id})", each.functions) for each in threads.by_thread(profile)]
    return table.rendered(tables, key, limit, terminal, only)


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


def _details(profile: Profile, options: Any) -> table.Details | None:
    if not (options.callers or options.callees or options.states):
        return None
    callers, callees = _links(profile)
    states, errors = (_states(profile), profile._state_errors) if options.states else ({}, {})

    def in_state(row: Function, state: State, ns: int) -> table.Detail:
        return table.Detail(["", table.duration(ns), table.error(round(errors.get((id(row), state), 0))), "", "", ""], "in", state)

    def lines(row: Function) -> list[table.Detail]:
        found = [in_state(row, state, ns) for state, ns in states.get(id(row), {}).items()]
        for wanted, edges, sign in ((options.callers, callers[id(row)], "<-"), (options.callees, callees[id(row)], "->")):
            for edge in edges if wanted else ():
                other = edge.caller if sign == "<-" else edge.callee
                assert other is not None
                found.append(table.Detail(table.cells(edge), sign, other))
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
            found["state_errors"] = {state: round(profile._state_errors.get((id(row), state), 0)) for state in found["states"]}
        return found

    def chosen(rows: list[Function]) -> list[Function]:
        only = None if options.filter is None else table.Filter(options.filter)
        wanted = [row for row in table.shown_rows(rows) if only is None or only.matches(row)]
        return table.ordered(wanted, key)[: options.limit or None]

    answer: dict[str, Any] = {"meta": profile.meta, "functions": [plain(row) for row in chosen(profile.functions)]}
    if options.why:
        answer["spared_percent"] = profile.spared
    if options.tree:
        answer["nodes"] = _nodes_json(profile)
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
        "time_lower_bound": row.time_lower_bound,
    }


def _nodes_json(profile: Profile) -> list[dict[str, Any]]:
    """Every calling context, parents first. parent: its place in the list, -1 for a thread's."""
    found: list[dict[str, Any]] = []
    waiting = [(-1, node) for node in reversed(profile.tree.children)]
    while waiting:
        parent, node = waiting.pop()
        function = node.function
        assert function is not None
        waiting += [(len(found), child) for child in reversed(node.children)]
        found.append(
            {
                "parent": parent,
                "name": function.name,
                "file": function.file,
                "line": function.line,
                "calls": node.calls,
                "self_ns": node.self_ns,
                "total_ns": node.total_ns,
                "samples": node.samples,
                "self_error_ns": node.self_error_ns,
                "total_error_ns": node.total_error_ns,
                "measured": node.measured,
                "time_lower_bound": node.time_lower_bound,
            }
        )
    return found


def _edge_json(edge: Edge, other: Function | None) -> dict[str, Any]:
    assert other is not None
    return {
        "name": other.name,
        "file": other.file,
        "line": other.line,
        "calls": edge.calls,
        "self_ns": edge.self_ns,
        "total_ns": edge.total_ns,
        "self_error_ns": edge.self_error_ns,
        "total_error_ns": edge.total_error_ns,
        "measured": edge.measured,
        "time_lower_bound": edge.time_lower_bound,
    }
